"""Drawing what lies over the pictures: veil, boxes, text, smooth images."""

import tkinter as tk
from typing import Literal

from PIL import Image, ImageTk

from src.window import theme
from src.window.layout import Rect
from src.window.shapes import Colour, rounded
from src.window.theme import Theme

Anchor = Literal["nw", "n", "ne", "w", "center", "e", "sw", "s", "se"]


class Panel:
    """Draws over a canvas; all it draws has one tag, by which it is taken away again."""

    def __init__(self, canvas: tk.Canvas, style: Theme, tag: str) -> None:
        self.style = style
        self._canvas, self._tag = canvas, tag
        self._photos: list[ImageTk.PhotoImage] = []

    def clear(self) -> None:
        self._canvas.delete(self._tag)
        self._photos.clear()

    @property
    def space(self) -> tuple[int, int]:
        return self._canvas.winfo_width(), self._canvas.winfo_height()

    def sheet(self, width: int, height: int) -> Rect:
        """Dim what is below, and lay a dark sheet over its middle; returns the sheet's place."""
        space = self.space
        self.image(0, 0, Image.new("RGBA", space, theme.VEIL))
        edge = self.style.px(12)
        width, height = min(width, space[0] - 2 * edge), min(height, space[1] - 2 * edge)
        place = Rect((space[0] - width) // 2, (space[1] - height) // 2, width, height)
        self.box(place, theme.PANEL, radius=14)
        return place

    def box(self, place: Rect, colour: Colour, *, radius: int, behind: bool = False) -> None:
        """A filled box with round corners, `behind` everything drawn already if so wanted."""
        size = max(place.width, 1), max(place.height, 1)
        round_by = min(self.style.px(radius), min(size) // 2)
        item = self.image(place.x, place.y, rounded(size, round_by, colour))
        if behind:
            self._canvas.tag_lower(item, self._tag)

    def rectangle(self, place: Rect, colour: str) -> None:
        x, y, width, height = place
        if width > 0 and height > 0:
            self._canvas.create_rectangle(
                x, y, x + width, y + height, fill=colour, width=0, tags=self._tag
            )

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
        justify: Literal["left", "center"] = "left",
    ) -> Rect:
        """Text, wrapped at `width` if one is given; returns the place it takes."""
        item = self._canvas.create_text(
            x,
            y,
            text=text,
            font=self.style.font(size, bold=bold),
            fill=colour,
            anchor=anchor,
            width=width,
            justify=justify,
            tags=self._tag,
        )
        left, upper, right, lower = self._canvas.bbox(item)
        return Rect(left, upper, right - left, lower - upper)

    def measure(self, text: str, size: int, *, bold: bool = False) -> int:
        return self.style.font(size, bold=bold).measure(text)
