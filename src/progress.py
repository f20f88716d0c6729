"""One progress bar style for all long work."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm


def progress_bar(total: int, what: str, unit: str = "image") -> "tqdm[None]":
    """A bar on the terminal with rate and time left; nothing where there is no terminal.

    Args:
        total: how many units there are to do.
        what: what is being done, as a short phrase.
        unit: what is counted, in the singular.
    """
    from tqdm import tqdm

    return tqdm(
        total=total, desc=what, unit=f" {unit}s", disable=not sys.stderr.isatty(), smoothing=0.1
    )
