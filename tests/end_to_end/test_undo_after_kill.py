"""kill -9 while files are changed and while that is undone: nothing is lost, nothing half there."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKE = """
import sys
from pathlib import Path
from src.file_changes.apply import apply
from src.file_changes.plan import place
images, into, undo_file, how = map(Path, sys.argv[1:])
targets = {path.name: f"x/{path.name}" for path in sorted(images.glob("*.jpg"))}
plan = place(images, targets, into, str(how))
print("begin", flush=True)
apply(plan.folders, plan.changes, undo_file).report()
"""


def start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, words)], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def kill(process: subprocess.Popen[str], seconds: float) -> None:
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def contents(*folders: Path) -> list[bytes]:
    return sorted(path.read_bytes() for f in folders for path in f.rglob("[!.]*.*"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("how", ["move", "copy", "link"])
def test_killed_while_changing_and_while_undoing(tmp_path, how):
    chance = random.Random(how)
    images = tmp_path / "images"
    images.mkdir()
    for number in range(80):
        (images / f"{number}.jpg").write_bytes(f"{number} ".encode() * 20_000)
        (images / f"{number}.jpg.txt").write_bytes(f"tag {number}".encode())
        os.utime(images / f"{number}.jpg", ns=(0, 1_600_000_000_123_456_789 + number))
    before = contents(images)
    times = {path.name: path.stat().st_mtime_ns for path in images.iterdir()}
    # Another file system where there is one, so that moving is copying.
    other = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else tmp_path
    for turn in range(2 if how == "move" else 1):
        into = Path(tempfile.mkdtemp(dir=other))
        undo_file = tmp_path / f"{turn}.jsonl"
        try:
            process = start("-c", MAKE, images, into, undo_file, how)
            assert process.stdout is not None and process.stdout.readline() == "begin\n"
            kill(process, chance.uniform(0.02, 0.25))
            assert undo_file.exists()
            whole = set(before)
            assert set(contents(images, into)) == whole  # under no real name is there a half
            kill(start("score_images.py", f"--undo={undo_file}"), chance.uniform(0.4, 1.2))
            assert set(contents(images, into)) == whole
            last = start("score_images.py", f"--undo={undo_file}")
            _, errors = last.communicate()
            assert last.returncode == 0, errors
            assert contents(images) == before and list(into.iterdir()) == []
            assert {path.name: path.stat().st_mtime_ns for path in images.iterdir()} == times
        finally:
            shutil.rmtree(into)
