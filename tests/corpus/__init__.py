"""Writes the corpus of malicious model files that the scanner is scored on; see `make.py`."""
