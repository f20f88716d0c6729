"""Keys and mouse: which key does what, and how a press becomes an action or a zoom."""

import time
import tkinter as tk
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from src.window.pair_view import PairView

_CONTROL, _ALT_OR_COMMAND, _WINDOWS_ALT = 0x4, 0x8, 0x20000  # bits of an event's state
_RELEASED_MS = 40  # X11 pretends to release a key that is held down, for less than this
_JUST_FOCUSED = 0.2  # seconds; a click that brought the window to the front chooses nothing


Action = Enum(
    "Action",
    "LEFT RIGHT TIE SKIP UNDO EXCLUDE ZOOM NAMES STATISTICS FULL_SCREEN HELP QUIT CANCEL",
)


class Key(NamedTuple):
    action: Action
    keysyms: tuple[str, ...]  # Tk's names; single letters in lower case
    caps: tuple[str, ...]  # as printed on the keys; the first is in the footer
    label: str  # one or two words, for the footer
    meaning: str  # a phrase, for the help


# The one table behind the bindings, the footer and the help.
# ampersand, eacute and agrave are what 1, 2 and 0 give on a French keyboard without Shift.
_LEFT, _RIGHT = "1 KP_1 ampersand Left KP_Left", "2 KP_2 eacute Right KP_Right"
_TABLE = (
    (Action.LEFT, _LEFT, "1, ←, click", "left", "The left one is better"),
    (Action.RIGHT, _RIGHT, "2, →, click", "right", "The right one is better"),
    (Action.TIE, "t 0 KP_0 agrave Down KP_Down", "t, 0, ↓", "tie", "Both are equally good"),
    (Action.SKIP, "s space Up KP_Up", "s, Space, ↑", "skip", "Skip this pair"),
    (Action.UNDO, "u BackSpace", "u, ⌫, Ctrl-Z", "undo", "Undo the last choice"),
    (Action.EXCLUDE, "x Delete", "x, Del", "exclude", "Never show one of these two again"),
    (Action.ZOOM, "z", "z, right button", "zoom", "Hold: look closely, where the mouse is"),
    (Action.NAMES, "n", "n", "names", "Show or hide the file names"),
    (Action.STATISTICS, "r", "r", "statistics", "How far you are, and what to do next"),
    (Action.FULL_SCREEN, "f F11", "f, F11", "full screen", "Full screen and back"),
    (Action.HELP, "h F1 question", "h, F1", "help", "This page"),
    (Action.QUIT, "q", "q, Esc", "quit", "Stop for now; everything is kept"),
)
KEYS = tuple(
    Key(action, tuple(keysyms.split()), tuple(caps.split(", ")), label, meaning)
    for action, keysyms, caps, label, meaning in _TABLE
)
_BY_KEYSYM = {keysym: key.action for key in KEYS for keysym in key.keysyms}
_BY_KEYSYM["Escape"] = Action.CANCEL


def action_of(keysym: str, *, command: bool = False) -> Action | None:
    """The action of a key by Tk's name; `command`: Ctrl (on a Mac Command) is held as well."""
    name = keysym.lower() if len(keysym) == 1 else keysym
    if command:
        return Action.UNDO if name == "z" else None
    return _BY_KEYSYM.get(name)


class KeyFilter:
    """Tells a key that was pressed from one that is held down and repeats itself.

    Windows and macOS repeat the press alone. X11 sends a release and a press with (nearly) the
    same time stamp for each repetition; no finger is that fast.
    """

    REPEAT_MS = 10

    def __init__(self) -> None:
        self._down: set[int] = set()
        self._released: dict[int, int] = {}

    def press(self, keycode: int, time_ms: int) -> bool:
        """Whether this is a new press. Times are the display's, in milliseconds."""
        if keycode in self._down:
            return False
        self._down.add(keycode)
        released = self._released.pop(keycode, None)
        return released is None or not 0 <= time_ms - released < self.REPEAT_MS

    def release(self, keycode: int, time_ms: int) -> None:
        """The key came up, or X11 pretends so."""
        self._down.discard(keycode)
        self._released[keycode] = time_ms

    def forget(self) -> None:
        """The window lost the keyboard: releases may have gone elsewhere."""
        self._down.clear()
        self._released.clear()


