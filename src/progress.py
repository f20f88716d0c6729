"""One progress bar style for all long work."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from tqdm import tqdm


@contextmanager
def progress_bar(total: int, what: str, unit: str = "image") -> "Iterator[tqdm[None]]":
    """A bar on the terminal with rate and time left; nothing where there is no terminal.

    Without tqdm, which light inference does not ask for, a plain line of the same.

    Args:
        total: how many units there are to do.
        what: what is being done, as a short phrase.
        unit: what is counted, in the singular.
    """
    try:
        from tqdm import tqdm
    except ImportError:
        line = _Line(total, what, unit)
        try:
            yield cast("tqdm[None]", line)
        finally:
            line.close()
        return
    with tqdm(
        total=total, desc=what, unit=f" {unit}s", disable=not sys.stderr.isatty(), smoothing=0.1
    ) as bar:
        yield bar


class _Line:
    """What of tqdm the light path uses."""

    def __init__(self, total: int, what: str, unit: str) -> None:
        self._total, self._what, self._unit = total, what, unit
        self._done, self._shown, self._start = 0, 0.0, time.monotonic()

    def update(self, n: int = 1) -> None:
        self._done += n
        now = time.monotonic()
        if not sys.stderr.isatty() or now - self._shown < 0.2:
            return
        self._shown, seconds = now, now - self._start
        rate = self._done / seconds if seconds else 0.0
        left = (self._total - self._done) / rate if rate else 0.0
        text = f"{self._what}: {self._done:,} of {self._total:,}, {rate:.1f} {self._unit}s/s"
        sys.stderr.write(f"\r{text}, {left / 60:.1f} min left   ")
        sys.stderr.flush()

    def close(self) -> None:
        if self._shown:
            sys.stderr.write("\n")
