"""The statistics page: figures, plots, who is the odd one out, and what to do next."""

import math
from typing import NamedTuple

import numpy as np

from src.evaluation.proportion import Proportion
from src.rating.models.order import OrderQuality
from src.rating.statistics import FEWEST, OddOneOut, Statistics
from src.window import theme
from src.window.layout import Rect
from src.window.panel import Panel, smooth_line

_GAP = 12
_LINE_FLOOR = 0.4  # the agreement's axis begins here, unless it falls lower
_LEVELS = (0.5, 0.75, 1.0)
_UNSTEADY = 9  # the first points of a running share say nothing


class Figure(NamedTuple):
    label: str
    value: str
    detail: str


def draw_statistics(panel: Panel, statistics: Statistics, *, goal_reached: bool) -> None:
    """Draw the page; plots are left out where the window is too small for them."""
    px = panel.style.px
    sheet = panel.sheet(px(1240), px(800))
    x, width = sheet.x + px(24), sheet.width - px(48)
    title = f"{statistics.goal} comparisons reached" if goal_reached else "Statistics"
    panel.text(x, sheet.y + px(18), title, 19, bold=True)
    corner, closing = (x + width, sheet.y + px(24)), "r or Esc goes on rating"
    panel.text(*corner, closing, 12, colour=theme.FAINT, anchor="ne")
    end = max(sheet.y + sheet.height - px(18), sheet.y + px(19))
    bottom = _draw_advice(panel, Rect(x, sheet.y, width, end - sheet.y), statistics.advice)
    top = sheet.y + px(58)
    top = _draw_figures(panel, Rect(x, top, width, bottom - top), figures(statistics))
    if statistics.odd_one_out is not None and bottom - top > px(150):
        card = Rect(x, bottom - px(66), width, px(66))
        _draw_odd_one_out(panel, card, statistics.odd_one_out)
        bottom = card.y - px(_GAP)
    if bottom - top >= px(110):
        _draw_plots(panel, Rect(x, top, width, bottom - top), statistics)


def figures(statistics: Statistics) -> list[Figure]:
    made, each = statistics.session.answered, statistics.comparisons_per_image
    pace = ""
    if statistics.session_seconds > 0 and made > 1:
        pace = f" · {60 * made / statistics.session_seconds:.0f} a minute"
    return [
        Figure("This session", f"{made:,}", f"of {statistics.goal:,}{pace}"),
        _of_share("Session as predicted", statistics.session.agreement),
        Figure("All sessions", f"{statistics.comparisons:,}", f"{each:.1f} for each image"),
        Figure("Not rated yet", f"{statistics.unrated:,}", f"of {statistics.images:,} images"),
        _of_share("Random pairs predicted", statistics.total.audit),
        _of_share("You agree with yourself", statistics.total.repeats),
    ]


def _of_share(label: str, share: Proportion) -> Figure:
    if share.value is None or share.trials < FEWEST:
        return Figure(label, "–", f"{share.trials} of the {FEWEST} it takes")
    low, high = (100 * bound for bound in share.interval)
    detail = f"{low:.0f}–{high:.0f}%, {share.successes:,} of {share.trials:,}"
    return Figure(label, f"{100 * share.value:.0f}%", detail)


