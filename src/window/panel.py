"""Drawing on a canvas: boxes with round corners, keys' caps, text, smooth lines."""

import tkinter as tk
from collections.abc import Sequence
from typing import Literal

from PIL import Image, ImageDraw, ImageTk

from src.window import theme
from src.window.layout import Rect, Size
from src.window.theme import Theme

Anchor = Literal["nw", "n", "ne", "w", "center", "e", "sw", "s", "se"]
Colour = str | tuple[int, int, int, int]

_FINER = 4  # Tk draws jagged edges: shapes are drawn so many times larger, then shrunk


class Panel:
    """Draws on a canvas; all it draws has one tag, by which it is taken away again."""

    def __init__(self, canvas: tk.Canvas, style: Theme, tag: str) -> None:
        self.style = style
        self._canvas, self._tag = canvas, tag
        self._photos: list[ImageTk.PhotoImage] = []

    def clear(self) -> None:
        self._canvas.delete(self._tag)
        self._photos.clear()

    def sheet(self, width: int, height: int) -> Rect:
        """Dim what is below, and lay a dark sheet over its middle; returns the sheet's place."""
        space = self.space()
        self.image(0, 0, Image.new("RGBA", space, theme.VEIL))
        edge = self.style.px(12)
        width, height = min(width, space[0] - 2 * edge), min(height, space[1] - 2 * edge)
        place = Rect((space[0] - width) // 2, (space[1] - height) // 2, width, height)
        self.box(place, theme.PANEL, radius=14)
        return place

    def box(self, place: Rect, colour: Colour, *, radius: int = 8) -> int:
        """A filled box with round corners; returns the canvas item."""
        size = max(place.width, 1), max(place.height, 1)
        round_by = min(self.style.px(radius), min(size) // 2)
        return self.image(place.x, place.y, rounded(size, round_by, colour))

    def card(self, place: Rect, title: str, aside: str) -> None:
        """A card with a title, and a remark beside it if there is room."""
        px = self.style.px
        self.box(place, theme.CARD)
        x, width = place.x + px(14), place.width - px(28)
        self.text(x, place.y + px(9), title, 12, bold=True)
        if self.measure(title, 12, bold=True) + self.measure(aside, 11) + px(16) <= width:
            self.text(x + width, place.y + px(10), aside, 11, colour=theme.FAINT, anchor="ne")

    def cap(self, x: int, middle: int, text: str, height: int, colour: Colour) -> int:
        """A key's cap, the text on it in the footer's size; returns the width it takes."""
        width = self.cap_width(text, height)
        self.box(Rect(x, middle - height // 2, width, height), colour, radius=4)
        self.text(x + width // 2, middle, text, 12, anchor="center")
        return width

    def cap_width(self, text: str, height: int) -> int:
        return max(self.measure(text, 12) + self.style.px(12), height)

    def rectangle(self, place: Rect, colour: str) -> None:
        x, y, width, height = place
        if width > 0 and height > 0:
            corners = (x, y, x + width, y + height)
            self._canvas.create_rectangle(*corners, fill=colour, width=0, tags=self._tag)

    def image(self, x: int, y: int, image: Image.Image) -> int:
        """An image by its left upper corner; returns the canvas item."""
        photo = ImageTk.PhotoImage(image, master=self._canvas)
        self._photos.append(photo)
        return self._canvas.create_image(x, y, image=photo, anchor="nw", tags=self._tag)

    def text(
        self,
        x: int,
        y: int,
        text: str,
        size: int = 13,
        *,
        colour: str = theme.TEXT,
        bold: bool = False,
        anchor: Anchor = "nw",
        width: int = 0,
    ) -> int:
        """Text, wrapped at `width` if one is given; returns the canvas item."""
        item = self._canvas.create_text(x, y, text=text, fill=colour, anchor=anchor, tags=self._tag)
        justify: Literal["left", "center"] = "center" if anchor in ("n", "center", "s") else "left"
        font = self.style.font(size, bold=bold)
        self._canvas.itemconfigure(item, font=font, width=width, justify=justify)
        return item

    def ground(self, text: int, colour: Colour, *, left: int | None = None, width: int = 0) -> Rect:
        """A box behind a text, at a place and width or as wide as the text; returns its place."""
        px, (x, upper, right, lower) = self.style.px, self._canvas.bbox(text)
        if left is None:
            left, width = x - px(20), right - x + 2 * px(20)
        place = Rect(left, upper - px(12), width, lower - upper + 2 * px(12))
        self._canvas.tag_lower(self.box(place, colour), text)
        return place

    def measure(self, text: str, size: int, *, bold: bool = False) -> int:
        return self.style.font(size, bold=bold).measure(text)

    def note(self, text: str) -> None:
        """Something to read below the pictures."""
        px, (width, height) = self.style.px, self.space()
        wrap = min(px(900), width - px(80))
        item = self.text(width // 2, height - px(36), text, 14, anchor="s", width=wrap)
        self.ground(item, theme.NOTE)

    def space(self) -> Size:
        return self._canvas.winfo_width(), self._canvas.winfo_height()


def rounded(size: Size, radius: int, colour: Colour) -> Image.Image:
    """A filled rectangle with round corners on nothing, RGBA."""
    shape = Image.new("RGBA", size, colour)
    mask = Image.new("L", (size[0] * _FINER, size[1] * _FINER))
    opacity = shape.getpixel((0, 0))[3]  # type: ignore[index]
    whole = (0, 0, mask.width - 1, mask.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(whole, radius * _FINER, fill=opacity)
    shape.putalpha(mask.reduce(_FINER))
    return shape


def smooth_line(
    size: Size, points: Sequence[tuple[float, float]], colour: str, width: int
) -> Image.Image:
    """A line through points with a dot at its end, RGBA."""
    mask = Image.new("L", (size[0] * _FINER, size[1] * _FINER))
    draw = ImageDraw.Draw(mask)
    fine = [(x * _FINER, y * _FINER) for x, y in points]
    draw.line(fine, fill=255, width=width * _FINER, joint="curve")
    draw.circle(fine[-1], 1.5 * width * _FINER, fill=255)
    line = Image.new("RGBA", size, colour)
    line.putalpha(mask.reduce(_FINER))
    return line
