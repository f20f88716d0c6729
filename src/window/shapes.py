"""Smooth shapes: Tk's canvas draws jagged edges, so they are made with Pillow."""

from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageDraw

Colour = str | tuple[int, int, int] | tuple[int, int, int, int]

_FINER = 4  # drawn so many times larger, then shrunk


def rounded(size: tuple[int, int], radius: int, fill: Colour) -> Image.Image:
    """A filled rectangle with round corners on nothing, RGBA."""
    shape = Image.new("RGBA", size, fill)
    opacity = shape.getpixel((0, 0))[3]  # type: ignore[index]
    mask = Image.new("L", size, opacity)
    corner = _corner(radius, opacity)
    right, bottom = size[0] - radius, size[1] - radius
    mask.paste(corner, (0, 0))
    mask.paste(corner.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (right, 0))
    mask.paste(corner.transpose(Image.Transpose.FLIP_TOP_BOTTOM), (0, bottom))
    mask.paste(corner.transpose(Image.Transpose.ROTATE_180), (right, bottom))
    shape.putalpha(mask)
    return shape


@lru_cache(maxsize=64)
def _corner(radius: int, opacity: int) -> Image.Image:
    large = Image.new("L", (radius * _FINER, radius * _FINER))
    circle = (0, 0, 2 * radius * _FINER, 2 * radius * _FINER)
    ImageDraw.Draw(large).ellipse(circle, fill=opacity)
    return large.resize((radius, radius), Image.Resampling.BOX)


def smooth_line(
    size: tuple[int, int], points: Sequence[tuple[float, float]], colour: str, width: int
) -> Image.Image:
    """A line through points with a dot at its end, RGBA."""
    mask = Image.new("L", (size[0] * _FINER, size[1] * _FINER))
    draw = ImageDraw.Draw(mask)
    fine = [(x * _FINER, y * _FINER) for x, y in points]
    draw.line(fine, fill=255, width=width * _FINER, joint="curve")
    (x, y), radius = fine[-1], 1.5 * width * _FINER
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    line = Image.new("RGBA", size, colour)
    line.putalpha(mask.resize(size, Image.Resampling.BOX))
    return line
