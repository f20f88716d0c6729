"""Finding, opening and shrinking image files: the only package that knows file formats."""

from src.images.decode import UnreadableImage, open_image, read_file
from src.images.find import EXTENSIONS, ImageFile, find_images, scan_images

__all__ = [
    "EXTENSIONS",
    "ImageFile",
    "UnreadableImage",
    "find_images",
    "open_image",
    "read_file",
    "scan_images",
]
