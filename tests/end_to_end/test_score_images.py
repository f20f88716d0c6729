"""score_images.py as a user runs it."""

import csv
import json
import shlex
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from src.aesthetic.heads import LinearHead
from src.aesthetic.predictor import Predictor
from src.features import open_extractors, open_store
from src.images import scan_images
from tests.conftest import make_images
from tests.feature_names import names
from tests.scripts import run_script

ROOT = Path(__file__).parents[2]
SCORED = Path("scored", "my images")


def run(cwd: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return run_script("score_images", *words, cwd=cwd)


@pytest.fixture
def place(tmp_path):
    """A working folder with 20 images in two folders, one broken, and a model that likes light."""
    images = tmp_path / "my images"
    make_images(images / "a", 12, seed=1, suffix=".jpg")
    make_images(images / "b", 8, seed=2)
    (images / "b" / "broken.png").write_bytes(b"no image")
    weight = np.zeros(510)
    weight[names().index("colour: mean, lightness")] = 1.0
    (builtin,) = open_extractors("builtin")
    Predictor(LinearHead(weight, 0.0), extractors=(builtin.describe(),)).save(tmp_path / "model")
    return tmp_path


def settings(*more: str) -> list[str]:
    return ["--top_level_image_directory=my images", "--load_model=model", *more]


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def table(place: Path) -> dict[str, float]:
    with (place / SCORED / "scores.csv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: float(row["score"]) for row in csv.DictReader(file)}


def undo_command(done: subprocess.CompletedProcess[str]) -> str:
    (line,) = [line for line in done.stdout.splitlines() if "--undo=" in line]
    return shlex.split(line)[-1]


def test_table_and_gallery_then_touch_and_undo(place):
    before = snapshot(place / "my images")
    done = run(place, *settings("--action=touch"))
    assert done.returncode == 0, done.stderr
    assert "dry run" in done.stdout and "1 unreadable" in done.stdout
    assert "broken.png" in done.stderr and "Traceback" not in done.stderr
    assert snapshot(place / "my images") == before
    scores = table(place)
    assert len(scores) == 20 and list(scores.values()) == sorted(scores.values(), reverse=True)
    page = (place / SCORED / "gallery.html").read_text(encoding="utf-8")
    content = json.loads(page.split('id="content">')[1].split("</script>")[0])
    assert content["paths"] == list(scores)
    assert all((place / SCORED / "thumbnails" / name).is_file() for name in content["thumbnails"])
    assert (place / SCORED / content["images"].replace("%20", " ") / content["paths"][0]).exists()

    done = run(place, *settings("--action=touch", "--dry_run=False"))
    assert done.returncode == 0, done.stderr
    times = {path: (place / "my images" / path).stat().st_mtime_ns for path in scores}
    assert sorted(times, key=times.__getitem__, reverse=True) == list(scores)
    with open_store(place / "my images") as store:  # the touched images are not read again
        assert set(store.known_files(scan_images(place / "my images"))) == set(scores)
    undone = run(place, undo_command(done))
    assert undone.returncode == 0 and "20 changes undone" in undone.stdout
    assert snapshot(place / "my images") == before


def test_worst_first_stars_and_other_formats(place):
    words = settings("--action=xmp", "--dry_run=False", "--first=worst",
                     "--table=t.json", "--gallery=off")  # fmt: skip
    before = snapshot(place / "my images")
    done = run(place, *words, "--xmp_naming=image.jpg.xmp")
    assert done.returncode == 0, done.stderr
    entries = json.loads((place / SCORED / "t.json").read_text(encoding="utf-8"))
    scores = [entry["score"] for entry in entries]
    assert scores == sorted(scores)
    stars = [
        ET.parse(place / "my images" / f"{entry['path']}.xmp")
        .find(".//{*}Description")
        .attrib["{http://ns.adobe.com/xap/1.0/}Rating"]
        for entry in entries
    ]
    # 20 images, cut at 0.1, 0.35, 0.65 and 0.9 of them.
    assert stars == ["1"] * 2 + ["2"] * 5 + ["3"] * 6 + ["4"] * 5 + ["5"] * 2
    assert not (place / SCORED / "gallery.html").exists()
    run(place, undo_command(done))
    assert snapshot(place / "my images") == before


def test_moving_into_folders_and_back(place):
    before = snapshot(place / "my images")
    done = run(
        place,
        *settings("--action=move", "--dry_run=False", "--gallery=off"),
        "--cuts=[0.25]", '--folders=["out", ""]', "--into=sorted",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lowest = list(table(place))[-5:]
    assert all((place / "sorted" / "out" / path).is_file() for path in lowest)
    assert len(snapshot(place / "my images")) == len(before) - 5
    assert run(place, undo_command(done)).returncode == 0
    assert snapshot(place / "my images") == before


def test_only_new_and_changed_images_are_computed(place):
    assert run(place, *settings("--gallery=off")).returncode == 0
    first = table(place)
    shutil.copy(place / "my images/a/000.jpg", place / "my images/a/copy.jpg")
    make_images(place / "my images/b", 1, seed=77)  # replaces b/000.png
    assert run(place, *settings("--gallery=off")).returncode == 0
    second = table(place)
    assert second["a/copy.jpg"] == second["a/000.jpg"] == first["a/000.jpg"]
    assert second["b/000.png"] != first["b/000.png"]
    assert all(second[path] == first[path] for path in first if path != "b/000.png")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--load_model="], "load_model is empty"),
        (["--load_model=nowhere"], "nowhere"),
        (["--action=copy"], "needs 'into'"),
        (["--cuts=[0.5]", "--action=xmp"], "four cuts"),
        (["--table=../x.csv"], "table is"),
        (["--undo=nothing.json"], "nothing.json"),
        (["--action=score_file"], "aesthetic_score_from_model"),
        (["--action=copy", "--into=my images/x"], "inside the image folder"),
    ],
)
def test_mistakes_are_one_line(place, words, part):
    done = run(place, *settings("--gallery=off", *words))
    assert done.returncode == 2
    assert part in done.stderr and "Traceback" not in done.stderr
