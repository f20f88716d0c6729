"""The pictures on the canvas: drawing, resizing, names, zoom, the mark of an answer."""

import tkinter as tk
from collections.abc import Callable, Collection
from concurrent.futures import Future
from functools import partial
from typing import Literal

from PIL import Image, ImageTk

from src.window import theme
from src.window.background import when_done
from src.window.layout import Frame, Layout, Rect, Size, arrange, place_at, zoom_box
from src.window.pictures import Picture, Pictures, Prepared, Unavailable, to_srgb
from src.window.theme import Theme

_FLASH_MS = 250


class SetView:
    """Draws a prepared set; everything it draws has the tag "set"."""

    def __init__(self, canvas: tk.Canvas, style: Theme, pictures: Pictures) -> None:
        self._canvas, self._style, self._pictures = canvas, style, pictures
        self._prepared: Prepared | None = None
        self.layout: Layout = ()
        self._photos: list[ImageTk.PhotoImage] = []
        self._names = False
        self._zooms: list[_Zoom] = []
        self._ready: tuple[Prepared | None, list[ImageTk.PhotoImage]] = (None, [])

    def frame(self, *, names: bool) -> Frame:
        px = self._style.px
        area = Rect(0, 0, max(self._canvas.winfo_width(), 2), max(self._canvas.winfo_height(), 2))
        return Frame(area, px(20), px(20), px(22) if names else 0)

    def place_at(self, x: int, y: int) -> int | None:
        return place_at(self.layout, x, y)

    def make_ready(self, prepared: Prepared) -> bool:
        """Bring one more picture of what comes next to the screen; whether there are more.

        As a hidden item: Tk sends a picture to the screen when the first item is made of it.
        """
        if self._ready[0] is not prepared:
            self._canvas.delete("ready")
            self._ready = (prepared, [])
        photos, images = self._ready[1], prepared.images
        if len(photos) < len(images):
            at = len(photos)
            photos.append(self._add(images[at], prepared.layout[at], "ready", state="hidden"))
        return len(photos) < len(images)

    def show(self, prepared: Prepared, *, names: bool) -> None:
        self.stop_zoom()
        self._prepared, self.layout, self._names = prepared, prepared.layout, names
        while self.make_ready(prepared):
            pass
        self._canvas.delete("set")
        self._canvas.itemconfigure("ready", state="normal", tags="set")
        self._photos, self._ready = self._ready[1], (None, [])
        self._complete()

    def fit(self, frame: Frame) -> None:
        """Draw the same pictures in another space, quickly and roughly."""
        if self._prepared is None:
            return
        self.stop_zoom()
        self.layout = arrange(frame, *self._prepared.full)
        self._canvas.delete("set")
        self._photos = []
        for image, place in zip(self._prepared.images, self.layout, strict=True):
            rough = image.resize(place.size, Image.Resampling.BILINEAR, reducing_gap=1.5)
            self._photos.append(self._add(rough, place, "set"))
        self._complete()

    def clear(self) -> None:
        self.stop_zoom()
        self._canvas.delete("set")
        self._prepared, self.layout, self._photos = None, (), []

    def flash(self, chosen: Collection[int]) -> None:
        """A light below the chosen pictures for a moment."""
        canvas, px = self._canvas, self._style.px
        canvas.delete("flash")
        for x, y, width, height in (self.layout[index] for index in chosen if self.layout):
            light = (x + width // 4, y + height + px(7), x + width * 3 // 4, y + height + px(11))
            item = canvas.create_rectangle(*light, fill=theme.BRIGHT, width=0, tags="flash")
            canvas.after(_FLASH_MS, canvas.delete, item)

    def mark(self, worst: int | None) -> None:
        """A dark frame around the picture that was called the worst."""
        self._canvas.delete("worst")
        if worst is not None and self.layout:
            (x, y, width, height), line = self.layout[worst], self._style.px(4)
            corners = (x - line, y - line, x + width + line, y + height + line)
            self._canvas.create_rectangle(
                *corners, outline=theme.FOOTER, width=2 * line, tags="worst"
            )

    def start_zoom(self, x: int, y: int) -> bool:
        """Fill the places of all pictures with their own pixels, at the same spot of each."""
        if self.place_at(x, y) is None or self._prepared is None:
            return False
        for index, path in enumerate(self._prepared.paths):
            full, preview = self._prepared.full[index], self._prepared.images[index]
            zoom = _Zoom(self._canvas, self.layout[index], full, preview)
            self._zooms.append(zoom)
            when_done(self._canvas, [self._pictures.full(path)], partial(self._sharpen, zoom))
        self.move_zoom(x, y)
        return True

    def move_zoom(self, x: int, y: int) -> None:
        """Follow the mouse, in whichever picture it is; beside them nothing moves."""
        for place in (zoom.place for zoom in self._zooms if zoom.place.contains(x, y)):
            spot = (x - place.x) / place.width, (y - place.y) / place.height
            for zoom in self._zooms:
                zoom.spot = spot
                zoom.draw()

    def stop_zoom(self) -> None:
        self._zooms = []
        self._canvas.delete("zoom")
        self._canvas.configure(cursor="")

    def _sharpen(self, zoom: "_Zoom", made: "list[Future[Picture]]") -> None:
        if zoom in self._zooms:
            try:
                zoom.source = made[0].result().image
                zoom.draw()
            except Unavailable:  # it will be said when the set is shown anew
                self.stop_zoom()

    def _add(
        self,
        image: Image.Image,
        place: Rect,
        tag: str,
        state: Literal["normal", "hidden"] = "normal",
    ) -> ImageTk.PhotoImage:
        photo, canvas = ImageTk.PhotoImage(image, master=self._canvas), self._canvas
        canvas.create_image(place.x, place.y, image=photo, anchor="nw", state=state, tags=tag)
        return photo

    def _complete(self) -> None:
        if self._names:
            self._draw_names()
        self._canvas.tag_lower("set")

    def _draw_names(self) -> None:
        """The names below the pictures, each on its own side of the middle to the next."""
        assert self._prepared is not None
        font, px = self._style.font(12), self._style.px
        for path, place in zip(self._prepared.paths, self.layout, strict=True):
            left, right = 0, self._canvas.winfo_width()
            for other in self.layout:
                if other.x >= place.x + place.width and other.overlaps(place):
                    right = min(right, (place.x + place.width + other.x) // 2)
                if other.x + other.width <= place.x and other.overlaps(place):
                    left = max(left, (other.x + other.width + place.x) // 2)
            x, y = place.x + place.width // 2, place.y + place.height + px(14)
            name = shorten(path, font.measure, 2 * min(x - left, right - x) - px(12))
            self._canvas.create_text(x, y, text=name, fill=theme.BRIGHT, font=font, tags="set")


class _Zoom:
    """A picture's own pixels over its place, around a spot: shares of width and height."""

    def __init__(self, canvas: tk.Canvas, place: Rect, full: Size, source: Image.Image) -> None:
        self.place, self.source, self.spot = place, source, (0.5, 0.5)
        self._full, self._photo = full, ImageTk.PhotoImage("RGB", place.size, master=canvas)
        canvas.create_image(place.x, place.y, image=self._photo, anchor="nw", tags="zoom")
        canvas.configure(cursor="crosshair")

    def draw(self) -> None:
        """Show the part at the spot; of a source that is not decoded in full yet, roughly."""
        left, upper, right, lower = zoom_box(self.place.size, self._full, self.spot)
        x, y, width, height = round(left), round(upper), right - left, lower - upper
        across, down = (self.source.size[side] / self._full[side] for side in (0, 1))
        right, lower = (x + width) * across, (y + height) * down
        end = min(right, self.source.width), min(lower, self.source.height)
        box = (x * across, y * down, *end)
        part = self.source.resize(self.place.size, Image.Resampling.BILINEAR, box=box)
        self._photo.paste(to_srgb(part))


def shorten(path: str, measure: Callable[[str], int], width: int) -> str:
    """A path with its middle replaced by … until it fits; the end of the name stays."""
    text, kept = path, len(path) - 1
    while measure(text) > width and kept > 3:
        kept -= 1
        text = f"{path[: kept // 3]}…{path[kept // 3 - kept :]}"
    return text
