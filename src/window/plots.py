"""Small plots on cards: a line over time and histograms."""

import math
from collections.abc import Sequence

import numpy as np

from src.rating.report.advice import FEWEST
from src.rating.report.statistics import Proportion
from src.window import theme
from src.window.layout import Rect
from src.window.panel import Panel
from src.window.shapes import Sketch

_LINE_FLOOR = 0.4  # the agreement's axis begins here, unless it falls lower
_LEVELS = (0.5, 0.75, 1.0)
_UNSTEADY = 9  # the first points of a running share say nothing


class _Card:
    """A titled card with a plotting area; maps values to the area's pixels.

    Args:
        panel, place: where.
        title: what is plotted.
        x_range, y_range: the values at the area's edges.
        axis: width kept free for labels on the left.
    """

    def __init__(
        self,
        panel: Panel,
        place: Rect,
        title: str,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        axis: int = 0,
    ) -> None:
        px = panel.style.px
        panel.box(place, theme.CARD, radius=8)
        panel.text(place.x + px(14), place.y + px(9), title, 12, bold=True)
        self.panel, self.place, self._title = panel, place, title
        self.plot = Rect(
            place.x + px(14) + axis,
            place.y + px(36),
            max(place.width - px(28) - axis, 8),
            max(place.height - px(60), 8),
        )
        self.sketch = Sketch(self.plot.size, theme.CARD)
        self._x_range, self._y_range = x_range, y_range

    def x(self, value: float) -> float:
        low, high = self._x_range
        return (value - low) / (high - low) * self.plot.width

    def y(self, value: float) -> float:
        low, high = self._y_range
        return (high - value) / (high - low) * (self.plot.height - 1)

    def level(self, value: float) -> None:
        """A horizontal rule."""
        self.sketch.bar(0, self.y(value), self.plot.width, 1, theme.RULE)

    def x_label(self, value: float, text: str) -> None:
        """A label below the plot, kept within its width."""
        half = self.panel.measure(text, 10) // 2
        left, right = self.plot.x + half, self.plot.x + self.plot.width - half
        middle = max(min(self.plot.x + round(self.x(value)), right), left)
        below = self.plot.y + self.plot.height + self.panel.style.px(4)
        self.panel.text(middle, below, text, 10, colour=theme.FAINT, anchor="n")

    def y_label(self, value: float, text: str) -> None:
        """A label on the left of the plot."""
        x = self.plot.x - self.panel.style.px(6)
        y = self.plot.y + round(self.y(value))
        self.panel.text(x, y, text, 10, colour=theme.FAINT, anchor="e")

    def aside(self, text: str) -> None:
        """A remark at the right end of the title's line, if there is room."""
        px = self.panel.style.px
        used = self.panel.measure(self._title, 12, bold=True) + self.panel.measure(text, 10)
        if used + px(44) > self.place.width:
            return
        right = self.place.x + self.place.width - px(14)
        self.panel.text(right, self.place.y + px(10), text, 10, colour=theme.FAINT, anchor="ne")

    def nothing_yet(self) -> None:
        """What stands where there are no values."""
        x = self.plot.x + self.plot.width // 2
        y = self.plot.y + self.plot.height // 2
        self.panel.text(x, y, "nothing yet", 12, colour=theme.FAINT, anchor="center")

    def finish(self) -> None:
        """Put the drawing on the card; texts go on top of it."""
        self.panel.image(self.plot.x, self.plot.y, self.sketch.image())


