"""From an RGB image to the fixed-size pixel block that a vision model wants."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

MAX_SIDE = 4096  # pixels that a model may want
MAX_PROPORTION = 16  # of longer to shorter side; nothing is left of thinner images in a square


@dataclass(frozen=True)
class Preprocessing:
    """Resize, crop at the centre, then scale and shift each channel.

    This is what the image processors of transformers do for CLIP, SigLIP, ViT, DINOv2, ConvNeXt,
    EfficientNet, MobileNet and most others, in that order.
    """

    resize: int | tuple[int, int] | None  # the shorter side, or (height, width); in pixels
    crop: tuple[int, int] | None  # (height, width), padded with black where the image is smaller
    resample: int  # one of PIL.Image.Resampling
    scale: tuple[float, ...]  # value = scale * byte + offset, for red, green, blue
    offset: tuple[float, ...]
    # As published taggers (wd-*) want it: in a white square, and channels as blue, green, red.
    wd_tagger: bool = False

    def __post_init__(self) -> None:
        for side in self.sides:
            if not 1 <= side <= MAX_SIDE:
                raise ValueError(f"images with a side of {side} pixels")

    @property
    def sides(self) -> list[int]:
        """Every length, in pixels, that images are resized or cut to."""
        sides = self.resize if isinstance(self.resize, tuple) else (self.resize,)
        return [side for side in (*sides, *(self.crop or ())) if side is not None]

    @property
    def min_side(self) -> int | None:
        """The shorter side the decoded image is shrunk to; None if its size is kept."""
        return min(self.resize) if isinstance(self.resize, tuple) else self.resize

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Resize and crop an RGB image; (height, width, 3) uint8."""
        if self.wd_tagger:
            image = _in_white_square(image, max(self.sides))
        size = image.size
        if isinstance(self.resize, tuple):
            size = self.resize[1], self.resize[0]
        elif self.resize is not None:
            image = limit_proportions(image)
            shorter = min(image.size)
            width, height = (int(self.resize * side / shorter) for side in image.size)
            size = width, height
        if size != image.size:
            high, wide = self.crop or size[::-1]
            box: tuple[float, float, float, float] = (0, 0, *image.size)
            if wide <= size[0] and high <= size[1]:  # what would be cut off is not resized
                left, top = (size[0] - wide) // 2, (size[1] - high) // 2
                x, y = image.width / size[0], image.height / size[1]
                box = left * x, top * y, (left + wide) * x, (top + high) * y
                size = wide, high
            # A box filter takes the image to three times its final size first; the result
            # differs from the slow way by less than one grey level in 255.
            image = image.resize(size, Image.Resampling(self.resample), box, reducing_gap=3.0)
        pixels = np.asarray(image if self.crop is None else _centre_crop(image, *self.crop))
        return np.ascontiguousarray(pixels[..., ::-1]) if self.wd_tagger else pixels

    def normalise(self, pixels: np.ndarray) -> np.ndarray:
        """(n, height, width, 3) uint8 to (n, 3, height, width) float32."""
        values = pixels.astype(np.float32)
        values *= np.array(self.scale, np.float32)
        values += np.array(self.offset, np.float32)
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> "Preprocessing":
        """The inverse of `to_json`; KeyError, TypeError or ValueError if it is not one of ours."""
        resize, crop = (
            (int(size[0]), int(size[1])) if isinstance(size, (list, tuple)) else size
            for size in (description["resize"], description["crop"])
        )
        scale, offset = (tuple(map(float, description[key])) for key in ("scale", "offset"))
        if not len(scale) == len(offset) == 3:
            raise ValueError("not three channels")
        wd_tagger = description.get("wd_tagger") is True
        return cls(resize, crop, int(description["resample"]), scale, offset, wd_tagger)


def limit_proportions(image: Image.Image) -> Image.Image:
    """The middle of a very thin image, which would take gigabytes with its shorter side scaled."""
    longest = MAX_PROPORTION * min(image.size)
    if max(image.size) <= longest:
        return image
    return _centre_crop(image, min(image.height, longest), min(image.width, longest))


def _in_white_square(image: Image.Image, side: int) -> Image.Image:
    """The image in the middle; one of six times the side or more is shrunk first."""
    if (factor := max(image.size) // (3 * side)) > 1:
        image = image.reduce(factor)
    longest = max(image.size)
    square = Image.new("RGB", (longest, longest), "white")
    square.paste(image, ((longest - image.width) // 2, (longest - image.height) // 2))
    return square


def _centre_crop(image: Image.Image, height: int, width: int) -> Image.Image:
    top = (image.height - height) // 2
    left = (image.width - width) // 2
    return image.crop((left, top, left + width, top + height))
