"""score_images.py --engine=ray with a real local cluster, one of whose workers is killed."""

import csv
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from src.aesthetic.heads import LinearHead
from src.aesthetic.predictor import Predictor
from src.features import open_extractors
from tests.conftest import make_image
from tests.scripts import run_script

pytest.importorskip("ray")
parquet = pytest.importorskip("pyarrow.parquet")
psutil = pytest.importorskip("psutil")

ROOT = Path(__file__).parents[2]
IMAGES = 48


@pytest.fixture
def place(tmp_path):
    """Images that take a while to decode, one broken; a model."""
    for number in range(6):
        folder = tmp_path / "images" / str(number)
        folder.mkdir(parents=True)
        make_image(number, (1600, 1200)).save(folder / "0.png", compress_level=1)
        content = (folder / "0.png").read_bytes()
        for more in range(1, IMAGES // 6):  # bytes behind the end: another file, the same picture
            (folder / f"{more}.png").write_bytes(content + bytes([more]))
    (tmp_path / "images" / "broken.jpg").write_bytes(b"no image")
    (builtin,) = open_extractors("builtin")
    weight = np.random.default_rng(0).normal(size=510)
    Predictor(LinearHead(weight, 0.0), extractors=(builtin.describe(),)).save(tmp_path / "model")
    return tmp_path


def start(place: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "score_images.py"), "--load_model=model", *words],
        cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        env=os.environ | {"PYTHONUTF8": "1"},
    )  # fmt: skip


def kept(store: Path) -> int:
    """Images whose features are in the store."""
    if not store.exists():
        return 0
    with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as connection:
        try:
            return int(connection.execute("SELECT COUNT(*) FROM features").fetchone()[0])
        except sqlite3.OperationalError:  # no tables yet
            return 0


def kill_a_worker(process: subprocess.Popen[str], store: Path) -> tuple[int, set[object]]:
    """Kill a worker as soon as something is kept; how much that was, and Ray's processes."""
    while kept(store) == 0:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    family = psutil.Process(process.pid).children(recursive=True)
    workers = [each for each in family if "_Worker" in " ".join(each.cmdline())]
    assert len(workers) == 2, [each.cmdline() for each in family]
    workers[0].send_signal(signal.SIGKILL)
    return kept(store), set(family)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_worker_changes_nothing(place):
    words = ["--top_level_image_directory=images", "--output=local", "--load_model=model",
             f"--feature_store={place / 'here'}", "--gallery=off"]  # fmt: skip
    run_script("score_images", *words, cwd=place, check=True)

    store = place / "there" / ".features.sqlite"
    ray = start(place, f"--top_level_image_directory={(place / 'images').as_uri()}",
                "--engine=ray", "--ray_workers=2", "--output=there",
                "--table=scores.parquet")  # fmt: skip
    before, family = kill_a_worker(ray, store)
    output, errors = ray.communicate(timeout=200)
    assert ray.returncode == 0, errors
    assert 0 < before < IMAGES
    assert "1 unreadable" in output and "broken.jpg" in errors and "Traceback" not in errors

    with (place / "local" / "scores.csv").open(encoding="utf-8", newline="") as file:
        expected = {row["path"]: float(row["score"]) for row in csv.DictReader(file)}
    table = parquet.read_table(place / "there" / "scores.parquet").to_pydict()
    assert table["path"] == list(expected) and len(expected) == IMAGES
    assert len(set(expected.values())) == 6
    assert table["score"] == pytest.approx(list(expected.values()), abs=1e-6)
    assert kept(store) == IMAGES
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
