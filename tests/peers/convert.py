"""Reads rule files with pySigma, validates them and converts them for Splunk; one JSON line for each rule."""

import json
import pathlib
import sys

from sigma.backends.splunk import SplunkBackend
from sigma.collection import SigmaCollection
from sigma.plugins import InstalledSigmaPlugins
from sigma.validation import SigmaValidator

# Which validators are run, and which ones are not: both together are all that there are.
VALIDATORS = sys.argv[1].split(",")
LEFT_OUT = sys.argv[2].split(",")


def main():
    known = InstalledSigmaPlugins.autodiscover().validators
    unheard = set(known) ^ {*VALIDATORS, *LEFT_OUT}
    if unheard:
        sys.exit(f"validators that are neither run nor left out, or that are not there: {sorted(unheard)}")
    validators = {name: known[name] for name in VALIDATORS}
    backend = SplunkBackend()
    # One for all files: what must be unique is so among all of them.
    validator = SigmaValidator(validators.values())
    told_all = []
    for path in map(pathlib.Path, sys.argv[3:]):
        told = {"path": str(path), "errors": [], "issues": [], "queries": []}
        try:
            collection = SigmaCollection.load_ruleset([path])  # with its path, which validators look at
            for rule in collection.rules:
                told["issues"] += [str(issue) for issue in validator.validate_rule(rule)]
            told["queries"] = backend.convert(collection)
        except Exception as error:
            told["errors"].append(f"{type(error).__name__}: {error}")
        told_all.append(told)
    if told_all:
        told_all[-1]["issues"] += [str(issue) for issue in validator.finalize()]
    for told in told_all:
        print(json.dumps(told))


main()
