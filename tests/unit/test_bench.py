"""The measurements of bench/ and the tests leave each other alone, and each is in the list."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_architecture import imports

ROOT = Path(__file__).parents[2]
BENCH = sorted((ROOT / "bench").glob("*.py"))
MEASUREMENTS = [path.stem for path in BENCH if '== "__main__"' in path.read_text("utf-8")]


def test_bench_and_tests_do_not_import_each_other():
    for mine, others in ((ROOT / "bench", "tests"), (ROOT / "tests", "bench")):
        for path in mine.rglob("*.py"):
            assert others not in {name.partition(".")[0] for name in imports(path)}, path


def test_the_list_names_each_measurement_and_no_other():
    text = (ROOT / "bench" / "README.md").read_text("utf-8")
    assert re.findall(r"^\| `python -m bench\.(\w+)", text, re.MULTILINE) == MEASUREMENTS
    for name in MEASUREMENTS:
        assert f"python -m bench.{name}" in (ROOT / "bench" / f"{name}.py").read_text("utf-8")


@pytest.mark.parametrize("name", ["builtin_features", "rating_simulation"])
def test_what_is_missing_is_told_in_one_line(name):
    environment = {k: v for k, v in os.environ.items() if k != "REAL_ASSETS"}
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{name}"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1 and "REAL_ASSETS" in done.stderr


def test_a_measurement_prints_one_line_of_json():
    done = subprocess.run(
        [sys.executable, "-m", "bench.rating_speed", "100"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["bench"] == "rating_speed"
