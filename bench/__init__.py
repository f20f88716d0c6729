"""Measurements: `python -m bench.NAME`; each prints one JSON line."""

import os
from pathlib import Path


def real_assets() -> Path:
    """The folder of real data; without it the measurement ends, in a line."""
    if not os.environ.get("REAL_ASSETS"):
        raise SystemExit("REAL_ASSETS is not set: it must name the folder of real data")
    return Path(os.environ["REAL_ASSETS"])
