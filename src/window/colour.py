"""Colours as they are meant: embedded profiles (Display P3, Adobe RGB …) brought to sRGB."""

import io
import logging
from functools import lru_cache

from PIL import Image, ImageCms

logger = logging.getLogger(__name__)


def to_srgb(image: Image.Image) -> Image.Image:
    """An RGB image in sRGB, by the ICC profile it carries; without one it stays as it is."""
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
        return ImageCms.buildTransform(
            embedded,
            ImageCms.createProfile("sRGB"),
            "RGB",
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.NOCACHE | ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        logger.debug("colour profile not understood: %s", error)
        return None
