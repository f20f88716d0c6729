"""Keys and mouse: what is pressed becomes an action, what is held down a zoom."""

import time
import tkinter as tk
from collections.abc import Callable

from src.window.keys import Action, KeyFilter, action_of
from src.window.pair_view import PairView

_CONTROL, _ALT_OR_COMMAND, _WINDOWS_ALT = 0x4, 0x8, 0x20000  # bits of an event's state
_RELEASED_MS = 40  # X11 pretends to release a key that is held down, for less than this
_JUST_FOCUSED = 0.2  # seconds; a click that brought the window to the front chooses nothing


class Controls:
    """Binds the window's keys and mouse to `act(action)` and `zoom(x, y)`, points of the canvas."""

    def __init__(
        self,
        root: tk.Tk,
        canvas: tk.Canvas,
        view: PairView,
        act: Callable[[Action], None],
        zoom: Callable[[int, int], None],
    ) -> None:
        self._root, self._canvas, self._view = root, canvas, view
        self._act, self._zoom = act, zoom
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
        canvas.bind("<Motion>", self._moved)

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
            self._zoom(
                self._canvas.winfo_pointerx() - self._canvas.winfo_rootx(),
                self._canvas.winfo_pointery() - self._canvas.winfo_rooty(),
            )
        else:
            self._act(action)

    def _key_released(self, event: "tk.Event[tk.Misc]") -> None:
        self._filter.release(event.keycode, event.time)
        if action_of(event.keysym) is Action.ZOOM and self._zoom_end is None:
            self._zoom_end = self._root.after(_RELEASED_MS, self._end_zoom)

    def _end_zoom(self) -> None:
        self._zoom_end = None
        self._view.stop_zoom()

    def _moved(self, event: "tk.Event[tk.Canvas]") -> None:
        self._view.move_zoom(event.x, event.y)

    def _clicked(self, event: "tk.Event[tk.Canvas]") -> None:
        if time.monotonic() - self._focused_at < _JUST_FOCUSED:
            return
        side = self._view.side_at(event.x, event.y)
        if side is not None:
            self._act(Action.LEFT if side == "left" else Action.RIGHT)

    def _focus_in(self, event: "tk.Event[tk.Misc]") -> None:
        if event.widget is self._root:
            self._filter.forget()
            self._focused_at = time.monotonic()

    def _focus_out(self, event: "tk.Event[tk.Misc]") -> None:
        if event.widget is self._root:
            self._filter.forget()
            self._view.stop_zoom()
