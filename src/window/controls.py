"""Keys and mouse: which key does what, and how a press becomes an action or a zoom."""

import time
import tkinter as tk
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from src.window.set_view import SetView

# Bits of an event's state.
_SHIFT, _CONTROL, _ALT_OR_COMMAND, _WINDOWS_ALT = 0x1, 0x4, 0x8, 0x20000
_RELEASED_MS = 40  # X11 pretends to release a key that is held down, for less than this
_JUST_FOCUSED = 0.2  # seconds; a click that brought the window to the front chooses nothing


Action = Enum(
    "Action",
    "FIRST SECOND THIRD FOURTH WORST_1 WORST_2 WORST_3 WORST_4 LEFT RIGHT TIE SKIP UNDO EXCLUDE "
    "ZOOM NAMES STATISTICS FULL_SCREEN HELP QUIT CANCEL",
)
CHOICES = (Action.FIRST, Action.SECOND, Action.THIRD, Action.FOURTH)
WORST = (Action.WORST_1, Action.WORST_2, Action.WORST_3, Action.WORST_4)


class Key(NamedTuple):
    """A line of the help."""

    caps: tuple[str, ...]  # as printed on the keys; the first is in the footer
    label: str  # one or two words, for the footer
    meaning: str  # a phrase, for the help


_OF_TWO = (
    ("1, ←, click", "left", "The left one is better"),
    ("2, →, click", "right", "The right one is better"),
)
_OF_FOUR = (
    ("1 – 4, click", "best", "The best of them, row by row"),
    ("Shift 1 – 4", "worst", "If you like: the worst, before the best"),
)
_ALWAYS = (
    ("t, 0, ↓", "tie", "All are equally good"),
    ("s, Space, ↑", "skip", "Skip these"),
    ("u, ⌫, Ctrl-Z", "undo", "Undo the last choice"),
    ("x, Del", "exclude", "Never show one of these again"),
    ("z, right button", "zoom", "Hold: look closely, where the mouse is"),
    ("n", "names", "Show or hide the file names"),
    ("r", "statistics", "How far you are, and what to do next"),
    ("f, F11", "full screen", "Full screen and back"),
    ("h, F1", "help", "This page"),
    ("q, Esc", "quit", "Stop for now; everything is kept"),
)
# ampersand, eacute, quotedbl, apostrophe and agrave are what 1 to 4 and 0 give on a French keyboard
# without Shift, where 1 to 4 need it.
_KEYSYMS = {
    Action.FIRST: "1 KP_1 ampersand",
    Action.SECOND: "2 KP_2 eacute",
    Action.THIRD: "3 KP_3 quotedbl",
    Action.FOURTH: "4 KP_4 apostrophe",
    Action.LEFT: "Left KP_Left",
    Action.RIGHT: "Right KP_Right",
    Action.TIE: "t 0 KP_0 agrave Down KP_Down",
    Action.SKIP: "s space Up KP_Up",
    Action.UNDO: "u BackSpace",
    Action.EXCLUDE: "x Delete",
    Action.ZOOM: "z",
    Action.NAMES: "n",
    Action.STATISTICS: "r",
    Action.FULL_SCREEN: "f F11",
    Action.HELP: "h F1 question",
    Action.QUIT: "q",
    Action.CANCEL: "Escape",
}
_WITH_SHIFT = {
    Action.WORST_1: "1 exclam",
    Action.WORST_2: "2 at quotedbl",
    Action.WORST_3: "3 numbersign section sterling",
    Action.WORST_4: "4 dollar currency",
}
_PLAIN, _SHIFTED = (
    {keysym: action for action, keysyms in table.items() for keysym in keysyms.split()}
    for table in (_KEYSYMS, _KEYSYMS | _WITH_SHIFT)
)


def legend(at_once: int) -> tuple[Key, ...]:
    """Every key, where so many images are shown at once."""
    lines = (*(_OF_TWO if at_once == 2 else _OF_FOUR), *_ALWAYS)
    return tuple(Key(tuple(caps.split(", ")), *words) for caps, *words in lines)


def action_of(keysym: str, *, command: bool = False, shift: bool = False) -> Action | None:
    """The action of a key by Tk's name; `command`: Ctrl (on a Mac Command) is held as well."""
    name = keysym.lower() if len(keysym) == 1 else keysym
    if command:
        return Action.UNDO if name == "z" else None
    return (_SHIFTED if shift else _PLAIN).get(name)


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
        view: SetView,
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
        action = action_of(event.keysym, command=command, shift=bool(state & _SHIFT))
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
