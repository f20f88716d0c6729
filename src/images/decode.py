"""Opening one image file as upright 8-bit RGB."""

import ctypes
import io
import logging
import operator
import stat
import threading
import warnings
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 200_000_000  # of the picture as decoded
MAX_BYTES = 410_000_000  # of the same, and of its RGB copy: 4 for each pixel in colour
MAX_SIDE = 65_535  # the largest that JPEG and GIF know
MAX_FILE_BYTES = 1 << 30
_LARGE = 25_000_000  # pixels; such images are decoded one at a time
_STRIP = 2_000_000  # pixels of them that are converted at once
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}  # per pixel; others have 4
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112  # in EXIF: a key of _TURNS, or 1
_one_large_image = threading.Lock()
# Others are never tried, whatever a file holds: an EPS, say, is a program that would be run.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")

# Pillow's own limit looks at the size in the file's header; ours looks at what would really be
# decoded, so that a 250-megapixel JPEG, read at an eighth of its size, is no problem.
Image.MAX_IMAGE_PIXELS = None
# Blocks of this size, unlike Pillow's own, go back to the system when a picture is done with.
_core: Any = Image.core  # type: ignore[attr-defined]
_core.set_block_size(64 << 20)

# What is wrong with a file is said in our own words.
warnings.filterwarnings("ignore", module="PIL")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
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
    source: Path | bytes | BinaryIO, *, min_side: int | None = None, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Open an image file or its content: upright by its EXIF orientation, RGB, 8 bits.

    Transparent parts become white; of an animation the first frame is taken. `min_side` is the
    shorter side, in pixels, that the caller will shrink the image to: a JPEG is then decoded at
    1/2, 1/4 or 1/8 of its size (the decoder's own scaling), keeping the shorter side at twice this
    length or more; other large images are shrunk likewise, part by part. What cannot be decoded
    raises UnreadableImage, or TooLarge.
    """
    try:
        if isinstance(source, Path):
            with open_file(source) as file:
                return open_image(file, min_side=min_side, max_pixels=max_pixels)
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        if not file.read(1):
            raise UnreadableImage("empty file")
        with Image.open(file, formats=FORMATS) as image:
            return _upright_rgb(image, min_side, max_pixels)
    except UnreadableImage:
        raise
    except UnidentifiedImageError:
        raise UnreadableImage("not an image that can be read") from None
    except Exception as error:  # a damaged file makes decoders raise whatever their parts raise
        raise UnreadableImage(str(error) or type(error).__name__) from None


def open_file(path: Path) -> BinaryIO:
    """An image file's content; UnreadableImage for a very large one, a pipe or a device."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImage("not a file")
    if status.st_size > MAX_FILE_BYTES:
        raise UnreadableImage("file larger than 1 GiB")
    # What a kernel offers as files, some of them endless, has no size.
    return path.open("rb") if status.st_size else io.BytesIO()


def pixels_of(path: Path) -> int:
    """Width times height, as the file's header says; 0 where that cannot be read."""
    try:
        with open_file(path) as file, Image.open(file, formats=FORMATS) as image:
            return image.width * image.height
    except Exception:  # as above
        return 0


def _upright_rgb(image: Image.Image, min_side: int | None, max_pixels: int) -> Image.Image:
    width, height = image.size
    if min_side is not None and image.format in {"JPEG", "MPO"}:
        scale = 2 * min_side / min(width, height)
        if scale < 1:
            image.draft(image.mode, (round(width * scale), round(height * scale)))
    pixels, factor, plain = image.width * image.height, 1, _is_plain(image)
    if pixels > _LARGE and min_side is not None:
        while min(image.size) >= 4 * factor * min_side:
            factor *= 2
    each = 16 if image.format == "WEBP" else _BYTES.get(image.mode, 4)  # its decoder copies
    size = pixels * (each + (0 if plain and factor == 1 else 4 / factor**2))
    if "progressive" in image.info:  # all of a JPEG's coefficients are kept, whatever its draft
        _, across, down, _ = zip(*image.layer, strict=True)  # type: ignore[attr-defined]
        shares = sum(map(operator.mul, across, down)) / (max(across) * max(down))
        pixels = width * height
        size += 2 * pixels * shares
    if pixels > max_pixels or size > MAX_BYTES or max(image.size) > MAX_SIDE:
        raise TooLarge(f"too large: {width} x {height} pixels")
    with _one_large_image if pixels > _LARGE else nullcontext():
        image.load()
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
        if pixels > _LARGE and not (plain and factor == 1):
            rgb = _shrunk(image, factor)
        else:
            rgb = _to_rgb(image, _white(image))
        rgb = rgb if turn is None else rgb.transpose(turn)
        if rgb is not image:
            image.close()  # in some formats it refers to itself, and would stay in memory
            if pixels > _LARGE:
                _give_back_memory()
    return rgb


def _give_back_memory() -> None:
    """What glibc would keep for each thread that decoded something large."""
    with suppress(AttributeError, OSError, TypeError):  # another system
        ctypes.CDLL(None).malloc_trim(0)


def _is_plain(image: Image.Image) -> bool:
    return image.mode == "RGB" and not image.has_transparency_data


def _shrunk(image: Image.Image, factor: int) -> Image.Image:
    """A large image as RGB, converted part by part."""
    white, (width, height) = _white(image), image.size
    whole = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = max(_STRIP // (width * factor), 1) * factor
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        whole.paste(_to_rgb(strip, white).reduce(factor), (0, top // factor))
    return whole


def _white(image: Image.Image) -> float:
    """The value that stands for white where an image has other numbers than bytes."""
    if image.mode.startswith("I;16"):
        return 65535
    if image.mode not in {"I", "F"}:
        return 255
    highest: Any = image.getextrema()[1]
    if image.mode == "F":
        return 1 if highest <= 1 else 255
    return 255 if highest <= 255 else 65535


def _to_rgb(image: Image.Image, white: float) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        values = np.nan_to_num(np.asarray(image, np.float32)) * np.float32(255 / white)
        bytes_ = np.clip(np.round(values), 0, 255).astype(np.uint8)
        return Image.fromarray(bytes_).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image if _is_plain(image) else image.convert("RGB")
