"""The strip at the bottom: how far the session is, and every key."""

import tkinter as tk
from typing import NamedTuple

from src.rating.statistics import Statistics, of_order
from src.window import theme
from src.window.controls import Key, shown_keys
from src.window.layout import Rect
from src.window.panel import Panel
from src.window.theme import Theme

_SIZE = 12  # of the text


class Status(NamedTuple):
    """How far the session is, and how good the order is; the latter may be ""."""

    progress: str
    order: str


_LONGEST = Status("100 of 100", "order about 88% there; 100 more choices: 88%")


class Footer(tk.Canvas):
    """Progress line, progress in words, keys; as many rows, and as high, as the width needs."""

    def __init__(self, parent: tk.Misc, style: Theme) -> None:
        super().__init__(parent, background=theme.FOOTER, highlightthickness=0, borderwidth=0)
        px = style.px
        self._progress, self._keys = Panel(self, style, "progress"), Panel(self, style, "keys")
        self._status, self._share = Status("", ""), 0.0
        self._drawn: tuple[int, list[list[Key]]] = (0, [])
        self._row, self._pad, self._gap, self._cap = px(28), px(14), px(8), px(20)
        self._line, self._beside = max(2, px(3)), px(5)  # beside: from a cap to its label
        self._widths = {key: self._width(key) for key in shown_keys()}
        self.bind("<Configure>", lambda event: self._draw())

    def show(self, status: Status, share: float) -> None:
        if (status, share) != (self._status, self._share):
            self._status, self._share = status, share
            self.fit(self.winfo_width())
            self._draw()

    def fit(self, width: int) -> None:
        """Take the height that is needed at a width."""
        needed = self._line + self._row * len(self._rows(width)) + self._beside
        if needed != self.winfo_reqheight():
            self.configure(height=needed)

    def _rows(self, width: int) -> list[list[Key]]:
        """The keys in as few rows as fit, of about one length; the first begins with the status."""
        # They must not jump while the numbers grow.
        status = max(self._status_width(self._status), self._status_width(_LONGEST))
        rows = narrower = self._fill(width, status)
        while 1 < len(narrower) <= len(rows) and width > 0:
            rows = narrower
            width -= self._gap
            narrower = self._fill(width, status)
        return rows

    def _fill(self, width: int, status: int) -> list[list[Key]]:
        rows: list[list[Key]] = [[]]
        used = 2 * self._pad + status + self._gap
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

    def _status_width(self, status: Status) -> int:
        progress = self._keys.measure(status.progress, _SIZE, bold=True)
        return progress + self._pad + self._keys.measure(status.order, _SIZE)

    def _draw(self) -> None:
        width = self.winfo_width()
        if width < 2:
            return
        middle = self._line + self._keys.style.px(2) + self._row // 2
        panel, colour = self._progress, theme.FOOTER_TEXT
        panel.clear()
        panel.rectangle(Rect(0, 0, width, self._line), theme.TRACK)
        filled = round(width * min(self._share, 1.0))
        panel.rectangle(Rect(0, 0, filled, self._line), theme.FOOTER_FAINT)
        progress, order = self._status
        panel.text(self._pad, middle, progress, _SIZE, bold=True, colour=colour, anchor="w")
        beside = 2 * self._pad + panel.measure(progress, _SIZE, bold=True)
        panel.text(beside, middle, order, _SIZE, colour=colour, anchor="w")
        rows = self._rows(width)
        if (width, rows) != self._drawn:
            self._drawn = width, rows
            self._keys.clear()
            for number, row in enumerate(rows):
                self._draw_keys(row, middle + number * self._row)

    def _draw_keys(self, row: list[Key], middle: int) -> None:
        x = self.winfo_width() - self._pad + self._gap
        x -= sum(self._widths[key] + self._gap for key in row)
        for key in row:
            cap = self._keys.cap(x, middle, key.caps[0], self._cap, theme.CAP)
            label, colour = x + cap + self._beside, theme.FOOTER_FAINT
            self._keys.text(label, middle, key.label, _SIZE, colour=colour, anchor="w")
            x += self._widths[key] + self._gap


def status_text(done: int, goal: int, statistics: Statistics | None) -> Status:
    """Progress, and how good the order is by now, in words."""
    order = statistics.order if statistics else None
    return Status(f"{done:,} of {goal:,}", of_order(order) if order else "")
