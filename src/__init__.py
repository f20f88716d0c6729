"""Teach a computer one person's taste in images: the packages that the scripts share."""

import os
import sys
from typing import Any


def _end(kind: type[BaseException], *rest: Any) -> None:
    """Ctrl-C ends a script in one line even before it has begun, while it imports."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, *rest)
        return
    sys.stderr.write("\nStopped.\n")
    sys.stderr.flush()
    os._exit(130)


sys.excepthook = _end
