"""Measurements: `python -m bench.NAME`; each prints one JSON line. See README.md."""
