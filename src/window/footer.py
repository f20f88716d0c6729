"""The strip at the bottom: how far the session is, and every key."""

import tkinter as tk

from src.rating.statistics import Statistics, of_order
from src.window import theme
from src.window.controls import Key
from src.window.layout import Rect
from src.window.panel import Panel
from src.window.theme import Theme

_SIZE = 12  # of the text


_LONGEST = "88,888 of 8,888", "order about 88% there; 200 more choices: 88%"


class Footer(tk.Canvas):
    """Progress line, progress in words, keys; as many rows, and as high, as the width needs."""

    def __init__(self, parent: tk.Misc, style: Theme, keys: tuple[Key, ...]) -> None:
        super().__init__(parent, background=theme.FOOTER, highlightthickness=0, borderwidth=0)
        px = style.px
        self._progress, self._keys = Panel(self, style, "progress"), Panel(self, style, "keys")
        self._status, self._share = ("", ""), 0.0
        self._row, self._pad, self._gap, self._cap = px(28), px(14), px(8), px(20)
        self._line, self._beside = max(2, px(3)), px(5)  # beside: from a cap to its label
        self._middle = self._line + px(2) + self._row // 2  # of the first row
        self._widths = {key: self._width(key) for key in keys}
        self.bind("<Configure>", lambda event: self._draw())

    def show(self, status: tuple[str, str], share: float) -> None:
        if (status, share) != (self._status, self._share):
            self._status, self._share = status, share
            self._draw_progress()

    def fit(self, width: int) -> None:
        """Take the height that is needed at a width."""
        height = self._line + self._row * len(self._rows(width)) + self._beside
        if height != self.winfo_reqheight():
            self.configure(height=height)

    def _rows(self, width: int) -> list[list[Key]]:
        """The keys in as few rows as fit; the first begins with the status."""
        rows: list[list[Key]] = [[]]
        # Room for the longest status: the keys must not jump while the numbers grow.
        used = 3 * self._pad + self._keys.measure(_LONGEST[0], _SIZE, bold=True)
        used += self._keys.measure(_LONGEST[1], _SIZE) + self._gap
        for key, needed in self._widths.items():
            if rows[-1] and used + needed > width:
                rows.append([])
                used = 2 * self._pad
            rows[-1].append(key)
            used += needed + self._gap
        return rows

    def _width(self, key: Key) -> int:
        cap = self._keys.cap_width(key.caps[0], self._cap)
        return cap + self._beside + self._keys.measure(key.label, _SIZE)

    def _draw(self) -> None:
        self._draw_progress()
        self._keys.clear()
        for number, row in enumerate(self._rows(self.winfo_width())):
            self._draw_keys(row, self._middle + number * self._row)

    def _draw_progress(self) -> None:
        panel, width = self._progress, self.winfo_width()
        panel.clear()
        panel.rectangle(Rect(0, 0, width, self._line), theme.TRACK)
        done = round(width * min(self._share, 1.0))
        panel.rectangle(Rect(0, 0, done, self._line), theme.FOOTER_FAINT)
        x = self._pad
        for text, bold in zip(self._status, (True, False), strict=True):
            colour = theme.FOOTER_TEXT
            panel.text(x, self._middle, text, _SIZE, colour=colour, bold=bold, anchor="w")
            x += self._pad + panel.measure(text, _SIZE, bold=bold)

    def _draw_keys(self, row: list[Key], middle: int) -> None:
        x = self.winfo_width() - self._pad + self._gap
        x -= sum(self._widths[key] + self._gap for key in row)
        for key in row:
            label = x + self._beside + self._keys.cap(x, middle, key.caps[0], self._cap, theme.CAP)
            colour = theme.FOOTER_FAINT
            self._keys.text(label, middle, key.label, _SIZE, colour=colour, anchor="w")
            x += self._widths[key] + self._gap


def status_text(done: int, goal: int, statistics: Statistics | None) -> tuple[str, str]:
    """Progress, and how good the order is by now, in words; "" where that is not known."""
    order = statistics.order if statistics else None
    return f"{done:,} of {goal:,}", of_order(order) if order else ""
