"""The help page: every key, and what is worth knowing."""

from src.window import theme
from src.window.controls import Key
from src.window.panel import Panel

_NOTES = (
    "Trust your first impression. Undo goes back to where this session began. Every choice is on "
    "disk before the next pictures appear, so stop whenever you want. Some come twice, in reverse "
    "order: they measure how consistent you are."
)
_TITLE, _NOTES_HEIGHT = 62, 84
_PITCH, _TIGHT_PITCH = 29, 22  # from one key to the next; tight in a small window


def draw_help(panel: Panel, keys: tuple[Key, ...]) -> None:
    """Draw the page; a small window shows the keys alone."""
    px = panel.style.px
    place = panel.sheet(px(640), px(_TITLE + _PITCH * len(keys) + _NOTES_HEIGHT))
    with_notes = place.height >= px(_TITLE + _TIGHT_PITCH * len(keys) + _NOTES_HEIGHT)
    room = place.height - px(_TITLE) - (px(_NOTES_HEIGHT) if with_notes else px(8))
    pitch = max(px(16), min(px(_PITCH), room // len(keys)))
    x, y, right = place.x + px(28), place.y + px(18), place.x + place.width - px(28)
    panel.text(x, y, "Which do you like better?", 19, bold=True)
    panel.text(right, y + px(6), "h or Esc to close", 12, colour=theme.FAINT, anchor="ne")
    height = min(px(22), pitch - px(2))
    middle = place.y + px(_TITLE) + height // 2
    for key in keys:
        cap_x = x
        for cap in key.caps:
            cap_x += panel.cap(cap_x, middle, cap, height, theme.PANEL_CAP) + px(6)
        panel.text(x + px(190), middle, key.meaning, 13, anchor="w")
        middle += pitch
    if with_notes:
        below = middle - height // 2 + px(10)
        panel.text(x, below, _NOTES, 12, colour=theme.FAINT, width=right - x)
