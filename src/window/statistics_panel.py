"""The statistics page: figures, plots, who is the odd one out, and what to do next."""

from typing import NamedTuple

from src.evaluation.proportion import Proportion
from src.rating.report.advice import FEWEST, OddOneOut
from src.rating.report.statistics import Statistics
from src.window import theme
from src.window.layout import Rect
from src.window.panel import Panel
from src.window.plots import draw_agreement, draw_histogram

_GAP = 12


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
    panel.text(
        x + width,
        sheet.y + px(24),
        "r or Esc goes on rating",
        12,
        colour=theme.FAINT,
        anchor="ne",
    )
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
    made = statistics.session.answered
    pace = ""
    if statistics.session_seconds > 0 and made > 1:
        pace = f" · {60 * made / statistics.session_seconds:.0f} a minute"
    return [
        Figure("This session", f"{made:,}", f"of {statistics.goal:,}{pace}"),
        _of_share("Session as predicted", statistics.session.agreement),
        Figure(
            "All sessions",
            f"{statistics.comparisons:,}",
            f"{statistics.comparisons_per_image:.1f} for each image",
        ),
        Figure("Not rated yet", f"{statistics.unrated:,}", f"of {statistics.images:,} images"),
        _of_share("Random pairs predicted", statistics.total.audit),
        _of_share("You agree with yourself", statistics.total.repeats),
    ]


def _of_share(label: str, share: Proportion) -> Figure:
    if share.value is None or share.trials < FEWEST:
        return Figure(label, "–", f"{share.trials} of the {FEWEST} it takes")
    low, high = (100 * bound for bound in share.interval)
    detail = f"{low:.0f}–{high:.0f} %, {share.successes:,} of {share.trials:,}"
    return Figure(label, f"{100 * share.value:.0f} %", detail)


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
        panel.box(card, theme.CARD, radius=8)
        panel.text(card.x + px(12), card.y + px(9), item.label, 11, colour=theme.FAINT)
        panel.text(card.x + px(12), card.y + px(26), item.value, 22, bold=True)
        panel.text(card.x + px(12), card.y + px(58), item.detail, 11, colour=theme.FAINT)
    return area.y + area.height + gap


def _draw_advice(panel: Panel, place: Rect, advice: str) -> int:
    """The sentence at the bottom; returns where what is above it ends."""
    px = panel.style.px
    font = panel.style.font(13, bold=True)
    width = place.width - px(40)
    lines = max(1, -(-font.measure(advice) * 11 // (10 * max(width, 1))))
    height = lines * font.metrics("linespace") + px(24)
    top = place.y + place.height - height
    panel.box(Rect(place.x, top, place.width, height), "#3a4652", radius=8)
    panel.text(place.x + px(20), top + height // 2, advice, 13, bold=True, anchor="w", width=width)
    return top - px(_GAP)


def _draw_odd_one_out(panel: Panel, card: Rect, odd: OddOneOut) -> None:
    """Who stood alone, as one divided bar."""
    px = panel.style.px
    panel.box(card, theme.CARD, radius=8)
    parts = [
        ("you", odd.person, theme.ACCENT_2),
        ("the scores", odd.database, theme.ACCENT),
        ("the model", odd.model, theme.ACCENT_3),
    ]
    total = sum(count for _, count, _ in parts)
    title = f"Who stood alone, in the {total:,} of {total + odd.agreed:,} choices not all agreed on"
    panel.text(card.x + px(12), card.y + px(9), title, 12, bold=True)
    left, whole = card.x + px(12), card.width - px(24)
    bar = Rect(left, card.y + px(34), whole, px(22))
    panel.rectangle(bar, theme.RULE)
    before = 0
    for name, count, colour in parts:
        start, end = (left + whole * n // max(total, 1) for n in (before, before + count))
        panel.rectangle(bar._replace(x=start, width=end - start), colour)
        text = f"{name} {100 * count / max(total, 1):.0f} %"
        if panel.measure(text, 11) + px(8) < end - start:
            middle = (start + end) // 2, bar.y + bar.height // 2
            panel.text(*middle, text, 11, colour="#1c1c1c", anchor="center")
        before += count


def _draw_plots(panel: Panel, place: Rect, statistics: Statistics) -> None:
    px = panel.style.px
    columns = 2 if place.height >= px(290) else 4
    cells = _grid(place, columns, 4 // columns, px(_GAP))
    draw_agreement(panel, cells[0], *statistics.total.running_agreement(), statistics.total.audit)
    uncertainty = "Uncertainty of the scores"
    draw_histogram(panel, cells[1], "Scores", statistics.scores, theme.ACCENT)
    draw_histogram(panel, cells[2], uncertainty, statistics.uncertainty, theme.ACCENT_2)
    counts = statistics.image_comparisons
    draw_histogram(
        panel, cells[3], "Comparisons for each image", counts, theme.ACCENT_3, whole=True
    )


def _grid(place: Rect, columns: int, rows: int, gap: int) -> list[Rect]:
    """Equal cells that fill a place, row by row."""
    across = [place.x + (place.width + gap) * number // columns for number in range(columns + 1)]
    down = [place.y + (place.height + gap) * number // rows for number in range(rows + 1)]
    return [
        Rect(across[c], down[r], across[c + 1] - across[c] - gap, down[r + 1] - down[r] - gap)
        for r in range(rows)
        for c in range(columns)
    ]