def _draw_figures(panel: Panel, place: Rect, items: list[Figure]) -> int:
    """Cards in one row or two, if there is room for the second; returns where they end."""
    px = panel.style.px
    gap, height = px(_GAP), px(82)
    columns = len(items) if place.width >= px(1000) else 3
    if place.height < 2 * height + gap:
        items = items[:columns]
    rows = -(-len(items) // columns)
    area = place._replace(height=rows * (height + gap) - gap)
    for item, card in zip(items, _grid(area, columns, rows, gap), strict=False):
        panel.box(card, theme.CARD)
        panel.text(card.x + px(12), card.y + px(9), item.label, 11, colour=theme.FAINT)
        panel.text(card.x + px(12), card.y + px(26), item.value, 22, bold=True)
        panel.text(card.x + px(12), card.y + px(58), item.detail, 11, colour=theme.FAINT)
    return area.y + area.height + gap


def _draw_advice(panel: Panel, place: Rect, advice: str) -> int:
    """The sentence at the bottom; returns where what is above it ends."""
    px, font = panel.style.px, panel.style.font(13, bold=True)
    width = place.width - px(40)
    lines = max(1, -(-font.measure(advice) * 11 // (10 * max(width, 1))))
    height = lines * font.metrics("linespace") + px(24)
    top = place.y + place.height - height
    panel.box(Rect(place.x, top, place.width, height), theme.ADVICE)
    panel.text(place.x + px(20), top + height // 2, advice, 13, bold=True, anchor="w", width=width)
    return top - px(_GAP)


def _draw_odd_one_out(panel: Panel, card: Rect, odd: OddOneOut) -> None:
    """Who stood alone, as one divided bar."""
    px = panel.style.px
    panel.box(card, theme.CARD)
    total = odd.person + odd.database + odd.model
    title = f"Who stood alone, in the {total:,} of {total + odd.agreed:,} choices not all agreed on"
    panel.text(card.x + px(12), card.y + px(9), title, 12, bold=True)
    bar = Rect(card.x + px(12), card.y + px(34), card.width - px(24), px(22))
    panel.rectangle(bar, theme.RULE)
    names = ("you", "the scores", "the model")
    colours = (theme.ACCENT_2, theme.ACCENT, theme.ACCENT_3)
    before = 0
    for name, count, colour in zip(names, odd[:3], colours, strict=True):
        start, end = (bar.x + bar.width * n // max(total, 1) for n in (before, before + count))
        panel.rectangle(bar._replace(x=start, width=end - start), colour)
        text = f"{name} {100 * count / max(total, 1):.0f}%"
        if panel.measure(text, 11) + px(8) < end - start:
            middle = (start + end) // 2, bar.y + bar.height // 2
            panel.text(*middle, text, 11, colour="#1c1c1c", anchor="center")
        before += count


def _draw_plots(panel: Panel, place: Rect, statistics: Statistics) -> None:
    columns = 2 if place.height >= panel.style.px(290) else 4
    cells = _grid(place, columns, 4 // columns, panel.style.px(_GAP))
    scores, counts = statistics.scores, statistics.image_comparisons
    draw_agreement(panel, cells[0], *statistics.total.running_agreement(), statistics.total.audit)
    draw_histogram(panel, cells[1], "Scores", scores, theme.ACCENT)
    if statistics.order is None:
        draw_histogram(
            panel, cells[2], "Uncertainty of the scores", statistics.uncertainty, theme.ACCENT_2
        )
    else:
        draw_order(panel, cells[2], statistics.order)
    title = "Comparisons for each image"
    draw_histogram(panel, cells[3], title, counts, theme.ACCENT_3, whole=True)


def draw_agreement(
    panel: Panel, card: Rect, choices: np.ndarray, shares: np.ndarray, audit: Proportion
) -> None:
    """The running agreement over the choices, and that on all random pairs as a band."""
    px = panel.style.px
    enough = len(choices) > 1
    aside = "blue: last 50 choices, green: all random pairs" if enough else ""
    axis = panel.measure("100%", 11) + px(6)
    plot = _draw_card(panel, card, "Agreement over time", aside, axis)
    if len(choices) > 2 * _UNSTEADY:
        choices, shares = choices[_UNSTEADY:], shares[_UNSTEADY:]
    floor: float = min([_LINE_FLOOR, *shares.tolist()])

    def height(share: float) -> float:
        return (1.0 - max(share, floor)) / (1.0 - floor) * (plot.height - 1)

    if audit.trials >= FEWEST and audit.value is not None:
        low, high = (plot.y + round(height(bound)) for bound in audit.interval)
        panel.rectangle(Rect(plot.x, high, plot.width, low - high), theme.BAND)
        middle = plot.y + round(height(audit.value))
        panel.rectangle(Rect(plot.x, middle, plot.width, px(2)), theme.ACCENT_3)
    for level in _LEVELS:
        y = plot.y + round(height(level))
        panel.rectangle(Rect(plot.x, y, plot.width, 1), theme.RULE)
        panel.text(plot.x - px(6), y, f"{100 * level:.0f}%", 11, colour=theme.FAINT, anchor="e")
    if not enough:
        _draw_nothing_yet(panel, plot)
        return
    across = (choices - choices[0]) / max(choices[-1] - choices[0], 1) * (plot.width - px(3))
    points = [(x, height(share)) for x, share in zip(across.tolist(), shares.tolist(), strict=True)]
    panel.image(plot.x, plot.y, smooth_line(plot.size, points, theme.ACCENT, px(2)))
    _draw_tick(panel, plot, 0, f"{choices[0]:,}")
    _draw_tick(panel, plot, plot.width, f"{choices[-1]:,} comparisons")


def draw_order(panel: Panel, card: Rect, order: OrderQuality) -> None:
    """How near the order has come to the person's own taste, and what more choices would add."""
    px = panel.style.px
    axis = panel.measure("100%", 11) + px(6)
    plot = _draw_card(panel, card, "How good the order is", "faint: expected of more choices", axis)
    for level in (0.0, 0.5, 1.0):
        y = plot.y + round((1 - level) * (plot.height - 1))
        panel.rectangle(Rect(plot.x, y, plot.width, 1), theme.RULE)
        panel.text(plot.x - px(6), y, f"{100 * level:.0f}%", 11, colour=theme.FAINT, anchor="e")
    across = order.choices / order.choices[-1] * (plot.width - px(3))
    down = (1 - np.clip(order.expected, 0, 1)) * (plot.height - 1)
    points = [(0.0, plot.height - 1.0), *zip(across.tolist(), down.tolist(), strict=True)]
    low, high = (plot.y + round((1 - bound) * (plot.height - 1)) for bound in order[2:])
    now = plot.x + round(points[-2][0])
    panel.rectangle(Rect(now - px(4), high, px(8), low - high), theme.BAND)
    panel.image(plot.x, plot.y, smooth_line(plot.size, points[-2:], theme.FAINT, px(2)))
    panel.image(plot.x, plot.y, smooth_line(plot.size, points[:-1], theme.ACCENT, px(2)))
    _draw_tick(panel, plot, 0, "0")
    _draw_tick(panel, plot, now - plot.x, f"{order.choices[-2]:,} comparisons")


def draw_histogram(
    panel: Panel, card: Rect, title: str, values: np.ndarray, colour: str, *, whole: bool = False
) -> None:
    """How many images have which value; `whole` ones get a bar each while they are few."""
    edges = _edges(values, whole)
    counts = np.histogram(values, edges)[0].tolist()
    most = max(counts)
    aside = f"highest bar: {most:,} image{'s' * (most != 1)}" if most else ""
    plot = _draw_card(panel, card, title, aside)
    bottom = plot.y + plot.height
    panel.rectangle(Rect(plot.x, bottom - 1, plot.width, 1), theme.RULE)
    if not most:
        _draw_nothing_yet(panel, plot)
        return

    def place(value: float) -> int:
        return round(float((value - edges[0]) / (edges[-1] - edges[0])) * plot.width)

    for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True):
        if count:
            tall = max(round(count / most * (plot.height - 1)), 1)
            width = max(place(right) - place(left) - max(1, panel.style.px(1)), 1)
            panel.rectangle(Rect(plot.x + place(left), bottom - 1 - tall, width, tall), colour)
    wanted = max(2, card.width // panel.style.px(60))
    for tick in ticks(edges[0], edges[-1], whole=whole, wanted=wanted):
        text = f"{tick:,.0f}" if whole else f"{tick:.3g}".replace("-", "−")
        _draw_tick(panel, plot, place(tick), text)


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
    panel.box(card, theme.CARD)
    x, width = card.x + px(14), card.width - px(28)
    panel.text(x, card.y + px(9), title, 12, bold=True)
    if panel.measure(title, 12, bold=True) + panel.measure(aside, 11) + px(16) <= width:
        panel.text(x + width, card.y + px(10), aside, 11, colour=theme.FAINT, anchor="ne")
    return Rect(x + axis, card.y + px(36), max(width - axis, 8), max(card.height - px(60), 8))


def _draw_tick(panel: Panel, plot: Rect, x: int, text: str) -> None:
    """A label below the plot, kept within its width."""
    half = panel.measure(text, 11) // 2
    middle = plot.x + max(min(x, plot.width - half), half)
    below = plot.y + plot.height + panel.style.px(4)
    panel.text(middle, below, text, 11, colour=theme.FAINT, anchor="n")


def _draw_nothing_yet(panel: Panel, plot: Rect) -> None:
    x, y = plot.x + plot.width // 2, plot.y + plot.height // 2
    panel.text(x, y, "nothing yet", 12, colour=theme.FAINT, anchor="center")


def _edges(values: np.ndarray, whole: bool) -> np.ndarray:
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = float(values.min()), float(values.max())
    if whole and high - low < 24:
        return np.arange(math.floor(low), math.floor(high) + 2) - 0.5
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    bars = min(max(round(2 * len(values) ** 0.5), 6), 24)
    return np.linspace(low, high, bars + 1)


def _grid(place: Rect, columns: int, rows: int, gap: int) -> list[Rect]:
    """Equal cells that fill a place, row by row."""
    across = [place.x + (place.width + gap) * number // columns for number in range(columns + 1)]
    down = [place.y + (place.height + gap) * number // rows for number in range(rows + 1)]
    return [
        Rect(across[c], down[r], across[c + 1] - across[c] - gap, down[r + 1] - down[r] - gap)
        for r in range(rows)
        for c in range(columns)
    ]
