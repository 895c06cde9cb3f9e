"""Where samples go: one folder each, since what a file is called is a part of what it is, and a line in the manifest."""

import hashlib
import json
import pathlib
import random


class Corpus:
    """The folder that is written. Two samples of the same bytes and name are a mistake of the generator."""

    def __init__(self, out):
        self.out = pathlib.Path(out)
        self.rows = []
        self.seen = set()
        self.counts = {}

    def add(self, kind, form, name, data, why, label="malicious"):
        """One sample of class `kind` in format `form`; `why` says what a loader of it would do."""
        if isinstance(data, str):
            data = data.encode()
        identity = (hashlib.sha256(data).hexdigest(), name)
        assert identity not in self.seen, f"{kind}: {name} is there already ({why})"
        self.seen.add(identity)
        number = self.counts[kind] = self.counts.get(kind, 0) + 1
        relative = pathlib.Path(kind) / f"{number:03d}" / name
        path = self.out / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.rows.append({"path": str(relative), "label": label, "class": kind, "format": form, "why": why})

    def finish(self):
        """Writes the manifest."""
        with open(self.out / "manifest.jsonl", "w", encoding="utf-8") as manifest:
            for row in self.rows:
                manifest.write(json.dumps(row) + "\n")


def rng(*seed):
    """Chance that is the same in every run."""
    return random.Random("/".join(map(str, seed)))


# What the samples would run. All of it does nothing that matters.
COMMANDS = [
    "true", "echo corpus", "id -u >/dev/null", ": noop", "uname -s", "printf ok", "test -d /", "date +%s",
    "sleep 0", "echo corpus | cat", "true && true", "env -i true", "sh -c :", "hostname >/dev/null", "expr 1 + 1",
]
SOURCES = [
    "import os; os.system('true')", "__import__('os').system('echo corpus')", "__import__('subprocess').run(['true'])",
    "import subprocess as s; s.call(['true'])", "open('/tmp/.corpus','w').close()",
    "exec(bytes.fromhex('70617373'))", "import socket; socket.gethostname()",
    "(lambda o: o.popen('true'))(__import__('os'))", "import platform; platform.node()",
]
