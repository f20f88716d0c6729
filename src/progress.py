"""One progress bar style for all long work."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm


def progress_bar(total: int, what: str, unit: str = "image") -> "tqdm[None]":
    """A bar on the terminal with rate and time left; nothing where there is no terminal."""
    from tqdm import tqdm

    unit, hidden = f" {unit}s", not sys.stderr.isatty()
    return tqdm(total=total, desc=what, unit=unit, disable=hidden, smoothing=0.1)
