"""The strip at the bottom: how far the session is, and every key."""

import tkinter as tk
from typing import NamedTuple

from PIL import ImageTk

from src.rating.report.advice import FEWEST
from src.rating.report.statistics import Statistics
from src.window import theme
from src.window.keys import Key, shown_keys
from src.window.shapes import rounded
from src.window.theme import Theme

_TEXT_SIZE = 12


class _Item(NamedTuple):
    key: Key
    cap: int  # width of the key's cap
    width: int


class Status(NamedTuple):
    """How far the session is, and how well the scores know the person; the latter may be ""."""

    progress: str
    agreement: str


_LONGEST = Status("100 of 100", "88 % of random pairs predicted (88–88 %)")


class Footer(tk.Canvas):
    """Progress line, progress in words, keys; as many rows, and as high, as the width needs."""

    def __init__(self, parent: tk.Misc, style: Theme) -> None:
        super().__init__(parent, background=theme.FOOTER, highlightthickness=0, borderwidth=0)
        self._style = style
        self._status = Status("", "")
        self._share = 0.0
        self._row = style.px(28)
        self._pad, self._gap = style.px(14), style.px(8)
        self._line = max(2, style.px(3))
        self._caps: dict[int, ImageTk.PhotoImage] = {}
        self._font, self._bold = style.font(_TEXT_SIZE), style.font(_TEXT_SIZE, bold=True)
        self._items = []
        for key in shown_keys():
            cap = max(self._font.measure(key.caps[0]) + style.px(12), style.px(20))
            width = cap + style.px(5) + self._font.measure(key.label)
            self._items.append(_Item(key, cap, width))
        self.bind("<Configure>", lambda event: self._draw())

    def show(self, status: Status, share: float) -> None:
        if (status, share) != (self._status, self._share):
            self._status, self._share = status, share
            self.fit(self.winfo_width())
            self._draw()

    def fit(self, width: int) -> None:
        """Take the height that is needed at a width."""
        needed = self._line + self._row * len(self._rows(width)) + self._style.px(4)
        if needed != self.winfo_reqheight():
            self.configure(height=needed)

    def _rows(self, width: int) -> list[list[_Item]]:
        """The keys in as few rows as fit, of about one length; the first begins with the status."""
        rows = self._fill(width)
        while len(rows) > 1:
            width -= self._style.px(8)
            narrower = self._fill(width)
            if len(narrower) > len(rows):
                break
            rows = narrower
        return rows

    def _fill(self, width: int) -> list[list[_Item]]:
        rows: list[list[_Item]] = [[]]
        # The rows must not jump while the numbers grow.
        status = max(self._status_width(self._status), self._status_width(_LONGEST))
        used = 2 * self._pad + status + self._gap
        for item in self._items:
            if rows[-1] and used + item.width > width:
                rows.append([])
                used = 2 * self._pad
            rows[-1].append(item)
            used += item.width + self._gap
        return rows

    def _status_width(self, status: Status) -> int:
        return (
            self._bold.measure(status.progress) + self._pad + self._font.measure(status.agreement)
        )

    def _draw(self) -> None:
        self.delete("all")
        width = self.winfo_width()
        if width < 2:
            return
        self.create_rectangle(0, 0, width, self._line, fill=theme.TRACK, width=0)
        filled = round(width * min(self._share, 1.0))
        self.create_rectangle(0, 0, filled, self._line, fill=theme.FOOTER_FAINT, width=0)
        middle = self._line + self._style.px(2) + self._row // 2
        progress, agreement = self._status
        self._text(self._pad, middle, progress, theme.FOOTER_TEXT, bold=True)
        beside = 2 * self._pad + self._bold.measure(progress)
        self._text(beside, middle, agreement, theme.FOOTER_TEXT)
        for row in self._rows(width):
            x = width - self._pad - sum(item.width + self._gap for item in row) + self._gap
            for item in row:
                self._draw_item(item, x, middle)
                x += item.width + self._gap
            middle += self._row

    def _draw_item(self, item: _Item, x: int, middle: int) -> None:
        px = self._style.px
        if item.cap not in self._caps:
            shape = rounded((item.cap, px(20)), px(4), theme.CAP)
            self._caps[item.cap] = ImageTk.PhotoImage(shape, master=self)
        self.create_image(x, middle, image=self._caps[item.cap], anchor="w")
        cap = item.key.caps[0]
        self._text(x + (item.cap - self._font.measure(cap)) // 2, middle, cap, theme.FOOTER_TEXT)
        self._text(x + item.cap + px(5), middle, item.key.label, theme.FOOTER_FAINT)

    def _text(self, x: int, middle: int, text: str, colour: str, *, bold: bool = False) -> None:
        font = self._bold if bold else self._font
        self.create_text(x, middle, text=text, anchor="w", fill=colour, font=font)


def status_text(done: int, goal: int, statistics: Statistics | None) -> Status:
    """Progress, and how often random pairs were predicted, in words.

    The pairs that are chosen for what they tell are hard to predict on purpose; how well the
    scores know the person shows in the random ones among them.
    """
    progress = f"{done:,} of {goal:,}"
    audit = statistics.total.audit if statistics else None
    if audit is None or audit.value is None or audit.trials < FEWEST:
        return Status(progress, "")
    low, high = (100 * bound for bound in audit.interval)
    share = f"{100 * audit.value:.0f} %"
    return Status(progress, f"{share} of random pairs predicted ({low:.0f}–{high:.0f} %)")
