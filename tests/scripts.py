"""Scripts as a user runs them, but in this process: nothing heavy is imported again."""

import contextlib
import io
import logging
import runpy
import subprocess
import sys
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[1]


def run_script(
    name: str, *words: object, cwd: Path = ROOT, check: bool = False
) -> subprocess.CompletedProcess[str]:
    """What `python NAME.py WORDS` in the folder `cwd` says, and its exit code."""
    argv = [str(ROOT / f"{name}.py"), *map(str, words)]
    output, errors = io.StringIO(), io.StringIO()
    root, code = logging.getLogger(), 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(sys, "argv", argv))
        stack.enter_context(mock.patch.object(root, "handlers", []))  # the script sets up its own
        stack.enter_context(mock.patch.object(root, "level", root.level))
        stack.enter_context(contextlib.chdir(cwd))
        stack.enter_context(contextlib.redirect_stdout(output))
        stack.enter_context(contextlib.redirect_stderr(errors))
        try:
            runpy.run_path(argv[0], run_name="__main__")
        except SystemExit as end:
            code = int(end.code or 0)
    done = subprocess.CompletedProcess(argv, code, output.getvalue(), errors.getvalue())
    assert not check or code == 0, done.stderr
    return done
