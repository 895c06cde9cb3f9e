"""Keys and certificates, good and bad, for the tests of signatures: python certificates.py FOLDER.

Each is NAME.der with its key in NAME.key (PKCS #8, DER) and NAME.pub (PEM). All are valid from 2024 to 2044
unless their name says otherwise.
"""

import datetime
import subprocess
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Extended
from cryptography.x509.oid import NameOID

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
made = {}

KEYS = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "rsa1024": lambda: rsa.generate_private_key(65537, 1024),
}


def day(year):
    return datetime.datetime(year, 1, 1, tzinfo=datetime.timezone.utc)


def usage(**wanted):
    all_of = [
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    ]
    return x509.KeyUsage(**{name: wanted.get(name, False) for name in all_of})


SIGNS = usage(digital_signature=True)
ISSUES = usage(key_cert_sign=True, crl_sign=True)


def keep(name, key):
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / f"{name}.key").write_bytes(private)
    (folder / f"{name}.pem.key").write_bytes(pem)
    (folder / f"{name}.pub").write_bytes(public)


def make(name, issuer=None, kind="p256", ca=None, length=None, use=SIGNS, extended=(Extended.CODE_SIGNING,),
         since=2024, until=2044, more=(), digest=None, subject=None, key=None):
    """A certificate; `ca` is None for no basic constraints at all."""
    key = key or KEYS[kind]()
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject or name)])
    above = made[issuer] if issuer else None
    builder = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(above[0].subject if above else named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(day(since))
        .not_valid_after(day(until))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=length), critical=True)
    if use is not None:
        builder = builder.add_extension(use, critical=True)
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(extended)), critical=False)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    signing = above[1] if above else key
    if digest is None and not isinstance(signing, ed25519.Ed25519PrivateKey):
        digest = hashes.SHA256()
    certificate = builder.sign(signing, digest)
    made[name] = (certificate, key)
    (folder / f"{name}.der").write_bytes(certificate.public_bytes(serialization.Encoding.DER))
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    keep(name, key)


def authority(name, issuer=None, **more):
    more.setdefault("use", ISSUES)
    more.setdefault("extended", ())
    make(name, issuer, ca=more.pop("ca", True), **more)


unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
constrained = x509.NameConstraints([x509.DNSName("example.com")], None)

for kind in KEYS:
    if kind != "rsa1024":
        keep(f"key-{kind}", KEYS[kind]())
keep("key-attacker", KEYS["p256"]())

authority("root")
authority("root-twin", subject="root")
authority("root-rsa", kind="rsa")
authority("root-rsa1024", kind="rsa1024")
authority("root-p521", kind="p521")
authority("root-expired", until=2025)
authority("root-length-0", length=0)
authority("root-constrained", more=[(constrained, False)])
authority("between", "root")
authority("between-under-root-length-0", "root-length-0")
authority("between-constrained-softly", "root", more=[(constrained, False)])
authority("between-expired", "root", until=2025)
authority("between-no-usage", "root", use=usage(crl_sign=True))
authority("between-length-0", "root", length=0)
authority("between-under-length-0", "between-length-0")
authority("between-tls", "root", extended=(Extended.SERVER_AUTH,))
authority("between-constrained", "root", more=[(constrained, True)])
authority("between-unknown", "root", more=[(unknown, True)])
authority("between-rsa", "root-rsa", kind="rsa")

