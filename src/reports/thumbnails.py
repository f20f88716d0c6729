"""Small pictures of images, inside a page or as files beside it."""

import base64
import io
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from src.files import replacing
from src.images import UnreadableImage, open_image
from src.progress import progress_bar

SIDE = 320  # pixels of the longer side: sharp at 160 on a high-density screen
THUMBNAILS = "thumbnails"  # folder beside the page
_QUALITY = 80


def thumbnails(files: Sequence[Path], side: int = SIDE) -> list[str]:
    """Data URIs of JPEG thumbnails in the files' order; "" for a file that cannot be read."""
    with ThreadPoolExecutor() as pool:
        contents = [base64.b64encode(jpeg) for jpeg in pool.map(lambda f: _jpeg(f, side), files)]
    return [f"data:image/jpeg;base64,{text.decode()}" if text else "" for text in contents]


def write_thumbnails(folder: Path, files: Sequence[Path], sha256s: Sequence[bytes]) -> list[str]:
    """Write small JPEGs that are not there yet, and return their names, made from the contents.

    "" stands for an image that cannot be read.
    """
    names = [f"{sha256.hex()[:24]}.jpg" for sha256 in sha256s]
    folder.mkdir(parents=True, exist_ok=True)
    present = {entry.name for entry in os.scandir(folder)}
    missing = {name: file for name, file in zip(names, files, strict=True) if name not in present}

    def write(name: str) -> bool:
        content = _jpeg(missing[name], SIDE, fast=True)
        if content:
            with replacing(folder / name) as temporary:
                temporary.write_bytes(content)
        return bool(content)

    with progress_bar(len(missing), "thumbnails") as bar, ThreadPoolExecutor() as pool:
        for name, done in zip(missing, pool.map(write, missing), strict=True):
            bar.update()
            if done:
                present.add(name)
    return [name if name in present else "" for name in names]


def image_rows(
    directory: Path, rows: Sequence[tuple[str, str, Iterable[tuple[str, str]]]]
) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Heading, note, and images (path, caption), with thumbnails; rows without images are left out.

    For the macro `galleries`.
    """
    listed = [(heading, note, images) for heading, note, given in rows if (images := list(given))]
    paths = list(dict.fromkeys(path for _, _, images in listed for path, _ in images))
    pictures = dict(zip(paths, thumbnails([directory / path for path in paths]), strict=True))

    def shown(images: list[tuple[str, str]]) -> list[dict[str, Any]]:
        return [{"path": p, "caption": text, "thumbnail": pictures[p]} for p, text in images]

    return [(heading, note, shown(images)) for heading, note, images in listed]


def _jpeg(file: Path, side: int, *, fast: bool = False) -> bytes:
    """A longer side of `side` pixels or less; nothing if it cannot be read. Fast is less sharp."""
    try:
        image = open_image(file, min_side=side // 2 if fast else side)
    except UnreadableImage:
        return b""
    image.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
