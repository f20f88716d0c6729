"""The wrapper of every script: settings, logging, exit codes, one-line errors."""

import atexit
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from src.errors import UserError
from src.settings.describe import help_text
from src.settings.keys import ScriptSettings
from src.settings.load import check_images, load_settings

S = TypeVar("S", bound=ScriptSettings)

EXIT_OK, EXIT_USER_ERROR, EXIT_INTERRUPTED = 0, 2, 130


def run(main: Callable[[S], None], kind: type[S], script: str, words: Sequence[str]) -> None:
    """Run a script and leave the process with its exit code.

    `main` gets settings of this kind, from the words of the command line and from arguments.py
    beside the file `script`.
    """
    # Python may take a while to end; Ctrl-C has nothing to stop any more.
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    sys.exit(exit_code(main, kind, script, words))


def exit_code(main: Callable[[S], None], kind: type[S], script: str, words: Sequence[str]) -> int:
    """0: done; 2: a mistake that the user can correct, in one line; 130: stopped with Ctrl-C.

    Python's own 1 with a traceback is a fault of the program.
    """
    _set_up_output()
    try:
        arguments = beside = Path(script).with_name("arguments.py")
        rest, asked = list[str](), set[str]()
        for word in words:
            if word.startswith("--arguments="):
                arguments = Path(word.partition("=")[2])
            elif word in ("--help", "-h", "--all"):
                asked.add(word)
            else:
                rest.append(word)
        if asked:
            print(help_text(kind, arguments, rest, everything="--all" in asked), flush=True)
            return EXIT_OK
        settings = load_settings(kind, arguments, rest)
        if arguments != beside:
            settings._words["arguments"] = str(arguments)
        check_images(settings)
        main(settings)
        sys.stdout.flush()
    except UserError as error:
        print(error, file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("\nStopped. Everything done so far is kept.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_OK


def _set_up_output() -> None:
    """Results to standard output, notes and progress to standard error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # file names may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for library in ("httpx", "httpcore", "huggingface_hub", "matplotlib", "PIL", "filelock"):
        logging.getLogger(library).setLevel(logging.ERROR)
