"""How every script that changes files goes about it: say, and unless it is a dry run, do."""

import os
import shlex
import subprocess
from pathlib import Path

from src.file_changes.apply import apply
from src.file_changes.plan import Plan
from src.file_changes.undo_file import new_undo_file


def carry_out(plan: Plan, script: str, what: str, undo_folder: Path, *, dry_run: bool) -> bool:
    """Print what a plan does and how it is undone, and do it.

    Args:
        script: its name, without .py.
        what: is done, as a part of the undo file's name.
        undo_folder: where the undo file goes.
        dry_run: only print.

    Returns:
        Whether anything was changed.

    Raises:
        DataError: something was not done.
    """
    print(plan.text() if dry_run else "\n".join(plan.lines))
    if not plan.changes:
        return False
    if dry_run:
        print("Nothing was changed: this was a dry run. Next: the same with --dry_run=False")
        return False
    undo_file = new_undo_file(undo_folder, what)
    print(undo_line(script, undo_file), flush=True)
    print(apply(plan.folders, plan.changes, undo_file).report())
    return True


def undo_line(script: str, undo_file: Path) -> str:
    """The command that undoes what an undo file holds, quoted for the shell."""
    words = [f"--undo={undo_file}"]
    quoted = subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
    return f"To undo it: python run.py {script} {quoted}"
