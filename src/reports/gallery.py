"""gallery.html: all images of a folder sorted by score, to look through and to filter.

The page shows 20,000 images and more: it holds their table, draws only the tiles in sight, and
its thumbnails are small files beside it.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from src.reports.html import write_page
from src.reports.thumbnails import THUMBNAILS


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

    `numbers`, each (n,), can be sorted by and filtered, at first by the first. Thumbnails are names
    in the folder `THUMBNAILS`, "" where there is none; None shows the images themselves instead.
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
