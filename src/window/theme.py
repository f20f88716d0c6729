"""Colours, fonts and lengths. All greys are neutral, so that none tints the eye."""

import tkinter as tk
from tkinter import font as tkfont

SURROUND = "#777777"  # L* = 50, the middle of the eye's grey scale
BRIGHT = "#f4f4f4"
FOOTER = "#5c5c5c"
FOOTER_TEXT = "#f0f0f0"
FOOTER_FAINT = "#d2d2d2"
CAP = "#707070"  # a key's cap in the footer
TRACK = "#6b6b6b"  # of the progress line
PANEL = "#262626"
CARD = "#303030"
PANEL_CAP = "#454545"
RULE = "#4a4a4a"
TEXT = "#efefef"
FAINT = "#b4b4b4"
ACCENT = "#8fc1ea"
ACCENT_2 = "#e9b872"
ACCENT_3 = "#9fd3a4"
BAND = "#424a43"  # ACCENT_3 on a card, faint
ADVICE = "#3a4652"
VEIL = (0, 0, 0, 120)
NOTE = (28, 28, 28, 235)


class Theme:
    """Fonts and lengths for one window; `scale` is screen pixels for one of a 96-dpi screen."""

    def __init__(self, root: tk.Misc, scale: float) -> None:
        self.scale = scale
        default = tkfont.nametofont("TkDefaultFont", root)
        self._family = str(default.actual("family"))
        self._root = root
        self._fonts: dict[tuple[int, bool], tkfont.Font] = {}

    def px(self, length: float) -> int:
        """A length given for a 96-dpi screen, in this screen's pixels."""
        return round(length * self.scale)

    def font(self, size: int, *, bold: bool = False) -> tkfont.Font:
        """The interface's font; `size` in pixels of a 96-dpi screen."""
        key = size, bold
        if key not in self._fonts:
            self._fonts[key] = tkfont.Font(
                self._root,
                family=self._family,
                size=-self.px(size),  # negative: pixels
                weight="bold" if bold else "normal",
            )
        return self._fonts[key]
