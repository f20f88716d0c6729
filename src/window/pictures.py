"""Decoding pictures in the background, ahead of the moment they are shown."""

import io
import logging
import os
import struct
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from PIL import ExifTags, Image, ImageCms

from src.images import UnreadableImage, open_image
from src.rating.session import Images
from src.window.layout import Frame, Layout, Size, arrange

logger = logging.getLogger(__name__)

Stamp = tuple[int, int]  # a file's time of change (ns) and size (bytes)

_PREPARED = 5  # sets kept ready: the one on show, the one to come, some to go back to
_BUDGET = 400 << 20


class Unavailable(Exception):
    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


class Picture(NamedTuple):
    """A decoded image, perhaps smaller than its file says."""

    stamp: Stamp
    full: Size  # upright, in the file's own pixels
    image: Image.Image


class Prepared(NamedTuple):
    paths: Images
    layout: Layout
    images: list[Image.Image]  # of the layout's sizes, in sRGB
    stamps: tuple[Stamp, ...]
    full: tuple[Size, ...]


def stamp_of(file: Path) -> Stamp | None:
    """What tells one state of a file from another; None if the file is gone."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


class Pictures:
    """The pictures of a folder, decoded by threads; `budget` bytes of pixels are kept."""

    def __init__(self, directory: Path, *, budget: int = _BUDGET) -> None:
        self._directory, self._budget = directory, budget
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="decode")
        self._cache: OrderedDict[str, Picture] = OrderedDict()
        self._prepared: OrderedDict[tuple[Images, Frame], Future[Prepared]] = OrderedDict()
        self._lock = threading.Lock()
        # No picture is decoded twice at the same time.
        self._decoding = [threading.Lock() for _ in range(16)]

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def prepare(self, paths: Images, frame: Frame) -> Future[Prepared]:
        """Start to make a set ready, or find it ready; files that changed are read again.

        The future raises `Unavailable` if one of them cannot be shown.
        """
        key = (paths, frame)
        future = self._prepared.get(key)
        if future is None or (future.done() and not self._is_current(future)):
            future = self._pool.submit(self._prepare, paths, frame)
            self._prepared[key] = future
        self._prepared.move_to_end(key)
        while len(self._prepared) > _PREPARED:
            self._prepared.popitem(last=False)[1].cancel()
        return future

    def full(self, path: str) -> Future[Picture]:
        """Start to decode a picture in its full size."""
        return self._pool.submit(self._picture, path, None)

    def _is_current(self, future: Future[Prepared]) -> bool:
        if future.cancelled() or future.exception() is not None:
            return False
        paths, _, _, stamps, _ = future.result()
        return stamps == tuple(stamp_of(self._directory / path) for path in paths)

    def _prepare(self, paths: Images, frame: Frame) -> Prepared:
        layout = arrange(frame, *(self._full_size(path, frame.area.size) for path in paths))
        decoded = [
            self._picture(path, place.size) for path, place in zip(paths, layout, strict=True)
        ]
        images = [_shown(one.image, place.size) for one, place in zip(decoded, layout, strict=True)]
        stamps, full, _ = zip(*decoded, strict=True)
        return Prepared(paths, layout, images, stamps, full)

    def _full_size(self, path: str, area: Size) -> Size:
        """The upright size; of a JPEG from its header, of others by decoding them."""
        return _jpeg_size(self._directory / path) or self._picture(path, area).full

    def _picture(self, path: str, shown: Size | None) -> Picture:
        """A picture decoded large enough for a size on the screen; None: in full size."""
        with self._decoding[hash(path) % len(self._decoding)]:
            picture = self._cache.get(path)
            if (
                picture is None
                or picture.stamp != stamp_of(self._directory / path)
                or not _large_enough(picture, shown)
            ):
                picture = self._cache[path] = self._decode(path, shown)
        with self._lock:
            self._cache[path] = picture
            self._cache.move_to_end(path)
            kept = [one.image for one in self._cache.values()]
            pixels = sum(image.width * image.height for image in kept)
            while len(self._cache) > 2 and 3 * pixels > self._budget:
                oldest = self._cache.popitem(last=False)[1].image
                pixels -= oldest.width * oldest.height
        return picture

    def _decode(self, path: str, shown: Size | None) -> Picture:
        file = self._directory / path
        stamp = stamp_of(file)
        if stamp is None:
            raise Unavailable(path, "is no longer there")
        try:
            # A JPEG comes at the next of its own scales that is no smaller than what is shown.
            image = open_image(file, min_side=-(-min(shown) // 2) if shown else None)
        except UnreadableImage as error:
            raise Unavailable(path, f"cannot be read ({error})") from None
        full = image.size
        if shown is not None:
            full = _jpeg_size(file) or full
            spare = min(image.width // (2 * shown[0]), image.height // (2 * shown[1]))
            if spare > 1:
                image = image.reduce(spare)
        return Picture(stamp, full, image)


def _jpeg_size(file: Path) -> Size | None:
    """Upright width and height by a JPEG's header; None of other files."""
    try:
        with Image.open(file) as image:
            if image.format not in {"JPEG", "MPO"}:
                return None
            width, height = image.size
            turned = image.getexif().get(ExifTags.Base.Orientation) in {5, 6, 7, 8}
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, struct.error):
        return None  # `open_image` will say what is wrong with it
    return (height, width) if turned else (width, height)


def _large_enough(picture: Picture, shown: Size | None) -> bool:
    width, height = picture.image.size
    if shown is None or (width, height) == picture.full:
        return (width, height) == picture.full
    return width >= shown[0] - 1 and height >= shown[1] - 1  # perhaps rounded differently


def _shown(image: Image.Image, size: Size) -> Image.Image:
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return to_srgb(image)


def to_srgb(image: Image.Image) -> Image.Image:
    """An RGB image in sRGB, by the ICC profile it carries (Display P3, Adobe RGB …) if any."""
    profile = image.info.get("icc_profile")
    transform = _transform(profile) if profile else None
    if transform is None:
        return image
    try:
        return ImageCms.applyTransform(image, transform) or image
    except ImageCms.PyCMSError as error:
        logger.debug("colour profile not applied: %s", error)
        return image


@lru_cache(maxsize=32)
def _transform(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if embedded.profile.xcolor_space.strip() != "RGB":
            return None
        if "srgb" in ImageCms.getProfileDescription(embedded).lower():
            return None
        srgb, intent = ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC
        flags = ImageCms.Flags.NOCACHE | ImageCms.Flags.BLACKPOINTCOMPENSATION
        return ImageCms.buildTransform(embedded, srgb, "RGB", "RGB", intent, flags)
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        logger.debug("colour profile not understood: %s", error)
        return None
