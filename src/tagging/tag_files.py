"""Tag files beside images: `image1.jpg.txt` with one tag on a line, or their common variants."""

import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from src.errors import DataError
from src.file_changes.changes import Change, Write
from src.images import EXTENSIONS
from src.settings.tags import TagFiles

_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class SidecarScan(NamedTuple):
    """Which images of a folder have a tag file; all paths relative, with forward slashes.

    Images that would share a tag file (`image1.txt` beside both `image1.jpg` and `image1.png`)
    count as missing.
    """

    files: dict[str, str]  # image -> its tag file
    missing: list[str]  # images without one, in the order given
    orphans: list[str]  # tag files without an image, sorted
    shared: set[str]  # images whose tag file would belong to others, too


def sidecar_of(image: str, style: TagFiles) -> str:
    """The tag file's path that belongs to an image's path."""
    if style.tag_files == "image1.txt":
        return PurePosixPath(image).with_suffix(".txt").as_posix()
    return f"{image}.txt"


def clean_tags(tags: Iterable[str]) -> list[str]:
    """Tags without surrounding space, empty ones and repetitions, in their first order.

    Unicode is composed (NFC): macOS takes accents in file names apart.
    """
    stripped = (
        unicodedata.normalize("NFC", " ".join(tag.replace("\ufeff", "").split())) for tag in tags
    )
    return [tag for tag in dict.fromkeys(stripped) if tag]


def parse_tags(text: str, style: TagFiles) -> list[str]:
    return clean_tags((text.replace(",", "\n") if style.tag_commas else text).splitlines())


def read_text(file: Path) -> str:
    """A text file that somebody wrote: UTF-8, or UTF-16 with a byte order mark."""
    try:
        content = file.read_bytes()
        text = content.decode(_BYTE_ORDER_MARKS.get(content[:2], "utf-8"))
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise DataError(f"{file} is not UTF-8 text: save it as UTF-8") from None
    if "\0" in text:
        raise DataError(f"{file} is not a text file")
    return text.removeprefix("\ufeff")


def read_tags(file: Path, style: TagFiles) -> list[str]:
    return parse_tags(read_text(file), style)


def format_tags(tags: Sequence[str], style: TagFiles) -> str:
    """The text of a tag file: one tag on a line, or all on one line with commas."""
    tags = clean_tags(tags)
    if not style.tag_commas:
        return "".join(f"{tag}\n" for tag in tags)
    cut = next((tag for tag in tags if "," in tag), None)
    if cut is not None:
        raise DataError(f"the tag {cut!r} cannot be written between commas")
    return ", ".join(tags) + "\n" if tags else ""


def tag_changes(
    directory: Path, tags: Mapping[str, Sequence[str]], style: TagFiles
) -> list[Change]:
    """Changes that give tag files (relative to the folder) these tags, where they differ."""
    return [
        Write.of(directory, file, format_tags(wanted, style).encode())
        for file, wanted in tags.items()
        if not (directory / file).exists()
        or read_tags(directory / file, style) != clean_tags(wanted)
    ]


def scan_sidecars(directory: Path, images: Sequence[str], style: TagFiles) -> SidecarScan:
    there = _text_files(directory, images)
    wanted: dict[str, list[str]] = {}
    for image in images:
        wanted.setdefault(sidecar_of(image, style), []).append(image)
    files = {own[0]: file for file, own in wanted.items() if file in there and len(own) == 1}
    shared = [own for file, own in wanted.items() if file in there and len(own) > 1]
    missing = [image for image in images if image not in files]
    orphans = sorted(file for file in there - wanted.keys() if _looks_like_sidecar(file, style))
    return SidecarScan(files, missing, orphans, set(chain.from_iterable(shared)))


def _text_files(directory: Path, images: Sequence[str]) -> set[str]:
    """Every visible .txt file below the folder, and in the folders that hold images."""
    folders = {PurePosixPath(image).parent.as_posix() for image in images}  # some may be links
    for folder, below, _ in os.walk(directory):
        below[:] = [name for name in below if not name.startswith(".")]
        folders.add(Path(folder).relative_to(directory).as_posix())
    found = set()
    for name in folders:
        with suppress(OSError):  # a folder that may not be listed
            names = [entry for entry in os.listdir(directory / name) if entry.endswith(".txt")]
            found |= {PurePosixPath(name, n).as_posix() for n in names if not n.startswith(".")}
    return found


def _looks_like_sidecar(file: str, style: TagFiles) -> bool:
    """`image1.txt` could be anything, so there only files in folders below the top count."""
    if style.tag_files == "image1.txt":
        return "/" in file
    return PurePosixPath(file).with_suffix("").suffix.lower() in EXTENSIONS
