"""Teach a computer one person's taste in images: the packages that the scripts share.

Ctrl-C while a script still imports them ends it as `src.script` does later, without a traceback.
"""

import os
import sys
from types import TracebackType

_usual = sys.excepthook


def _end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        _usual(kind, error, trace)
        return
    print("\nStopped.", file=sys.stderr, flush=True)
    os._exit(130)


sys.excepthook = _end
