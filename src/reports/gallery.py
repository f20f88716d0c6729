"""gallery.html: all images of a folder sorted by score, to look through and to filter.

The page shows 20,000 images and more: it holds their table, draws only the tiles in sight, and
its thumbnails are small files beside it.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image

from src.files import replacing
from src.images import UnreadableImage, open_image
from src.progress import progress_bar
from src.reports.html import write_page

SIDE = 320  # pixels of a thumbnail's longer side
_QUALITY = 78
THUMBNAILS = "thumbnails"  # folder beside the page


def write_gallery(
    page: Path,
    directory: Path,
    paths: Sequence[str],
    numbers: Mapping[str, np.ndarray],
    thumbnails: Sequence[str] | None,
    *,
    title: str,
    best_first: bool = True,
) -> None:
    """Write the page; it needs the images where they are, and the thumbnails beside it.

    Args:
        page: the HTML file.
        directory: the image folder.
        paths: images relative to it, (n).
        numbers: name -> (n,): what can be sorted by and filtered; the first is sorted by at first.
        thumbnails: names in the folder `THUMBNAILS`, (n), "" where there is none; None to show
            the images themselves instead.
        title: heading of the page.
        best_first: begin with the highest values.

    Raises:
        DataError: the file cannot be written.
    """
    content: dict[str, Any] = {
        "images": relative_url(directory, page.parent),
        "thumbnails": None if thumbnails is None else list(thumbnails),
        "folder": THUMBNAILS,
        "best_first": best_first,
        "paths": list(paths),
        "numbers": [
            [name, [None if np.isnan(x) else round(float(x), 4) for x in values]]
            for name, values in numbers.items()
        ],
    }
    write_page(page, "gallery.html", title=title, content=content)


def relative_url(target: Path, start: Path) -> str:
    """A link from a page in the folder `start` to a file or folder, as a browser wants it."""
    target, start = target.resolve(), start.resolve()
    try:
        return quote(Path(os.path.relpath(target, start)).as_posix())
    except ValueError:  # on another drive of a Windows machine
        return target.as_uri()


def write_thumbnails(
    folder: Path, files: Sequence[Path], sha256s: Sequence[bytes], *, side: int = SIDE
) -> list[str]:
    """Small JPEGs, named by the content of their images; those that are there are kept.

    Args:
        folder: where to, made if need be.
        files: the images, (n).
        sha256s: their contents, (n).
        side: pixels of the longer side.

    Returns:
        The names of the thumbnails, (n); "" for an image that cannot be read.

    Raises:
        DataError: the folder cannot be written.
    """
    names = [f"{sha256.hex()[:24]}.jpg" for sha256 in sha256s]
    folder.mkdir(parents=True, exist_ok=True)
    present = {entry.name for entry in os.scandir(folder)}
    missing = {name: file for name, file in zip(names, files, strict=True) if name not in present}
    failed = set()
    with progress_bar(len(missing), "thumbnails") as bar, ThreadPoolExecutor() as pool:
        for name, done in zip(
            missing,
            pool.map(lambda item: _write(folder / item[0], item[1], side), missing.items()),
            strict=True,
        ):
            bar.update()
            if not done:
                failed.add(name)
    return ["" if name in failed else name for name in names]


def _write(path: Path, file: Path, side: int) -> bool:
    try:
        image = open_image(file, min_side=side // 2)
    except UnreadableImage:
        return False
    image.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    with replacing(path) as temporary:
        image.save(temporary, "JPEG", quality=_QUALITY)
    return True
