"""Where benign files go, and the manifest that says what each of them is."""

import json
import pathlib

SEED = 20260711


class Corpus:
    """A folder of files made by real libraries, one line of `manifest.jsonl` each."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lines = []
        self.known = set()

    def at(self, name, kind, form, why, expects=()):
        """The path of a file that the caller is about to write, with its line in the manifest; `expects` names
        findings that are documented of every such file, as of a class that only its author has."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._line(name, kind, form, why, expects)
        return path

    def put(self, name, kind, form, why, data):
        self.at(name, kind, form, why).write_bytes(data if isinstance(data, bytes) else data.encode())

    def inside(self, name):
        """A folder that a library fills by itself; `tree` takes down what it wrote."""
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def tree(self, name, kind, why, expects=()):
        """Takes down every file under a folder."""
        for path in sorted((self.folder / name).rglob("*")):
            if path.is_file() and path.stat().st_size > 0:
                form = path.suffix.lstrip(".").lower() or path.name.lower()
                self._line(str(path.relative_to(self.folder)), kind, form, why, expects)

    def _line(self, name, kind, form, why, expects=()):
        if name in self.known:
            return
        self.known.add(name)
        self.lines.append({"path": name, "label": "benign", "class": kind, "format": form, "why": why} | ({"expects": list(expects)} if expects else {}))

    def finish(self):
        """Appends the lines of files that were really written; a malicious half may be there already."""
        with open(self.folder / "manifest.jsonl", "a", encoding="utf-8") as out:
            written = [line for line in self.lines if (self.folder / line["path"]).is_file()]
            for line in written:
                out.write(json.dumps(line, sort_keys=True) + "\n")
        return len(written)
