"""Files written by version 0 (commit bc9c4d7), which still load, and mean what they meant then.

What they are and what that version made of them lies in tests/fixtures/version_0; see its README.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "fixtures" / "version_0"
EXPECTED = FIXTURES / "expected"
STORE = json.loads((EXPECTED / "store.json").read_text("utf-8"))

# Runs several command lines one after the other, so that torch is imported once for all of them, or
# cannot be imported at all.
SEVERAL = """
import json, runpy, sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ImportError("torch was imported")

if sys.argv[1] == "without torch":
    sys.meta_path.insert(0, NoTorch())
for command in json.loads(sys.argv[2]):
    sys.argv = command
    try:
        runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
"""


def copy_fixtures(folder):
    """With the images beside the choices made on them, and with the times that the store knows."""
    shutil.copytree(FIXTURES, folder, dirs_exist_ok=True)
    shutil.copytree(folder / "images" / "a", folder / "choices" / "a")
    shutil.copytree(folder / "few" / "c", folder / "from_model" / "c")
    for path, _, mtime_ns, _ in STORE["files"]:
        os.utime(folder / "few" / path, ns=(mtime_ns, mtime_ns))
    return folder


def run(place, *commands, torch=True, check=True):
    """Run scripts in the folder; without torch, features must have been kept or be built in."""
    scripts = [[str(ROOT / f"{script}.py"), *words] for script, *words in commands]
    with_torch = "with torch" if torch else "without torch"
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, with_torch, json.dumps(scripts)],
        cwd=place, capture_output=True, text=True, encoding="utf-8", check=False, timeout=250,
        env=os.environ | {"PYTHONUTF8": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert not check or done.returncode == 0, done.stderr
    return done


def table(file, key):
    """The rows of a CSV file by one of its columns, the others as numbers where they are."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = {row.pop(key): row for row in csv.DictReader(stream)}
    return {name: {k: number(v) for k, v in row.items()} for name, row in rows.items()}


def number(text):
    try:
        return float(text)
    except ValueError:
        return text


def assert_same(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, row in expected.items():
        assert found[name] == pytest.approx(row, abs=tolerance), name
