"""The ladder: the pictures from best to worst, and how sure their places are."""

import tkinter as tk
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from PIL import Image

from src.images import UnreadableImage, open_image
from src.rating.rated_folder import Ladder, RatedFolder
from src.rating.storage.choice_rows import Event, places
from src.text import counted
from src.window import theme
from src.window.background import when_done
from src.window.layout import Rect, Size
from src.window.panel import Panel
from src.window.pictures import to_srgb
from src.window.theme import Theme

_CELL, _BELOW, _HEAD = (112, 104), 30, 34
"""size of a cell with its gap; height below its picture; height of the card's title"""
_BAND = 1.645  # deviations on either side of a score: 90 %
_UNSURE = 0.9  # quantile of the deviations from which on an image is among the least sure
_KEPT = 2000  # thumbnails


class Rung(NamedTuple):
    """A picture on the page, with what is drawn below it."""

    path: str
    text: str
    colour: str
    whisker: tuple[float, float, float] | None = None  # low, score, high: shares of the width


class LadderView:
    """One page of the ladder, or of the choices of the image that was clicked."""

    def __init__(self, canvas: tk.Canvas, style: Theme, database: RatedFolder) -> None:
        self._canvas, self._database = canvas, database
        self._panel = Panel(canvas, style, "ladder")
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="thumbnail")
        self._thumbnails: dict[tuple[str, Size], Future[Image.Image]] = {}
        self._place: Rect | None = None
        self._cells: list[tuple[Rect, str]] = []
        self._first, self._left_at, self._chosen = 0, 0, ""
        self._ladder: Ladder | None = None

    @property
    def is_open(self) -> bool:
        return self._place is not None

    def open(self, place: Rect) -> None:
        """Show the ladder in a place, as soon as it is computed."""
        self._place, self._first, self._left_at, self._chosen = place, 0, 0, ""
        when_done(self._canvas, [self._pool.submit(self._database.ladder)], self._show)

    def _show(self, made: list[Future[Ladder]]) -> None:
        if self.is_open:
            self._ladder = made[0].result()
            self._draw(self._ladder)

    def close(self) -> None:
        self._place, self._ladder, self._cells = None, None, []
        self._panel.clear()
        for waiting in self._thumbnails.values():
            waiting.cancel()

    def end(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def turn(self, pages: int) -> None:
        if self._ladder is not None:
            self._first += pages * len(self._cells)
            self._draw(self._ladder)

    def click(self, x: int, y: int) -> None:
        """Show the choices of the picture at a point; beside the pictures, the ladder again."""
        chosen = next((path for cell, path in self._cells if cell.contains(x, y)), "")
        if chosen and not self._chosen:
            self._left_at = self._first
        self._chosen, self._first = chosen, 0 if chosen else self._left_at
        if self._ladder is not None:
            self._draw(self._ladder)

    def back(self) -> bool:
        """From the choices of an image to the ladder; False if it is there already."""
        was_chosen = bool(self._chosen)
        if was_chosen:
            self.click(-1, -1)
        return was_chosen

    def _draw(self, ladder: Ladder) -> None:
        assert self._place is not None
        panel, px, place = self._panel, self._panel.style.px, self._place
        panel.clear()
        inner = Rect(
            place.x + px(14), place.y + px(_HEAD), place.width - px(28), place.height - px(_HEAD)
        )
        columns, rows = (max(inner.size[side] // px(_CELL[side]), 1) for side in (0, 1))
        choices = self._database.choices_of(self._chosen) if self._chosen else []
        total = len(choices) + 1 if self._chosen else len(ladder.paths)
        self._first = max(min(self._first, total - 1), 0) // (columns * rows) * (columns * rows)
        last = min(self._first + columns * rows, total)
        here = f"{self._first + 1:,} to {last:,} of {total:,}; arrow keys or wheel for more"
        if self._chosen:
            title = f"{counted(len(choices), 'choice')} with {self._chosen}"
            aside = "click beside the pictures to go back"
            this = Rung(self._chosen, "this picture", theme.TEXT)
            rungs = [this, *map(self._choice, choices)][self._first : last]
        else:
            title, aside = "From best to worst", f"line: 90% band, amber: the least sure · {here}"
            rungs = _rungs(ladder, range(self._first, last))
        panel.card(place, title, aside)
        cells = inner.grid(columns, rows, 0)
        self._cells = [(cell, rung.path) for cell, rung in zip(cells, rungs, strict=False)]
        for cell, rung in zip(cells, rungs, strict=False):
            self._draw_rung(cell, rung)
        wanted = [self._thumbnail(path, cell) for cell, path in self._cells]
        for (cell, path), made in zip(self._cells, wanted, strict=True):
            when_done(self._canvas, [made], partial(self._fill, cell, path))

    def _choice(self, event: Event) -> Rung:
        others = [path for path in event.images if path != self._chosen]
        best = places(event.outcome)[0]
        among = f", of {len(event.images)}" if len(others) > 1 else ""
        if best is None:
            return Rung(others[0], f"equally good{among}", theme.FAINT)
        if event.images[best] != self._chosen:
            return Rung(event.images[best], f"is better{among}", theme.ACCENT_3)
        return Rung(others[0], f"is not as good{among}", theme.ACCENT_2)

    def _draw_rung(self, cell: Rect, rung: Rung) -> None:
        panel, px = self._panel, self._panel.style.px
        below = cell.y + cell.height - px(_BELOW)
        x, width = cell.x + px(6), cell.width - px(12)
        if rung.whisker:
            low, middle, high = (x + round(share * width) for share in rung.whisker)
            panel.rectangle(Rect(x, below + px(8), width, 1), theme.RULE)
            panel.rectangle(Rect(low, below + px(7), max(high - low, 1), px(3)), rung.colour)
            dot = px(3)
            panel.rectangle(Rect(middle - dot, below + px(8) - dot, 2 * dot, 2 * dot), rung.colour)
        middle, colour = cell.x + cell.width // 2, theme.TEXT if rung.whisker else rung.colour
        panel.text(middle, below + px(13), rung.text, 10, colour=colour, anchor="n")

    def _thumbnail(self, path: str, cell: Rect) -> Future[Image.Image]:
        px = self._panel.style.px
        size = cell.width - px(12), cell.height - px(_BELOW + 8)
        made = self._thumbnails.get((path, size))
        if made is None or made.cancelled():
            if len(self._thumbnails) >= _KEPT:
                self._thumbnails.clear()
            made = self._thumbnails[path, size] = self._pool.submit(self._decode, path, size)
        return made

    def _decode(self, path: str, size: Size) -> Image.Image:
        image = open_image(self._database.directory / path, min_side=min(size))
        image.thumbnail(size)
        return to_srgb(image)

    def _fill(self, cell: Rect, path: str, made: list[Future[Image.Image]]) -> None:
        """Draw a thumbnail, unless the page shows something else by now."""
        if (cell, path) not in self._cells:
            return
        px = self._panel.style.px
        try:
            image = made[0].result()
        except UnreadableImage:
            return
        x = cell.x + (cell.width - image.width) // 2
        room = cell.height - px(_BELOW)
        self._panel.image(x, cell.y + max(room - image.height, 0) // 2, image)


def _rungs(ladder: Ladder, numbers: Sequence[int]) -> list[Rung]:
    paths, scores, deviations = ladder
    reach = _BAND * deviations
    lowest, width = (scores - reach).min(), np.ptp([scores - reach, scores + reach])
    unsure = np.quantile(deviations, _UNSURE) + 1e-9
    rungs = []
    for at in numbers:
        ends = (scores[at] - reach[at], scores[at], scores[at] + reach[at])
        low, middle, high = (float((end - lowest) / max(width, 1e-9)) for end in ends)
        text = f"{scores[at]:+.2f} ± {reach[at]:.2f}".replace("-", "−")
        colour = theme.ACCENT_2 if deviations[at] > unsure else theme.ACCENT
        rungs.append(Rung(paths[at], text, colour, (low, middle, high)))
    return rungs
