"""Finding, opening and shrinking image files: the only package that knows file formats."""

from src.images.decode import UnreadableImage, open_file, open_image, pixels_of
from src.images.find import EXTENSIONS, ImageFile, find_images, scan_images

__all__ = [
    "EXTENSIONS",
    "ImageFile",
    "UnreadableImage",
    "find_images",
    "open_file",
    "open_image",
    "pixels_of",
    "scan_images",
]
