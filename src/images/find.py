"""Which files below a folder are images."""

import logging
import os
import stat
from contextlib import suppress
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
    Links are followed, but no folder is entered twice: an image is there once, under its real path
    where that is below the folder.
    """
    if not directory.is_dir():
        raise DataError(
            f"there is no folder {str(directory)!r}: "
            "set top_level_image_directory to the folder that holds your images"
        )
    found, strange, entered = list[ImageFile](), list[str](), set[str]()
    folders, links = [("", str(directory))], list[tuple[str, str]]()
    while folders or links:
        links.sort(reverse=True)
        prefix, folder = (folders or links).pop()
        real = os.path.realpath(folder)
        if real in entered:
            continue
        entered.add(real)
        with suppress(OSError), os.scandir(folder) as entries:  # one that may not be listed
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                path = prefix + entry.name
                try:
                    path.encode("utf-8")
                    if entry.is_dir():
                        where = links if entry.is_symlink() else folders
                        where.append((f"{path}/", entry.path))
                    elif os.path.splitext(path)[1].lower() in EXTENSIONS:
                        status = entry.stat()
                        if stat.S_ISREG(status.st_mode):
                            found.append(ImageFile(path, status.st_size, status.st_mtime_ns))
                except (OSError, UnicodeEncodeError):  # gone, a link to nowhere, or not text
                    strange.append(path)
    if strange and sorted(strange) != _named.get(directory):
        _named[directory] = sorted(strange)
        what = "Skipped, because their names are not text or they are broken links"
        logger.warning("%s (%d): %s", what, len(strange), ", ".join(map(ascii, sorted(strange))))
    return sorted(found)


_named: dict[Path, list[str]] = {}  # what was named of each folder, once