def draw_agreement(
    panel: Panel, place: Rect, choices: Sequence[int], shares: Sequence[float], audit: Proportion
) -> None:
    """The running agreement over the choices, and that on all random pairs as a band.

    50 % is chance.

    Args:
        panel, place: where.
        choices, shares: the line, one point for each choice.
        audit: random pairs that were predicted.
    """
    if len(choices) > 2 * _UNSTEADY:
        choices, shares = choices[_UNSTEADY:], shares[_UNSTEADY:]
    first, last = min(choices, default=0), max(choices, default=1)
    floor = min([_LINE_FLOOR, *shares])
    axis = panel.measure("100 %", 10) + panel.style.px(6)
    card = _Card(
        panel, place, "Agreement over time", (first, max(last, first + 1)), (floor, 1.0), axis
    )
    if audit.value is not None and audit.trials >= FEWEST:
        low, high = (min(max(bound, floor), 1.0) for bound in audit.interval)
        top, bottom = card.y(high), card.y(low)
        card.sketch.bar(0, top, card.plot.width, bottom - top, _faint(theme.ACCENT_3))
        middle = card.y(max(audit.value, floor))
        card.sketch.bar(0, middle, card.plot.width, panel.style.px(2), theme.ACCENT_3)
    for level in _LEVELS:
        card.level(level)
    if len(choices) > 1:
        points = [(card.x(n), card.y(share)) for n, share in zip(choices, shares, strict=True)]
        card.sketch.line(points, theme.ACCENT, panel.style.px(2))
        radius = panel.style.px(3)
        x, y = points[-1]
        card.sketch.dot(min(x, card.plot.width - radius), y, radius, theme.ACCENT)
    card.finish()
    for level in _LEVELS:
        card.y_label(level, f"{100 * level:.0f} %")
    if len(choices) > 1:
        card.aside("blue: last 50 choices, green: all random pairs")
        card.x_label(first, f"{first:,}")
        card.x_label(last, f"{last:,} comparisons")
    else:
        card.nothing_yet()


def draw_histogram(
    panel: Panel,
    place: Rect,
    title: str,
    values: Sequence[float],
    colour: str,
    *,
    whole: bool = False,
) -> None:
    """How many images have which value.

    Args:
        panel, place: where.
        title: what the values are.
        values: one for each image.
        colour: of the bars.
        whole: the values are counts; one bar for each while they are few.
    """
    edges = _edges(values, whole)
    counts = np.histogram(np.asarray(values, dtype=float), edges)[0]
    most = int(counts.max())
    card = _Card(panel, place, title, (float(edges[0]), float(edges[-1])), (0.0, max(most, 1)))
    card.level(0)
    gap = max(1.0, panel.style.px(1))
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        if count:
            left, top = card.x(low), min(card.y(float(count)), card.y(0) - 1)
            card.sketch.bar(left, top, max(card.x(high) - left - gap, 1), card.y(0) - top, colour)
    card.finish()
    if not len(values):
        card.nothing_yet()
        return
    card.aside(f"highest bar: {most:,} image{'s' * (most != 1)}")
    for tick in ticks(
        edges[0], edges[-1], whole=whole, wanted=max(2, place.width // panel.style.px(60))
    ):
        card.x_label(tick, f"{tick:,.0f}" if whole else f"{tick:.3g}".replace("-", "−"))


def ticks(low: float, high: float, *, whole: bool = False, wanted: int = 6) -> list[float]:
    """Round values from `low` to `high`, about as many as wanted; 1, 2 or 5 times a power of 10."""
    span = high - low
    if span <= 0:
        return [low]
    step = 10.0 ** math.floor(math.log10(span / wanted))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= wanted)
    if whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [step * number for number in range(first, last + 1)]


def _edges(values: Sequence[float], whole: bool) -> np.ndarray:
    """Borders of the bars."""
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = float(min(values)), float(max(values))
    if whole and high - low < 24:
        return np.arange(math.floor(low), math.floor(high) + 2) - 0.5
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    bars = min(max(round(2 * len(values) ** 0.5), 6), 24)
    return np.linspace(low, high, bars + 1)


def _faint(colour: str) -> tuple[int, int, int, int]:
    return (*(int(colour[i : i + 2], 16) for i in (1, 3, 5)), 40)  # type: ignore[return-value]
