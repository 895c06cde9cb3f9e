"""Where fuzzing of signatures begins: python signatures.py FOLDER CORPUS.

Makes certificates and a signed model in FOLDER; writes bundles, statements, certificates and keys to CORPUS, each
with the byte before it that says to the target what it is.
"""

import base64
import json
import pathlib
import subprocess
import sys

import model_signing

folder, corpus = map(pathlib.Path, sys.argv[1:])
corpus.mkdir(parents=True, exist_ok=True)
script = pathlib.Path(__file__).parent.parent / "tests/peers/certificates.py"
subprocess.run([sys.executable, script, folder / "pki"], check=True)


def put(mode, name, data):
    (corpus / f"begin-{mode}-{name}").write_bytes(bytes([mode]) + data)


model = folder / "model"
model.mkdir()
(model / "a").write_bytes(b"a")
hashing = model_signing.hashing.Config
for name, config in {
    "files": hashing(),
    "shards": hashing().use_shard_serialization(hashing_algorithm="sha256", shard_size=1000),
    "blake3": hashing().use_file_serialization(hashing_algorithm="blake3"),
}.items():
    signed = folder / f"{name}.sig"
    signer = model_signing.signing.Config().use_elliptic_key_signer(private_key=folder / "pki/key-p256.pem.key")
    signer.set_hashing_config(config).sign(model, signed)
    bundle = signed.read_bytes()
    put(0, name, bundle)
    put(5, name, bundle)
    put(1, name, base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"]))
signer = model_signing.signing.Config().use_certificate_signer(
    private_key=folder / "pki/leaf.pem.key",
    signing_certificate=folder / "pki/leaf.pem",
    certificate_chain=[folder / "pki/between.pem"],
)
signer.sign(model, folder / "certificate.sig")
put(0, "certificate", (folder / "certificate.sig").read_bytes())
for path in (folder / "pki").glob("*.der"):
    put(2, path.stem, path.read_bytes())
for path in (folder / "pki").glob("key-*.pub"):
    put(4, path.stem, path.read_bytes())
put(4, "leaf", (folder / "pki/leaf.pem").read_bytes())
put(3, "slsa", json.dumps({
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "a", "digest": {"sha256": "ab" * 32}}],
    "predicateType": "https://slsa.dev/provenance/v1",
    "predicate": {
        "buildDefinition": {"buildType": "t", "externalParameters": {"source": "s"}, "resolvedDependencies": [{"uri": "u", "digest": {"sha256": "x"}}]},
        "runDetails": {"builder": {"id": "b"}},
    },
}).encode())
put(5, "simple", json.dumps({"critical": {"identity": {"docker-reference": "r"}, "image": {"docker-manifest-digest": "sha256:" + "ab" * 32}, "type": "cosign container image signature"}, "optional": None}).encode())
