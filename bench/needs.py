"""What a measurement needs and does not find, said in one line before it starts."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path


def real_assets() -> Path:
    """The folder of real photographs and models that the environment variable REAL_ASSETS names."""
    folder = Path(os.environ.get("REAL_ASSETS", ""))
    if not ((folder / "rated-photos").is_dir() and (folder / "backbones").is_dir()):
        raise SystemExit(
            "This needs real photographs: set REAL_ASSETS to the folder with rated-photos and "
            "backbones in it"
        )
    return folder


def packages(*names: str) -> None:
    """Ends the program if one of these packages is not installed."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise SystemExit(
            f"This needs {' and '.join(missing)}: python run.py install {' '.join(missing)}"
        )


def programs(*names: str) -> None:
    """Ends the program if one of these commands is not installed."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        raise SystemExit(f"This needs {' and '.join(missing)}, which is not installed")


def linux() -> None:
    """Ends the program on other systems."""
    if sys.platform != "linux":
        raise SystemExit("This needs Linux")
