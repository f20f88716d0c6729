"""Words over the pictures: a short note, or why there is nothing to show."""

from src.window import theme
from src.window.layout import Rect
from src.window.panel import Panel

_NOTE_GROUND = (28, 28, 28, 235)


def draw_note(panel: Panel, text: str) -> None:
    """A note near the lower edge."""
    px = panel.style.px
    width, height = panel.space
    words = panel.text(
        width // 2,
        height - px(36),
        text,
        14,
        anchor="s",
        justify="center",
        width=min(px(900), width - px(80)),
    )
    across, down = px(20), px(11)
    ground = Rect(
        words.x - across, words.y - down, words.width + 2 * across, words.height + 2 * down
    )
    panel.box(ground, _NOTE_GROUND, radius=10, behind=True)


def draw_problem(panel: Panel, text: str) -> None:
    """Why there is no pair, in the middle of the window."""
    width, height = panel.space
    panel.text(
        width // 2,
        height // 2,
        text,
        16,
        colour=theme.BRIGHT,
        anchor="center",
        justify="center",
        width=min(panel.style.px(680), width - panel.style.px(60)),
    )
