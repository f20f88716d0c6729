"""The rating window: draws pictures and forwards keys. Starts without torch and matplotlib."""

from src.errors import UserError

try:
    import tkinter  # noqa: F401 - on some systems a package of its own
except ImportError:
    raise UserError(
        "the window needs Tkinter, a part of Python that is not installed here: "
        "sudo apt install python3-tk (Debian, Ubuntu), sudo dnf install python3-tkinter (Fedora), "
        "brew install python-tk (macOS)"
    ) from None
