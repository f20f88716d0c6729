"""The statistics page: figures, plots, who stood alone, and what to do next."""

import math
from collections.abc import Callable

import numpy as np

from src.evaluation.proportion import Proportion
from src.rating.models.order import OrderQuality
from src.rating.statistics import FEWEST, ChoiceCounts, OddOneOut, Statistics
from src.window import theme
from src.window.layout import Rect
from src.window.panel import Panel, smooth_line

_GAP = 12
_UNSTEADY = 9  # the first points of a running share say nothing
_ALONE = 66  # height of the card about who stood alone
_PLOTS = 130, 290  # heights that a row and two rows of plots need at least


def draw_statistics(panel: Panel, statistics: Statistics, *, goal_reached: bool) -> None:
    """Draw the page; what there is no room for in a small window is left out."""
    px = panel.style.px
    sheet = panel.sheet(px(1240), px(800))
    x, width = sheet.x + px(24), sheet.width - px(48)
    title = f"{statistics.goal} comparisons reached" if goal_reached else "Statistics"
    panel.text(x, sheet.y + px(18), title, 19, bold=True)
    corner, closing = (x + width, sheet.y + px(24)), "r or Esc to continue rating"
    panel.text(*corner, closing, 12, colour=theme.FAINT, anchor="ne")
    foot, wrap = sheet.y + sheet.height - px(30), width - px(40)
    advice = statistics.advice
    item = panel.text(x + px(20), foot, advice, 13, bold=True, anchor="sw", width=wrap)
    bottom = panel.ground(item, theme.ADVICE, left=x, width=width).y - px(_GAP)
    top = sheet.y + px(58)
    top = _draw_figures(panel, Rect(x, top, width, bottom - top), figures(statistics))
    if statistics.odd_one_out is not None and bottom - top >= px(_ALONE + _GAP + _PLOTS[0]):
        card = Rect(x, bottom - px(_ALONE), width, px(_ALONE))
        _draw_odd_one_out(panel, card, statistics.odd_one_out)
        bottom = card.y - px(_GAP)
    if bottom - top >= px(_PLOTS[0]):
        _draw_plots(panel, Rect(x, top, width, bottom - top), statistics)


def figures(statistics: Statistics) -> list[tuple[str, str, str]]:
    """What each figure is called, its value, and a detail."""
    made, each = statistics.session.answered, statistics.comparisons_per_image
    pace = ""
    if statistics.session_seconds > 0 and made > 1:
        pace = f" · {60 * made / statistics.session_seconds:.0f} a minute"
    return [
        ("This session", f"{made:,}", f"of {statistics.goal:,}{pace}"),
        _of_share("Session as predicted", statistics.session.agreement),
        ("All sessions", f"{statistics.comparisons:,}", f"{each:.1f} for each image"),
        ("Not rated yet", f"{statistics.unrated:,}", f"of {statistics.images:,} images"),
        _of_share("Random pairs predicted", statistics.total.audit),
        _of_share("Repeats answered alike", statistics.total.repeats),
    ]


def _of_share(label: str, share: Proportion) -> tuple[str, str, str]:
    if share.value is None or share.trials < FEWEST:
        return label, "–", f"{share.trials} of the {FEWEST} it takes"
    low, high = (100 * bound for bound in share.interval)
    detail = f"{low:.0f}–{high:.0f}%, {share.successes:,} of {share.trials:,}"
    return label, f"{100 * share.value:.0f}%", detail


