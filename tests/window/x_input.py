"""Pressing real keys and moving the real mouse of an X server, through its XTEST extension."""

import ctypes
import ctypes.util


class XInput:
    """Keyboard and mouse of one X display."""

    def __init__(self, display: str) -> None:
        names = [ctypes.util.find_library(name) for name in ("X11", "Xtst")]
        if None in names:
            raise RuntimeError("libX11 and libXtst are needed: apt install libx11-6 libxtst6")
        self._x11, self._xtst = (ctypes.CDLL(name) for name in names)
        self._x11.XOpenDisplay.restype = ctypes.c_void_p
        self._display = ctypes.c_void_p(self._x11.XOpenDisplay(display.encode()))
        if not self._display:
            raise RuntimeError(f"the display {display} cannot be opened")

    def key(self, keysym: str, *, down: bool) -> None:
        """Press a key, or let it go."""
        symbol = ctypes.c_ulong(self._x11.XStringToKeysym(keysym.encode()))
        code = self._x11.XKeysymToKeycode(self._display, symbol)
        self._xtst.XTestFakeKeyEvent(self._display, code, int(down), ctypes.c_ulong(0))
        self._x11.XFlush(self._display)

    def press(self, *keysyms: str) -> None:
        """Press keys together and let them go."""
        for keysym in keysyms:
            self.key(keysym, down=True)
        for keysym in reversed(keysyms):
            self.key(keysym, down=False)

    def move(self, x: int, y: int) -> None:
        """Bring the pointer to a point of the screen."""
        self._xtst.XTestFakeMotionEvent(self._display, -1, x, y, ctypes.c_ulong(0))
        self._x11.XFlush(self._display)

    def button(self, number: int, *, down: bool) -> None:
        """Press a mouse button, or let it go."""
        self._xtst.XTestFakeButtonEvent(self._display, number, int(down), ctypes.c_ulong(0))
        self._x11.XFlush(self._display)

    def click(self, x: int, y: int, number: int = 1) -> None:
        """Click at a point of the screen."""
        self.move(x, y)
        self.button(number, down=True)
        self.button(number, down=False)

    def close(self) -> None:
        """Leave the display."""
        self._x11.XCloseDisplay(self._display)
