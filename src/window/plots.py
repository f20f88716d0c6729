"""Small plots on cards: a line over time and histograms."""

import math
from collections.abc import Sequence

import numpy as np

from src.evaluation.proportion import Proportion
from src.rating.report.advice import FEWEST
from src.window import theme
from src.window.layout import Rect
from src.window.panel import Panel
from src.window.shapes import smooth_line

_LINE_FLOOR = 0.4  # the agreement's axis begins here, unless it falls lower
_LEVELS = (0.5, 0.75, 1.0)
_UNSTEADY = 9  # the first points of a running share say nothing


def draw_agreement(
    panel: Panel, card: Rect, choices: np.ndarray, shares: np.ndarray, audit: Proportion
) -> None:
    """The running agreement over the choices, and that on all random pairs as a band."""
    px = panel.style.px
    enough = len(choices) > 1
    aside = "blue: last 50 choices, green: all random pairs" if enough else ""
    axis = panel.measure("100 %", 11) + px(6)
    plot = _draw_card(panel, card, "Agreement over time", aside, axis)
    if len(choices) > 2 * _UNSTEADY:
        choices, shares = choices[_UNSTEADY:], shares[_UNSTEADY:]
    floor: float = min([_LINE_FLOOR, *shares.tolist()])

    def height(share: float) -> float:
        return (1.0 - max(share, floor)) / (1.0 - floor) * (plot.height - 1)

    if audit.trials >= FEWEST and audit.value is not None:
        low, high = (plot.y + round(height(bound)) for bound in audit.interval)
        faint = theme.mix(theme.CARD, theme.ACCENT_3, 0.16)
        panel.rectangle(Rect(plot.x, high, plot.width, low - high), faint)
        middle = plot.y + round(height(audit.value))
        panel.rectangle(Rect(plot.x, middle, plot.width, px(2)), theme.ACCENT_3)
    for level in _LEVELS:
        y = plot.y + round(height(level))
        panel.rectangle(Rect(plot.x, y, plot.width, 1), theme.RULE)
        panel.text(plot.x - px(6), y, f"{100 * level:.0f} %", 11, colour=theme.FAINT, anchor="e")
    if not enough:
        _draw_nothing_yet(panel, plot)
        return
    across = (choices - choices[0]) / max(choices[-1] - choices[0], 1) * (plot.width - px(3))
    points = [(x, height(share)) for x, share in zip(across.tolist(), shares.tolist(), strict=True)]
    panel.image(plot.x, plot.y, smooth_line(plot.size, points, theme.ACCENT, px(2)))
    _draw_tick(panel, plot, 0, f"{choices[0]:,}")
    _draw_tick(panel, plot, plot.width, f"{choices[-1]:,} comparisons")


def draw_histogram(
    panel: Panel, card: Rect, title: str, values: np.ndarray, colour: str, *, whole: bool = False
) -> None:
    """How many images have which value; `whole` ones get a bar each while they are few."""
    edges = _edges(values, whole)
    counts = np.histogram(values, edges)[0].tolist()
    most = max(counts)
    plot = _draw_card(
        panel, card, title, f"highest bar: {most:,} image{'s' * (most != 1)}" if most else ""
    )
    bottom = plot.y + plot.height
    panel.rectangle(Rect(plot.x, bottom - 1, plot.width, 1), theme.RULE)
    if not most:
        _draw_nothing_yet(panel, plot)
        return
    places = ((edges - edges[0]) / (edges[-1] - edges[0]) * plot.width).round().astype(int).tolist()
    for left, right, count in zip(places[:-1], places[1:], counts, strict=True):
        if count:
            tall = max(round(count / most * (plot.height - 1)), 1)
            width = max(right - left - max(1, panel.style.px(1)), 1)
            panel.rectangle(Rect(plot.x + left, bottom - 1 - tall, width, tall), colour)
    wanted = max(2, card.width // panel.style.px(60))
    for tick in ticks(edges[0], edges[-1], whole=whole, wanted=wanted):
        x = round((tick - edges[0]) / (edges[-1] - edges[0]) * plot.width)
        _draw_tick(panel, plot, x, f"{tick:,.0f}" if whole else f"{tick:.3g}".replace("-", "−"))


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


def _draw_card(panel: Panel, card: Rect, title: str, aside: str, axis: int = 0) -> Rect:
    """A card with a title and a remark beside it; returns the plot's place, right of an axis."""
    px = panel.style.px
    panel.box(card, theme.CARD, radius=8)
    panel.text(card.x + px(14), card.y + px(9), title, 12, bold=True)
    if panel.measure(title, 12, bold=True) + panel.measure(aside, 11) + px(44) <= card.width:
        right = card.x + card.width - px(14)
        panel.text(right, card.y + px(10), aside, 11, colour=theme.FAINT, anchor="ne")
    return Rect(
        card.x + px(14) + axis,
        card.y + px(36),
        max(card.width - px(28) - axis, 8),
        max(card.height - px(60), 8),
    )


def _draw_tick(panel: Panel, plot: Rect, x: int, text: str) -> None:
    """A label below the plot, kept within its width."""
    half = panel.measure(text, 11) // 2
    middle = plot.x + max(min(x, plot.width - half), half)
    below = plot.y + plot.height + panel.style.px(4)
    panel.text(middle, below, text, 11, colour=theme.FAINT, anchor="n")


def _draw_nothing_yet(panel: Panel, plot: Rect) -> None:
    x, y = plot.x + plot.width // 2, plot.y + plot.height // 2
    panel.text(x, y, "nothing yet", 12, colour=theme.FAINT, anchor="center")


def _edges(values: Sequence[float] | np.ndarray, whole: bool) -> np.ndarray:
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = float(min(values)), float(max(values))
    if whole and high - low < 24:
        return np.arange(math.floor(low), math.floor(high) + 2) - 0.5
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    bars = min(max(round(2 * len(values) ** 0.5), 6), 24)
    return np.linspace(low, high, bars + 1)
