"""Smooth shapes: Tk's canvas draws jagged edges, so they are made with Pillow."""

from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageDraw

Colour = str | tuple[int, int, int] | tuple[int, int, int, int]
Point = tuple[float, float]

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


class Sketch:
    """A drawing in screen pixels (with fractions) that comes out smooth."""

    def __init__(self, size: tuple[int, int], ground: Colour) -> None:
        self._size = size
        self._image = Image.new("RGB", (size[0] * _FINER, size[1] * _FINER), ground)
        self._draw = ImageDraw.Draw(self._image, "RGBA")

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A line through points, with round joints."""
        thick = max(1, round(width * _FINER))
        self._draw.line(_fine(points), fill=colour, width=thick, joint="curve")

    def area(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled polygon; an RGBA colour lets what is below shine through."""
        self._draw.polygon(_fine(points), fill=colour)

    def bar(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A filled rectangle."""
        (left, top), (right, bottom) = _fine([(x, y), (x + width, y + height)])
        if right - left >= 1 and bottom - top >= 1:
            self._draw.rectangle((left, top, right - 1, bottom - 1), fill=colour)

    def dot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """A filled circle."""
        corners = _fine([(x - radius, y - radius), (x + radius, y + radius)])
        self._draw.ellipse([corners[0], corners[1]], fill=colour)

    def image(self) -> Image.Image:
        """The drawing, RGB."""
        return self._image.resize(self._size, Image.Resampling.BOX)


def _fine(points: Sequence[Point]) -> list[Point]:
    return [(x * _FINER, y * _FINER) for x, y in points]
