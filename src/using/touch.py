"""Modification times in the order of the scores, so that any image viewer can sort by taste."""

from collections.abc import Sequence
from pathlib import Path

from src.using.changes import Touch

STEP_NS = 2_000_000_000
"""Between two images: no file system in use, FAT included, keeps times more coarsely."""


def touch_in_order(directory: Path, paths: Sequence[str], *, newest_ns: int) -> list[Touch]:
    """Give the first image the newest time and each of the others one two seconds older.

    Args:
        directory: the image folder.
        paths: in the wanted order, relative to the folder.
        newest_ns: time of the first image, nanoseconds since 1970; whole seconds are taken.

    Raises:
        OSError: an image is gone.
    """
    newest = newest_ns // STEP_NS * STEP_NS
    return [
        Touch(path, (directory / path).stat().st_mtime_ns, newest - place * STEP_NS)
        for place, path in enumerate(paths)
    ]