make("leaf", "between")
make("leaf-384", "between", kind="p384")
make("leaf-521", "between", kind="p521")
make("leaf-direct", "root")
make("leaf-rsa-root", "between-rsa")
make("leaf-p521-root", "root-p521", digest=hashes.SHA512())
make("leaf-not-ca", "between", ca=False)
make("leaf-usage-only", "between", extended=())
make("leaf-extended-only", "between", use=None)
make("leaf-no-usage", "between", use=None, extended=())
make("leaf-encipher", "between", use=usage(key_encipherment=True))
make("leaf-encipher-only", "between", use=usage(key_encipherment=True), extended=())
make("leaf-tls", "between", extended=(Extended.SERVER_AUTH,))
make("leaf-any-usage", "between", extended=(Extended.ANY_EXTENDED_KEY_USAGE,))
make("leaf-expired", "between", until=2025)
make("leaf-future", "between", since=2040)
make("leaf-under-expired", "between-expired")
make("leaf-under-expired-root", "root-expired")
make("leaf-twin", "root-twin", subject="leaf-direct")
make("leaf-self")
make("leaf-under-no-usage", "between-no-usage")
make("leaf-too-long", "between-under-length-0")
make("leaf-length-0", "between-length-0")
make("leaf-under-tls", "between-tls")
make("leaf-unknown", "between", more=[(unknown, True)])
make("leaf-unknown-harmless", "between", more=[(unknown, False)])
make("leaf-under-unknown", "between-unknown")
make("leaf-rsa", "between", kind="rsa")
make("leaf-ed25519", "between", kind="ed25519")
make("leaf-secp256k1", "between", kind="secp256k1")
make("leaf-under-rsa1024", "root-rsa1024")
make("leaf-under-leaf", "leaf")
make("leaf-under-root-length-0", "root-length-0")
make("leaf-too-long-for-root", "between-under-root-length-0")
# Those that say to be authorities themselves, as public signers have them.
make("proud", "between", ca=True)
make("proud-rsa", "between-rsa", ca=True)
make("proud-p521-root", "root-p521", ca=True, digest=hashes.SHA512())
make("proud-direct", "root", ca=True)
make("proud-expired", "between", ca=True, until=2025)
make("proud-future", "between", ca=True, since=2040)
make("proud-tls", "between", ca=True, extended=(Extended.SERVER_AUTH,))
make("proud-issues-only", "between", ca=True, use=ISSUES)
make("proud-under-leaf", "leaf-not-ca", ca=True)
make("proud-under-proud", "proud", ca=True)
make("proud-under-expired", "between-expired", ca=True)
make("proud-under-expired-root", "root-expired", ca=True)
make("proud-under-no-usage", "between-no-usage", ca=True)
make("proud-too-long", "between-under-length-0", ca=True)
make("proud-length-0", "between-length-0", ca=True)
make("proud-under-tls", "between-tls", ca=True)
make("proud-under-constrained", "between-constrained", ca=True)
make("proud-under-unknown", "between-unknown", ca=True)
make("proud-under-constrained-softly", "between-constrained-softly", ca=True)
make("proud-under-constrained-root", "root-constrained", ca=True)
make("proud-too-long-for-root", "between-under-root-length-0", ca=True)
make("proud-unknown", "between", ca=True, more=[(unknown, True)])
make("proud-twin", "root-twin", ca=True)
make("proud-self", ca=True)
make("proud-under-rsa1024", "root-rsa1024", ca=True)


def weak(name, ca):
    """Signed with SHA-1, which the library above does not do any more."""
    keep(name, KEYS["p256"]())
    (folder / "openssl.cnf").write_text("[req]\ndistinguished_name = none\n[none]\n")
    openssl = [
        "openssl", "req", "-config", "openssl.cnf", "-x509", "-new", "-sha1", "-days", "7000", "-subj", f"/CN={name}",
        "-key", f"{name}.pem.key", "-CA", "root-rsa.pem", "-CAkey", "root-rsa.pem.key", "-out", f"{name}.der",
        "-outform", "DER", "-addext", "keyUsage=critical,digitalSignature", "-addext", "extendedKeyUsage=codeSigning",
        "-addext", f"basicConstraints=critical,CA:{ca}",
    ]
    subprocess.run(openssl, cwd=folder, check=True, capture_output=True)


weak("leaf-sha1", "FALSE")
weak("proud-sha1", "TRUE")
