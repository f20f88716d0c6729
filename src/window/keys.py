"""Which key does what: the one table behind the bindings, the footer and the help."""

from collections.abc import Iterable
from enum import Enum, auto
from typing import NamedTuple


class Action(Enum):
    LEFT = auto()
    RIGHT = auto()
    TIE = auto()
    SKIP = auto()
    UNDO = auto()
    EXCLUDE = auto()
    ZOOM = auto()
    NAMES = auto()
    STATISTICS = auto()
    FULL_SCREEN = auto()
    HELP = auto()
    QUIT = auto()
    CANCEL = auto()


class Key(NamedTuple):
    action: Action
    keysyms: frozenset[str]  # Tk's names; single letters in lower case
    caps: tuple[str, ...]  # as printed on the keys; the first is in the footer
    label: str  # one or two words, for the footer
    meaning: str  # a phrase, for the help


def _key(action: Action, keysyms: str, caps: str, label: str, meaning: str) -> Key:
    words = tuple(cap.replace("_", " ") for cap in caps.split())
    return Key(action, frozenset(keysyms.split()), words, label, meaning)


# ampersand, eacute and agrave are what 1, 2 and 0 give on a French keyboard without Shift.
KEYS: tuple[Key, ...] = (
    _key(
        Action.LEFT, "1 KP_1 ampersand Left KP_Left", "1 ← click", "left", "The left one is better"
    ),
    _key(
        Action.RIGHT,
        "2 KP_2 eacute Right KP_Right",
        "2 → click",
        "right",
        "The right one is better",
    ),
    _key(Action.TIE, "t 0 KP_0 agrave Down KP_Down", "t 0 ↓", "tie", "Both are equally good"),
    _key(Action.SKIP, "s space Up KP_Up", "s Space ↑", "skip", "No answer; show another pair"),
    _key(Action.UNDO, "u BackSpace", "u ⌫ Ctrl-Z", "undo", "Take the last choice back"),
    _key(Action.EXCLUDE, "x Delete", "x Del", "exclude", "Never show one of these two again"),
    _key(Action.ZOOM, "z", "z right_button", "zoom", "Hold: look closely, where the mouse is"),
    _key(Action.NAMES, "n", "n", "names", "Show or hide the file names"),
    _key(Action.STATISTICS, "r", "r", "statistics", "How far you are, and what to do next"),
    _key(Action.FULL_SCREEN, "f F11", "f F11", "full screen", "Full screen and back"),
    _key(Action.HELP, "h F1 question", "h F1", "help", "This page"),
    _key(Action.QUIT, "q", "q Esc", "quit", "Stop for now; everything is kept"),
    _key(Action.CANCEL, "Escape", "Esc", "", ""),
)

_BY_KEYSYM = {keysym: key.action for key in KEYS for keysym in key.keysyms}


def action_of(keysym: str, *, command: bool = False) -> Action | None:
    """The action of a key by Tk's name; `command`: Ctrl (on a Mac Command) is held as well."""
    name = keysym.lower() if len(keysym) == 1 else keysym
    if command:
        return Action.UNDO if name == "z" else None
    return _BY_KEYSYM.get(name)


def shown_keys() -> Iterable[Key]:
    return (key for key in KEYS if key.label)


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
