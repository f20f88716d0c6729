"""The statistics page: figures, plots, who stood alone, and what to do next."""

from collections.abc import Callable

import numpy as np

from src.evaluation.proportion import Proportion
from src.rating.models.order import OrderQuality
from src.rating.statistics import FEWEST, ChoiceCounts, OddOneOut, Statistics
from src.text import counted
from src.window import theme
from src.window.layout import Rect
from src.window.panel import Panel, smooth_line

_GAP = 12
_ALONE = 66  # height of the card about who stood alone
_LADDER, _PLOTS = 130, 120  # heights that the ladder and the plots need at least


def draw_statistics(panel: Panel, statistics: Statistics, *, goal_reached: bool) -> Rect | None:
    """Draw the page; what there is no room for in a small window is left out.

    Returns the place that is left for the ladder.
    """
    px = panel.style.px
    sheet = panel.sheet(px(1240), px(800))
    x, width, gap = sheet.x + px(24), sheet.width - px(48), px(_GAP)
    title = f"{counted(statistics.goal, 'choice')} reached" if goal_reached else "Statistics"
    panel.text(x, sheet.y + px(18), title, 19, bold=True)
    corner, closing = (x + width, sheet.y + px(24)), "r or Esc to continue rating"
    panel.text(*corner, closing, 12, colour=theme.FAINT, anchor="ne")
    foot, wrap = sheet.y + sheet.height - px(30), width - px(40)
    advice = statistics.advice
    item = panel.text(x + px(20), foot, advice, 13, bold=True, anchor="sw", width=wrap)
    bottom = panel.ground(item, theme.ADVICE, left=x, width=width).y - gap
    top = sheet.y + px(58)
    top = _draw_figures(panel, Rect(x, top, width, bottom - top), figures(statistics))
    if statistics.odd_one_out is not None and bottom - top >= px(_ALONE + _GAP + _LADDER):
        card = Rect(x, bottom - px(_ALONE), width, px(_ALONE))
        _draw_odd_one_out(panel, card, statistics.odd_one_out)
        bottom = card.y - gap
    if bottom - top >= px(_PLOTS + _GAP + _LADDER):
        height = max((bottom - top) * 2 // 5, px(_PLOTS))
        _draw_plots(panel, Rect(x, top, width, height), statistics)
        top += height + gap
    return Rect(x, top, width, bottom - top) if bottom - top >= px(_LADDER) else None


def figures(statistics: Statistics) -> list[tuple[str, str, str]]:
    """What each figure is called, its value, and a detail."""
    made, each = statistics.session.answered, statistics.choices_per_image
    pace = ""
    if statistics.session_seconds > 0 and made > 1:
        pace = f" · {60 * made / statistics.session_seconds:.0f} a minute"
    return [
        ("This session", f"{made:,}", f"of {statistics.goal:,}{pace}"),
        _of_share("Session as predicted", statistics.session.agreement),
        ("All sessions", f"{statistics.choices:,}", f"{each:.1f} for each image"),
        ("Not rated yet", f"{statistics.unrated:,}", f"of {counted(statistics.images, 'image')}"),
        _of_share(f"Random {statistics.total.kind}s predicted", statistics.total.audit),
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
    for (label, value, detail), card in zip(items, area.grid(columns, rows, gap), strict=True):
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
    title = f"Odd one out in {total:,} of {counted(total + agreed, 'choice')}"
    panel.box(card, theme.CARD)
    panel.text(card.x + px(12), card.y + px(9), title, 12, bold=True)
    bar = Rect(card.x + px(12), card.y + px(34), card.width - px(24), px(22))
    panel.rectangle(bar, theme.RULE)
    if total < FEWEST:
        return
    colours = (theme.ACCENT_2, theme.ACCENT, theme.ACCENT_3)
    start = bar.x
    for name, count, colour in zip(("you", "the scores", "the model"), alone, colours, strict=True):
        width = bar.width * count // total
        panel.rectangle(bar._replace(x=start, width=width), colour)
        text = f"{name} {100 * count / total:.0f}%"
        if panel.measure(text, 11) + px(8) < width:
            middle = start + width // 2, bar.y + bar.height // 2
            panel.text(*middle, text, 11, colour="#1c1c1c", anchor="center")
        start += width


def _draw_plots(panel: Panel, place: Rect, statistics: Statistics) -> None:
    cells = place.grid(1 if statistics.order is None else 2, 1, panel.style.px(_GAP))
    draw_agreement(panel, cells[0], statistics.total)
    if statistics.order is not None:
        draw_order(panel, cells[1], statistics.order)


def draw_agreement(panel: Panel, card: Rect, counts: ChoiceCounts) -> None:
    """The running agreement over the choices, and that on all random sets as a band."""
    aside = f"blue: last 50 choices, green: all random {counts.kind}s"
    plot, down = _draw_levels(panel, card, "Agreement over time", aside, (0.25, 0.5, 0.75, 1.0))
    if counts.audit.trials >= FEWEST and counts.audit.value is not None:
        low, high = (plot.y + down(bound) for bound in counts.audit.interval)
        panel.rectangle(Rect(plot.x, high, plot.width, low - high), theme.BAND)
        middle = plot.y + down(counts.audit.value)
        panel.rectangle(Rect(plot.x, middle, plot.width, panel.style.px(2)), theme.ACCENT_3)
    choices, shares = (values[FEWEST - 1 :] for values in counts.running_agreement())
    if len(choices) < 2:
        x, y = plot.x + plot.width // 2, plot.y + plot.height // 2
        panel.text(x, y, "nothing yet", 12, colour=theme.FAINT, anchor="center")
        return
    across = (choices - choices[0]) / (choices[-1] - choices[0]) * _line_width(panel, plot)
    _draw_line(panel, plot, across, [down(share) for share in shares], theme.ACCENT)
    _draw_tick(panel, plot, 0, f"{choices[0]:,}")
    _draw_tick(panel, plot, plot.width, counted(choices[-1], "choice"))


def draw_order(panel: Panel, card: Rect, order: OrderQuality) -> None:
    """How near the order has come to the person's own taste, and what more choices would add."""
    aside = "grey: expected after more choices"
    title = (
        f"Of the top {order.top:,}, how many are right" if order.top else "How good the order is"
    )
    plot, down = _draw_levels(panel, card, title, aside, (0.0, 0.5, 1.0))
    choices = np.array([0, *order.choices])
    across = choices / choices[-1] * _line_width(panel, plot)
    y = [down(share) for share in (0.0, *order.expected)]
    now, half = round(float(across[-2])), panel.style.px(4)
    low, high = down(order.low), down(order.high)
    panel.rectangle(Rect(plot.x + now - half, plot.y + high, 2 * half, low - high), theme.BAND)
    _draw_line(panel, plot, across[-2:], y[-2:], theme.FAINT)
    _draw_line(panel, plot, across[:-1], y[:-1], theme.ACCENT)
    _draw_tick(panel, plot, 0, "0")
    _draw_tick(panel, plot, now, counted(choices[-2], "choice"))


def _draw_levels(
    panel: Panel, card: Rect, title: str, aside: str, levels: tuple[float, ...]
) -> tuple[Rect, Callable[[float], int]]:
    """A card with lines at levels; returns the plot's place, and how far down in it a share is."""
    px = panel.style.px
    panel.card(card, title, aside)
    axis = px(14) + panel.measure("100%", 11) + px(6)
    width, height = max(card.width - axis - px(14), 8), max(card.height - px(60), 8)
    plot = Rect(card.x + axis, card.y + px(36), width, height)

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


def _draw_tick(panel: Panel, plot: Rect, x: int, text: str) -> None:
    """A label below the plot, kept within its width."""
    half = panel.measure(text, 11) // 2
    middle = plot.x + max(min(x, plot.width - half), half)
    below = plot.y + plot.height + panel.style.px(4)
    panel.text(middle, below, text, 11, colour=theme.FAINT, anchor="n")
