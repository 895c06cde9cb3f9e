"""Reads rule files with pySigma, validates them and converts them for Splunk; one JSON line for each rule."""

import json
import pathlib
import sys

from sigma.backends.splunk import SplunkBackend
from sigma.collection import SigmaCollection
from sigma.plugins import InstalledSigmaPlugins
from sigma.validation import SigmaValidator

# Those that need no network. `namespace_tag` does not know `atlas` yet; `attacktag` and the like
# fetch catalogues when they are made.
VALIDATORS = sys.argv[1].split(",")


def main():
    known = InstalledSigmaPlugins.autodiscover().validators
    validators = {name: known[name] for name in VALIDATORS}
    backend = SplunkBackend()
    for path in map(pathlib.Path, sys.argv[2:]):
        told = {"path": str(path), "errors": [], "issues": [], "queries": []}
        try:
            collection = SigmaCollection.from_yaml(path.read_text())
            validator = SigmaValidator(validators.values())
            for rule in collection.rules:
                told["issues"] += [str(issue) for issue in validator.validate_rule(rule)]
            told["issues"] += [str(issue) for issue in validator.finalize()]
            told["queries"] = backend.convert(collection)
        except Exception as error:
            told["errors"].append(f"{type(error).__name__}: {error}")
        print(json.dumps(told))


main()
