"""Ranks."""

import importlib
import sys

from .version import __version__

_LAZY = {"Ranker": "model", "serve": "serve"}


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module("." + _LAZY[name], __name__), name)
    raise AttributeError(name)


if sys.version_info < (3, 10):
    __import__("warnings").warn("an old Python")
