"""The statistics page: figures, plots, who is the odd one out, and what to do next."""

from typing import NamedTuple

from src.rating.report.advice import FEWEST
from src.rating.report.statistics import OddOneOut, Proportion, Statistics
from src.window import theme
from src.window.layout import Rect
from src.window.panel import Panel
from src.window.plots import draw_agreement, draw_histogram
from src.window.shapes import Sketch

_GAP = 12


class _Figure(NamedTuple):
    label: str
    value: str
    detail: str


def draw_statistics(panel: Panel, statistics: Statistics, *, goal_reached: bool) -> None:
    """Draw the page; plots are left out where the window is too small for them."""
    px = panel.style.px
    place = panel.sheet(px(1240), px(800))
    inner = Rect(
        place.x + px(24), place.y + px(18), place.width - px(48), max(place.height - px(36), 1)
    )
    title = f"{statistics.goal} comparisons: well done" if goal_reached else "Statistics"
    panel.text(inner.x, inner.y, title, 19, bold=True)
    panel.text(
        inner.x + inner.width,
        inner.y + px(6),
        "r or Esc goes on rating",
        12,
        colour=theme.FAINT,
        anchor="ne",
    )
    bottom = _draw_advice(panel, inner, statistics.advice)
    top = inner.y + px(40)
    space = Rect(inner.x, top, inner.width, bottom - top)
    top = _draw_figures(panel, space, figures(statistics))
    if statistics.odd_one_out is not None and bottom - top > px(150):
        bottom = _draw_odd_one_out(panel, inner, bottom, statistics.odd_one_out)
    if bottom - top >= px(110):
        _draw_plots(panel, Rect(inner.x, top, inner.width, bottom - top), statistics)


def figures(statistics: Statistics) -> list[_Figure]:
    """The numbers of the page, with their labels."""
    pace = ""
    if statistics.session_seconds > 0 and statistics.session_choices > 1:
        pace = f" · {60 * statistics.session_choices / statistics.session_seconds:.0f} a minute"
    agreement = statistics.session_agreement
    return [
        _Figure("This session", f"{statistics.session_choices:,}", f"of {statistics.goal:,}{pace}"),
        _Figure("Session as predicted", *_share(agreement)),
        _Figure(
            "All sessions",
            f"{statistics.comparisons:,}",
            f"{statistics.comparisons_per_image:.1f} for each image",
        ),
        _Figure("Not rated yet", f"{statistics.unrated:,}", f"of {statistics.images:,} images"),
        _Figure("Random pairs predicted", *_share(statistics.audit_agreement)),
        _Figure("You agree with yourself", *_share(statistics.self_consistency)),
    ]


def _share(share: Proportion) -> tuple[str, str]:
    if share.value is None or share.trials < FEWEST:
        return "–", f"{share.trials} of the {FEWEST} it takes"
    low, high = (100 * bound for bound in share.interval)
    return (
        f"{100 * share.value:.0f} %",
        f"{low:.0f}–{high:.0f} %, {share.successes:,} of {share.trials:,}",
    )


def _draw_figures(panel: Panel, place: Rect, items: list[_Figure]) -> int:
    """Cards in one row or two, if there is room for the second; returns where they end."""
    px = panel.style.px
    gap, height = px(_GAP), px(82)
    columns = len(items) if place.width >= px(1000) else 3
    if place.height < 2 * height + gap:
        items = items[:columns]
    for number, item in enumerate(items):
        row, column = divmod(number, columns)
        x, width = _column(place, column, columns, gap)
        y = place.y + row * (height + gap)
        panel.box(Rect(x, y, width, height), theme.CARD, radius=8)
        panel.text(x + px(12), y + px(9), item.label, 11, colour=theme.FAINT)
        panel.text(x + px(12), y + px(26), item.value, 22, bold=True)
        panel.text(x + px(12), y + px(58), item.detail, 11, colour=theme.FAINT)
    rows = -(-len(items) // columns)
    return place.y + rows * (height + gap)


def _draw_advice(panel: Panel, place: Rect, advice: str) -> int:
    """The sentence at the bottom; returns where it begins."""
    px = panel.style.px
    font = panel.style.font(13, bold=True)
    width = place.width - px(40)
    lines = max(1, -(-font.measure(advice) * 11 // (10 * max(width, 1))))
    height = lines * font.metrics("linespace") + px(24)
    top = place.y + place.height - height
    panel.box(Rect(place.x, top, place.width, height), "#3a4652", radius=8)
    panel.text(place.x + px(20), top + height // 2, advice, 13, bold=True, anchor="w", width=width)
    return top - px(_GAP)


def _draw_odd_one_out(panel: Panel, place: Rect, bottom: int, odd: OddOneOut) -> int:
    """Who stood alone, as one divided bar; returns where it begins."""
    px = panel.style.px
    height = px(66)
    top = bottom - height
    panel.box(Rect(place.x, top, place.width, height), theme.CARD, radius=8)
    parts = [
        ("you", odd.person, theme.ACCENT_2),
        ("the scores", odd.database, theme.ACCENT),
        ("the model", odd.model, theme.ACCENT_3),
    ]
    total = sum(count for _, count, _ in parts)
    panel.text(
        place.x + px(12),
        top + px(9),
        f"Who stood alone, in the {total:,} of {total + odd.agreed:,} choices not all agreed on",
        12,
        bold=True,
    )
    bar = Rect(place.x + px(12), top + px(34), place.width - px(24), px(22))
    sketch = Sketch(bar.size, theme.RULE)
    x = 0.0
    labels = []
    for name, count, colour in parts:
        width = bar.width * count / total if total else 0.0
        sketch.bar(x, 0, width, bar.height, colour)
        text = f"{name} {100 * count / total:.0f} %" if total else ""
        if panel.measure(text, 11) + px(8) < width:
            labels.append((bar.x + round(x + width / 2), text))
        x += width
    panel.image(bar.x, bar.y, sketch.image())
    for middle, text in labels:
        panel.text(middle, bar.y + bar.height // 2, text, 11, colour="#1c1c1c", anchor="center")
    return top - px(_GAP)


def _draw_plots(panel: Panel, place: Rect, statistics: Statistics) -> None:
    px = panel.style.px
    gap = px(_GAP)
    columns = 2 if place.height >= px(290) else 4
    rows = 4 // columns
    height = (place.height - gap * (rows - 1)) // rows
    cells = []
    for number in range(4):
        row, column = divmod(number, columns)
        x, width = _column(place, column, columns, gap)
        cells.append(Rect(x, place.y + row * (height + gap), width, height))
    series = statistics.series
    draw_agreement(
        panel, cells[0], series.choice_number, series.agreement, statistics.audit_agreement
    )
    draw_histogram(panel, cells[1], "Scores", series.scores, theme.ACCENT)
    draw_histogram(panel, cells[2], "Uncertainty of the scores", series.uncertainty, theme.ACCENT_2)
    draw_histogram(
        panel,
        cells[3],
        "Comparisons for each image",
        series.comparisons,
        theme.ACCENT_3,
        whole=True,
    )


def _column(place: Rect, column: int, columns: int, gap: int) -> tuple[int, int]:
    """Left edge and width of one of several equal columns that fill a place."""
    edges = [place.x + (place.width + gap) * number // columns for number in range(columns + 1)]
    return edges[column], edges[column + 1] - edges[column] - gap
