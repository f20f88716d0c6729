"""Keeping a copy of a file that is about to be replaced for being damaged or changed."""

import shutil
import time
from pathlib import Path

from src.errors import DataError


def set_aside(path: Path, what: str = "damaged") -> Path:
    """Copy a file to `NAME.damaged-TIME` beside it, once per content; returns the copy's path."""
    try:
        content = path.read_bytes()
        for copy in sorted(path.parent.glob(f"{path.name}.{what}-*")):
            if copy.read_bytes() == content:
                return copy
        name = f"{path.name}.{what}-{time.strftime('%Y%m%d-%H%M%S')}"
        copy = path.with_name(name)
        number = 1
        while copy.exists():
            number += 1
            copy = path.with_name(f"{name}-{number}")
        shutil.copy2(path, copy)
    except OSError as error:
        raise DataError(
            f"{path} is {what}, and no copy of it could be set aside ({error.strerror}): "
            "copy it yourself, then delete it"
        ) from error
    return copy