class Controls:
    """Binds the window's keys and mouse.

    They call `act(action)`, with points of the canvas `click(x, y)` and `zoom(x, y)`, and
    `turn(1)` or `turn(-1)` for the wheel.
    """

    def __init__(
        self,
        root: tk.Tk,
        canvas: tk.Canvas,
        view: PairView,
        act: Callable[[Action], None],
        click: Callable[[int, int], None],
        zoom: Callable[[int, int], None],
        turn: Callable[[int], None],
    ) -> None:
        self._root, self._canvas, self._view = root, canvas, view
        self._act, self._click, self._zoom = act, click, zoom
        self._mac = str(root.tk.call("tk", "windowingsystem")) == "aqua"
        self._filter = KeyFilter()
        self._zoom_end: str | None = None
        self._focused_at = float("-inf")
        root.bind("<KeyPress>", self._key_pressed)
        root.bind("<KeyRelease>", self._key_released)
        root.bind("<FocusIn>", self._focus_in)
        root.bind("<FocusOut>", self._focus_out)
        canvas.bind("<ButtonPress-1>", self._clicked)
        # The second half of a double click is no second choice.
        canvas.bind("<Double-ButtonPress-1>", lambda event: None)
        for button in (2, 3):
            canvas.bind(f"<ButtonPress-{button}>", lambda event: zoom(event.x, event.y))
            canvas.bind(f"<ButtonRelease-{button}>", lambda event: view.stop_zoom())
        canvas.bind("<MouseWheel>", lambda event: turn(-1 if event.delta > 0 else 1))
        canvas.bind("<Button-4>", lambda event: turn(-1))  # the wheel of X11
        canvas.bind("<Button-5>", lambda event: turn(1))
        canvas.bind("<Motion>", lambda event: view.move_zoom(event.x, event.y))

    def _key_pressed(self, event: "tk.Event[tk.Misc]") -> None:
        state = int(event.state)
        command = bool(state & _CONTROL) or (self._mac and bool(state & _ALT_OR_COMMAND))
        if state & _WINDOWS_ALT or (state & _ALT_OR_COMMAND and not self._mac):
            return
        action = action_of(event.keysym, command=command)
        if action is Action.ZOOM and self._zoom_end is not None:
            self._root.after_cancel(self._zoom_end)  # still held down
            self._zoom_end = None
        if action is None or not self._filter.press(event.keycode, event.time):
            return
        if action is Action.ZOOM:
            x, y = self._root.winfo_pointerxy()
            self._zoom(x - self._canvas.winfo_rootx(), y - self._canvas.winfo_rooty())
        else:
            self._act(action)

    def _key_released(self, event: "tk.Event[tk.Misc]") -> None:
        self._filter.release(event.keycode, event.time)
        if action_of(event.keysym) is Action.ZOOM and self._zoom_end is None:
            self._zoom_end = self._root.after(_RELEASED_MS, self._end_zoom)

    def _end_zoom(self) -> None:
        self._zoom_end = None
        self._view.stop_zoom()

    def _clicked(self, event: "tk.Event[tk.Canvas]") -> None:
        if time.monotonic() - self._focused_at >= _JUST_FOCUSED:
            self._click(event.x, event.y)

    def _focus_in(self, event: "tk.Event[tk.Misc]") -> None:
        if event.widget is self._root:
            self._filter.forget()
            self._focused_at = time.monotonic()

    def _focus_out(self, event: "tk.Event[tk.Misc]") -> None:
        if event.widget is self._root:
            self._filter.forget()
            self._view.stop_zoom()
