"""The two pictures on the canvas: drawing, resizing, names, zoom, the mark of an answer."""

import tkinter as tk
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from PIL import Image, ImageTk

from src.rating.session import Outcome
from src.window import theme
from src.window.background import when_done
from src.window.layout import Frame, Layout, Rect, Size, arrange, zoom_box
from src.window.pictures import Picture, Pictures, Prepared, Unavailable, to_srgb
from src.window.theme import Theme

_FLASH_MS = 250


class PairView:
    """Draws a prepared pair; everything it draws has the tag "pair"."""

    def __init__(self, canvas: tk.Canvas, style: Theme, pictures: Pictures) -> None:
        self._canvas, self._style, self._pictures = canvas, style, pictures
        self._prepared: Prepared | None = None
        self.layout: Layout | None = None
        self._photos: list[ImageTk.PhotoImage] = []
        self._names = False
        self._zooms: list[_Zoom] = []
        self._ready: dict[int, tuple[Prepared, list[ImageTk.PhotoImage]]] = {}

    def frame(self, *, names: bool) -> Frame:
        px = self._style.px
        area = Rect(0, 0, max(self._canvas.winfo_width(), 2), max(self._canvas.winfo_height(), 2))
        return Frame(area, px(20), px(20), px(22) if names else 0)

    def side_at(self, x: int, y: int) -> str | None:
        return self.layout.side_at(x, y) if self.layout else None

    def make_ready(self, prepared: list[Prepared]) -> None:
        """Turn pairs that may come next into what the screen takes; forget all others."""
        self._ready = {
            id(item): self._ready.get(id(item)) or (item, self._photo_pair(item.images))
            for item in prepared
        }

    def show(self, prepared: Prepared, *, names: bool) -> None:
        self.stop_zoom()
        self._prepared, self.layout, self._names = prepared, prepared.layout, names
        _, photos = self._ready.pop(id(prepared), (prepared, None))
        self._draw(photos or self._photo_pair(prepared.images))

    def fit(self, frame: Frame) -> None:
        """Draw the same pair in another space, quickly and roughly."""
        if self._prepared is None:
            return
        self.stop_zoom()
        self.layout = arrange(frame, *self._prepared.full)
        rough = [
            image.resize(place.size, Image.Resampling.BILINEAR, reducing_gap=1.5)
            for image, place in zip(self._prepared.images, self.layout, strict=True)
        ]
        self._draw(self._photo_pair(rough))

    def clear(self) -> None:
        self.stop_zoom()
        self._canvas.delete("pair")
        self._prepared, self.layout, self._photos = None, None, []

    def flash(self, outcome: Outcome) -> None:
        """A light below the chosen picture, both for a tie, for a moment."""
        canvas, px = self._canvas, self._style.px
        width, bottom = canvas.winfo_width(), canvas.winfo_height() - px(7)
        canvas.delete("flash")
        for side, middle in (("left", width // 4), ("right", width * 3 // 4)):
            if outcome in (side, "tie"):
                place = (middle - width // 8, bottom - px(4), middle + width // 8, bottom)
                light = canvas.create_rectangle(*place, fill=theme.BRIGHT, width=0, tags="flash")
                canvas.after(_FLASH_MS, canvas.delete, light)

    def start_zoom(self, x: int, y: int) -> bool:
        """Fill the places of both pictures with their own pixels, at the same spot of each."""
        if self.side_at(x, y) is None or self._prepared is None or self.layout is None:
            return False
        for index, path in enumerate(self._prepared.pair):
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
            except Unavailable:  # it will be said when the pair is shown anew
                self.stop_zoom()

    def _photo_pair(self, images: list[Image.Image]) -> list[ImageTk.PhotoImage]:
        return [ImageTk.PhotoImage(image, master=self._canvas) for image in images]

    def _draw(self, photos: list[ImageTk.PhotoImage]) -> None:
        assert self.layout is not None
        canvas = self._canvas
        canvas.delete("pair")
        for place, photo in zip(self.layout, photos, strict=True):
            canvas.create_image(place.x, place.y, image=photo, anchor="nw", tags="pair")
        if self._names:
            self._draw_names()
        canvas.tag_lower("pair")
        self._photos = photos

    def _draw_names(self) -> None:
        """The names below the pictures, each on its own side of the middle between them."""
        assert self.layout is not None and self._prepared is not None
        left, right = self.layout
        edges = (0, (left.x + left.width + right.x) // 2, self._canvas.winfo_width())
        font, px = self._style.font(12), self._style.px
        for side, path in enumerate(self._prepared.pair):
            place = self.layout[side]
            x, y = place.x + place.width // 2, place.y + place.height + px(14)
            free = 2 * min(x - edges[side], edges[side + 1] - x) - px(12)
            name, colour = shorten(path, font.measure, free), theme.BRIGHT
            self._canvas.create_text(x, y, text=name, fill=colour, font=font, tags="pair")


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
