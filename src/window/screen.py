"""The window and its screen: what must be settled with the system first."""

import contextlib
import sys
import tkinter as tk
from typing import Any

from PIL import Image, ImageTk

from src.errors import UserError
from src.window import theme

# Tcl must be taken down by the thread that made it. Were an interpreter left to the garbage
# collector, which runs in any thread, the whole program could be aborted.
_interpreters: list[Any] = []


def open_root() -> tuple[tk.Tk, float]:
    """The main window, hidden until it is filled, and the screen's scale."""
    if sys.platform == "win32":
        import ctypes

        # Without it Windows draws the window small and blows it up. Not there before 8.1.
        with contextlib.suppress(AttributeError, OSError):
            ctypes.windll.shcore.SetProcessDpiAwareness(1)
    try:
        desktop_dpi = _xft_dpi() if sys.platform not in ("win32", "darwin") else None
        root = tk.Tk(className="Rating")
        _interpreters.append(root.tk)
    except tk.TclError as error:
        remedy = "run this on a computer with a screen, or over ssh -X"
        raise UserError(f"no window can be opened ({error}): {remedy}") from None
    root.withdraw()
    root.iconphoto(True, ImageTk.PhotoImage(_icon(64), master=root))  # type: ignore[arg-type]
    if sys.platform == "darwin":  # scales by itself
        return root, 1.0
    return root, scale_of(desktop_dpi, root.winfo_fpixels("1i"), root.winfo_screenheight())


def scale_of(desktop_dpi: float | None, screen_dpi: float, rows: int) -> float:
    """Screen pixels for one pixel of a 96-dpi screen, 1 … 4.

    Where the desktop names none, a screen of many rows is taken for a fine one: most claim 96 dpi.
    """
    scale = desktop_dpi / 96 if desktop_dpi else max(screen_dpi / 96, rows / 1200)
    return 1.0 if scale < 1.15 else min(scale, 4.0)


def _xft_dpi() -> float | None:
    """What an X11 desktop's scaling asks for; the screen itself mostly claims 96 dpi.

    It is the resource `Xft.dpi`, which Tk gives only to an application of that name.
    """
    reader = tk.Tk(className="Xft")
    _interpreters.append(reader.tk)
    try:
        reader.withdraw()
        reader.update_idletasks()  # else what Tk still had in mind fails aloud afterwards
        return float(reader.option_get("dpi", "Dpi"))  # type: ignore[no-untyped-call]
    except ValueError:
        return None
    finally:
        reader.destroy()


def _icon(side: int) -> Image.Image:
    """Two pictures side by side, one of them chosen."""
    icon = Image.new("RGB", (16, 16), theme.SURROUND)
    icon.paste(theme.PANEL, (1, 3, 7, 11))
    icon.paste(theme.BRIGHT, (9, 3, 15, 11))
    icon.paste(theme.BRIGHT, (9, 12, 15, 13))
    return icon.resize((side, side), Image.Resampling.NEAREST)
