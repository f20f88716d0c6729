"""Which files below a folder are images."""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from src.errors import DataError

logger = logging.getLogger(__name__)

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


class ImageFile(NamedTuple):
    """One image file as the file system describes it."""

    path: str  # relative to the scanned folder, with forward slashes
    size: int  # bytes
    mtime_ns: int  # time of the last change, nanoseconds since 1970


def find_images(directory: Path) -> list[str]:
    """Paths of all images below a folder, relative to it, with forward slashes, sorted."""
    return [image.path for image in scan_images(directory)]


def scan_images(directory: Path) -> list[ImageFile]:
    """Every image below a folder with its size and time of change, sorted by path.

    Names that begin with a dot are passed over, and so are names that are no valid Unicode.
    Links are followed, but no real folder is entered twice on one way down, so that links in
    a circle end.
    """
    if not directory.is_dir():
        raise DataError(
            f"there is no folder {str(directory)!r}: "
            "set top_level_image_directory to the folder that holds your images"
        )
    strange: list[str] = []
    found = sorted(_walk(str(directory), "", (os.path.realpath(directory),), strange))
    if strange and strange != _named.get(directory):
        what = "files are passed over, because their names are not text or they lead nowhere"
        logger.warning("%d %s: %s", len(strange), what, ", ".join(map(ascii, strange)))
        _named[directory] = strange
    return found


_named: dict[Path, list[str]] = {}  # what was named of each folder, once


def _walk(
    folder: str, prefix: str, ancestors: tuple[str, ...], strange: list[str]
) -> Iterator[ImageFile]:
    try:
        entries = list(os.scandir(folder))
    except OSError:  # a folder that may not be listed
        return
    for entry in entries:
        name = entry.name
        if name.startswith("."):
            continue
        try:
            name.encode("utf-8")
            if entry.is_dir():
                real = os.path.realpath(entry.path)
                if real not in ancestors:
                    yield from _walk(entry.path, f"{prefix}{name}/", (*ancestors, real), strange)
            elif os.path.splitext(name)[1].lower() in EXTENSIONS:
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):
                    yield ImageFile(prefix + name, status.st_size, status.st_mtime_ns)
        except (OSError, UnicodeEncodeError):  # gone, a link to nowhere, or bytes that are no text
            strange.append(prefix + name)