def _draw_figures(panel: Panel, place: Rect, items: list[tuple[str, str, str]]) -> int:
    """Cards in one row or two, if there is room for the second; returns where they end."""
    px = panel.style.px
    gap, height = px(_GAP), px(82)
    columns = len(items) if place.width >= px(1000) else 3
    if place.height < 2 * height + gap:
        items = items[:columns]
    rows = -(-len(items) // columns)
    area = place._replace(height=rows * (height + gap) - gap)
    for (label, value, detail), card in zip(items, _grid(area, columns, rows, gap), strict=True):
        x = card.x + px(12)
        panel.box(card, theme.CARD)
        panel.text(x, card.y + px(9), label, 11, colour=theme.FAINT)
        panel.text(x, card.y + px(26), value, 22, bold=True)
        panel.text(x, card.y + px(58), detail, 11, colour=theme.FAINT)
    return area.y + area.height + gap


def _draw_odd_one_out(panel: Panel, card: Rect, odd: OddOneOut) -> None:
    """Who stood alone, as one divided bar."""
    px = panel.style.px
    *alone, agreed = odd
    total = sum(alone)
    title = f"Who stood alone, in the {total:,} of {total + agreed:,} choices not all agreed on"
    panel.box(card, theme.CARD)
    panel.text(card.x + px(12), card.y + px(9), title, 12, bold=True)
    bar = Rect(card.x + px(12), card.y + px(34), card.width - px(24), px(22))
    panel.rectangle(bar, theme.RULE)
    colours = (theme.ACCENT_2, theme.ACCENT, theme.ACCENT_3)
    start = bar.x
    for name, count, colour in zip(("you", "the scores", "the model"), alone, colours, strict=True):
        width = bar.width * count // max(total, 1)
        panel.rectangle(bar._replace(x=start, width=width), colour)
        text = f"{name} {100 * count / max(total, 1):.0f}%"
        if panel.measure(text, 11) + px(8) < width:
            middle = start + width // 2, bar.y + bar.height // 2
            panel.text(*middle, text, 11, colour="#1c1c1c", anchor="center")
        start += width


def _draw_plots(panel: Panel, place: Rect, statistics: Statistics) -> None:
    """All four plots, or the first two where there is room for no more."""
    px = panel.style.px
    two = place.height >= px(_PLOTS[1])
    columns = 4 if place.width >= px(900) and not two else 2
    cells = _grid(place, columns, 1 + two, px(_GAP))
    draw_agreement(panel, cells[0], statistics.total)
    if statistics.order is not None:
        draw_order(panel, cells[1], statistics.order)
    else:
        title, values = "Uncertainty of the scores", statistics.uncertainty
        draw_histogram(panel, cells[1], title, values, theme.ACCENT_2)
    if len(cells) == 4:
        counts, title = statistics.image_comparisons, "Comparisons for each image"
        draw_histogram(panel, cells[2], "Scores", statistics.scores, theme.ACCENT)
        draw_histogram(panel, cells[3], title, counts, theme.ACCENT_3, whole=True)


def draw_agreement(panel: Panel, card: Rect, counts: ChoiceCounts) -> None:
    """The running agreement over the choices, and that on all random pairs as a band."""
    aside = "blue: last 50 choices, green: all random pairs"
    plot, down = _draw_levels(panel, card, "Agreement over time", aside, (0.25, 0.5, 0.75, 1.0))
    if counts.audit.trials >= FEWEST and counts.audit.value is not None:
        low, high = (plot.y + down(bound) for bound in counts.audit.interval)
        panel.rectangle(Rect(plot.x, high, plot.width, low - high), theme.BAND)
        middle = plot.y + down(counts.audit.value)
        panel.rectangle(Rect(plot.x, middle, plot.width, panel.style.px(2)), theme.ACCENT_3)
    choices, shares = counts.running_agreement()
    if len(choices) > 2 * _UNSTEADY:
        choices, shares = choices[_UNSTEADY:], shares[_UNSTEADY:]
    if len(choices) < 2:
        x, y = plot.x + plot.width // 2, plot.y + plot.height // 2
        panel.text(x, y, "nothing yet", 12, colour=theme.FAINT, anchor="center")
        return
    across = (choices - choices[0]) / (choices[-1] - choices[0]) * _line_width(panel, plot)
    _draw_line(panel, plot, across, [down(share) for share in shares], theme.ACCENT)
    _draw_tick(panel, plot, 0, f"{choices[0]:,}")
    _draw_tick(panel, plot, plot.width, f"{choices[-1]:,} comparisons")


def draw_order(panel: Panel, card: Rect, order: OrderQuality) -> None:
    """How near the order has come to the person's own taste, and what more choices would add."""
    aside = "grey: expected after more choices"
    plot, down = _draw_levels(panel, card, "How good the order is", aside, (0.0, 0.5, 1.0))
    choices = np.array([0, *order.choices])
    across = choices / choices[-1] * _line_width(panel, plot)
    y = [down(share) for share in (0.0, *order.expected)]
    now, half = round(float(across[-2])), panel.style.px(4)
    low, high = down(order.low), down(order.high)
    panel.rectangle(Rect(plot.x + now - half, plot.y + high, 2 * half, low - high), theme.BAND)
    _draw_line(panel, plot, across[-2:], y[-2:], theme.FAINT)
    _draw_line(panel, plot, across[:-1], y[:-1], theme.ACCENT)
    _draw_tick(panel, plot, 0, "0")
    _draw_tick(panel, plot, now, f"{choices[-2]:,} comparisons")


def _draw_levels(
    panel: Panel, card: Rect, title: str, aside: str, levels: tuple[float, ...]
) -> tuple[Rect, Callable[[float], int]]:
    """A card with lines at levels; returns the plot's place, and how far down in it a share is."""
    px = panel.style.px
    plot = _draw_card(panel, card, title, aside, axis=panel.measure("100%", 11) + px(6))

    def down(share: float) -> int:
        kept = min(max(share, levels[0]), 1.0)
        return round(float((1 - kept) / (1 - levels[0])) * (plot.height - 1))

    for level in levels:
        y = plot.y + down(level)
        panel.rectangle(Rect(plot.x, y, plot.width, 1), theme.RULE)
        panel.text(plot.x - px(6), y, f"{100 * level:.0f}%", 11, colour=theme.FAINT, anchor="e")
    return plot, down


def _line_width(panel: Panel, plot: Rect) -> int:
    return plot.width - panel.style.px(3)  # the dot at the line's end stays inside


def _draw_line(panel: Panel, plot: Rect, x: np.ndarray, y: list[int], colour: str) -> None:
    points = list(zip(x.tolist(), y, strict=True))
    panel.image(plot.x, plot.y, smooth_line(plot.size, points, colour, panel.style.px(2)))


def draw_histogram(
    panel: Panel, card: Rect, title: str, values: np.ndarray, colour: str, *, whole: bool = False
) -> None:
    """How many images have which value; `whole` ones get a bar each while they are few."""
    values = values.round(6)  # what differs by less is the same
    low, high = float(values.min()), float(values.max())
    if whole and high - low < 24:
        edges = np.arange(low, high + 2) - 0.5
    else:
        bars = min(max(round(2 * len(values) ** 0.5), 6), 24)
        edges = np.histogram_bin_edges(values, bars)
    counts = np.histogram(values, edges)[0].tolist()
    most = max(counts)
    aside = f"highest bar: {most:,} image{'s' * (most != 1)}"
    plot = _draw_card(panel, card, title, aside)
    bottom = plot.y + plot.height
    panel.rectangle(Rect(plot.x, bottom - 1, plot.width, 1), theme.RULE)

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


def _grid(place: Rect, columns: int, rows: int, gap: int) -> list[Rect]:
    """Equal cells that fill a place, row by row."""
    across = [place.x + (place.width + gap) * number // columns for number in range(columns + 1)]
    down = [place.y + (place.height + gap) * number // rows for number in range(rows + 1)]
    return [
        Rect(across[c], down[r], across[c + 1] - across[c] - gap, down[r + 1] - down[r] - gap)
        for r in range(rows)
        for c in range(columns)
    ]
