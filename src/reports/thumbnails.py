"""Small pictures inside a page."""

import base64
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from src.images import UnreadableImage, open_image

SIDE = 320  # pixels of the longer side: sharp at 160 on a high-density screen
_QUALITY = 80


def thumbnails(files: Sequence[Path], side: int = SIDE) -> list[str]:
    """Data URIs of JPEG thumbnails in the files' order; "" for a file that cannot be read."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda file: thumbnail(file, side), files))


def thumbnail(file: Path, side: int = SIDE) -> str:
    """One thumbnail as a data URI, its longer side `side` pixels or less."""
    try:
        image = open_image(file, min_side=side)
    except UnreadableImage:
        return ""
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
