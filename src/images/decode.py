"""Opening one image file as upright 8-bit RGB."""

import ctypes
import io
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 200_000_000  # of the picture as decoded
MAX_BYTES = 400 << 20  # that it takes in memory
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}  # of a pixel; in other modes four
_BAND = 4_000_000  # pixels that are converted at once
MAX_FILE_BYTES = 1 << 30
# Others are never tried, whatever a file holds: an EPS, say, is a program that would be run.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")

# Pillow's own limit looks at the size in the file's header; ours looks at what would really be
# decoded, so that a 250-megapixel JPEG, read at an eighth of its size, is no problem.
Image.MAX_IMAGE_PIXELS = None
# Blocks of this size, unlike Pillow's own, go back to the system when a picture is done with.
_core: Any = Image.core  # type: ignore[attr-defined]
_core.set_block_size(64 << 20)

with suppress(AttributeError, ImportError, OSError):  # where libtiff is a library of its own
    from PIL import _imaging

    # libtiff would write to the terminal what is wrong with a file; Pillow raises it as well.
    _libtiff = ctypes.CDLL(_imaging.__file__)
    _libtiff.TIFFSetErrorHandler(None)
    _libtiff.TIFFSetWarningHandler(None)


class UnreadableImage(Exception):
    """A file that is no image, is damaged, or is too large; the message says which."""


class TooLarge(UnreadableImage):
    """An image of more pixels than are decoded."""


def open_image(
    source: Path | bytes, *, min_side: int | None = None, max_pixels: int | None = None
) -> Image.Image:
    """Open an image file, or its content: upright by its EXIF orientation, RGB, 8 bits.

    Transparent parts become white; of an animation the first frame is taken. `min_side` is the
    shorter side, in pixels, that the caller will shrink the image to: a JPEG is then decoded at
    1/2, 1/4 or 1/8 of its size (the decoder's own scaling), keeping the shorter side at twice this
    length or more. What cannot be decoded raises UnreadableImage, or TooLarge.
    """
    try:
        content = read_file(source) if isinstance(source, Path) else source
        if not content:
            raise UnreadableImage("empty file")
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return _upright_rgb(image, min_side, max_pixels or MAX_PIXELS)
    except UnreadableImage:
        raise
    except UnidentifiedImageError:
        raise UnreadableImage("not an image that can be read") from None
    except Exception as error:  # a damaged file makes decoders raise whatever their parts raise
        raise UnreadableImage(str(error) or type(error).__name__) from None


def read_file(path: Path) -> bytes:
    """The content of an image file; UnreadableImage for a large one, a pipe or a device."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImage("not a file")
    if status.st_size > MAX_FILE_BYTES:
        raise UnreadableImage("file larger than 1 GiB")
    # What a kernel offers as files, some of them endless, has no size.
    return path.read_bytes() if status.st_size else b""


def _upright_rgb(image: Image.Image, min_side: int | None, max_pixels: int) -> Image.Image:
    width, height = image.size
    if min_side is not None and image.format in {"JPEG", "MPO"}:
        scale = 2 * min_side / min(width, height)
        if scale < 1:
            image.draft(image.mode, (round(width * scale), round(height * scale)))
    pixels = image.size[0] * image.size[1]
    factor = max(1, min(image.size) // (4 * min_side)) if min_side and pixels > 4 * _BAND else 1
    taken = _BYTES.get(image.mode, 4) + (4 / factor**2 if min_side and image.mode != "RGB" else 0)
    taken *= pixels * (3 if image.format == "WEBP" else 1)
    if image.info.get("progressive"):  # all coefficients of a JPEG are kept, two bytes each
        parts = [across * down for _, across, down, _ in getattr(image, "layer", ())] or [1]
        pixels = width * height
        taken += 2 * pixels * sum(parts) / max(parts)
    if pixels > max_pixels or taken > MAX_BYTES:
        raise TooLarge(f"too large: {width} x {height} pixels")
    image.load()
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    image = _to_rgb(image, factor)
    image.getexif()[ExifTags.Base.Orientation] = orientation
    return ImageOps.exif_transpose(image)


def _to_rgb(image: Image.Image, factor: int) -> Image.Image:
    """RGB, its sides divided by a factor; band after band, since each conversion takes memory."""
    if image.mode == "RGB" and factor == 1:
        return image
    width, height = image.size
    rows = factor * max(1, _BAND // (width * factor))
    bands = [(0, top, width, min(top + rows, height)) for top in range(0, height, rows)]
    highest = 0.0
    if image.mode in {"I", "F"}:  # how their values are meant, the largest tells
        highest = max(np.nan_to_num(np.asarray(image.crop(band))).max() for band in bands)
    result = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for band in bands:
        part = image if len(bands) == 1 else image.crop(band)
        result.paste(_band_to_rgb(part, highest).reduce(factor), (0, band[1] // factor))
    return result


def _band_to_rgb(image: Image.Image, highest: float) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        return Image.fromarray(_eight_bit(image, highest)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _eight_bit(image: Image.Image, highest: float) -> np.ndarray:
    values: np.ndarray = np.nan_to_num(np.asarray(image).astype(np.float32))
    if image.mode == "F" and highest <= 1:
        values = values * 255  # floating-point images are stored as 0 … 1 or as 0 … 255
    elif image.mode != "F" and (image.mode != "I" or highest > 255):
        values = values / 257  # 65535 becomes 255
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
