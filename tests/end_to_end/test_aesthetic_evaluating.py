"""Measuring models on what neither they nor their ancestors have seen."""

import csv
import shlex
import shutil
import subprocess
import sys

from PIL import Image

from tests.aesthetic_training import ROOT, contents, read, run, settings, split_of
from tests.conftest import make_images


def test_evaluating_tests_on_the_same_images_whatever_the_seed_and_changes_nothing(
    trained, rated_images
):
    """With its own extractor, although the settings name another, which cannot be had."""
    model = trained[0] / "model"
    before = contents(model)
    done = run(trained[0], f"--top_level_image_directory={rated_images}", "--mode=evaluate",
               "--load_model=model", "--test_pick_seed=7", HF_HUB_OFFLINE="1")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read(model / "evaluation-my images")["test"] == read(model)["test"]
    assert contents(model) == before
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("Next: ")]
    words = shlex.split(line.removeprefix("Next: "))
    assert words[:2] == ["python", "run.py"] and "--load_model=model" in words
    done = subprocess.run(
        [sys.executable, str(ROOT / f"{words[2]}.py"), *words[3:]],
        cwd=trained[0], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_an_evaluation_on_other_images_leaves_that_on_the_first_as_it_was(
    trained, rated_images, tmp_path
):
    """Of the other folder, what is new is tested on: not the copies saved again as JPEG."""
    model = trained[0] / "model"
    other = tmp_path / "other"
    rows = []
    with (rated_images / "scores.csv").open(encoding="utf-8") as file:
        given = {row["relative_path"]: row["score"] for row in csv.DictReader(file)}
    split = split_of(model)
    other.mkdir()
    for number, (path, score) in enumerate(sorted(given.items())[:40]):
        with Image.open(rated_images / path) as image:
            image.convert("RGB").save(other / f"{number}.jpg", quality=80)
        rows.append((f"{number}.jpg", score, split[path]))
    for path in make_images(other / "new", 20, seed=9):
        rows.append((path.relative_to(other).as_posix(), f"{len(rows)}", "test"))
    with (other / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("relative_path", "score"), *(row[:2] for row in rows)])
    new = {path for path, _, part in rows if part == "test"}
    for images, tested in ((other, new), (rated_images, {p for p in split if split[p] == "test"})):
        words = ["--mode=evaluate", "--load_model=model", "--save_model=figures"]
        done = run(trained[0], f"--top_level_image_directory={images}", *words)
        assert done.returncode == 0, done.stderr
        found = split_of(trained[0] / "figures")
        assert {path for path, part in found.items() if part == "test"} == tested
    assert read(trained[0] / "figures")["test"] == read(model)["test"]


def test_two_generations_never_test_on_what_an_ancestor_has_seen(trained, rated_images, tmp_path):
    """Going on with other seeds and new images, some of them copies of old ones."""
    images = tmp_path / "images"
    shutil.copytree(rated_images, images)
    seen = {path for path, part in split_of(trained[0] / "model").items() if part == "train"}
    for generation in (1, 2):
        rows = []
        for path in make_images(images / f"new {generation}", 20, seed=20 + generation):
            rows.append((path.relative_to(images).as_posix(), f"{len(rows)}"))
        copies = sorted(seen)[:5]
        for number, path in enumerate(copies):
            copy = images / f"new {generation}" / f"copy {number}.jpg"
            with Image.open(images / path) as image:
                image.convert("RGB").save(copy, quality=85)
            rows.append((copy.relative_to(images).as_posix(), "1"))
        with (images / "scores.csv").open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        first = trained[0] / "model" if generation == 1 else "generation 1"
        done = run(tmp_path, *settings(images, "--head=ridge", f"--load_model={first}",
                                       f"--test_pick_seed={generation}",
                                       f"--save_model=generation {generation}"))  # fmt: skip
        assert done.returncode == 0, done.stderr
        split = split_of(tmp_path / f"generation {generation}")
        tested = {path for path, part in split.items() if part == "test"}
        assert not tested & seen and len(tested) >= 20
        assert all(split[f"new {generation}/copy {n}.jpg"] == "train" for n in range(len(copies)))
        assert "afresh" in done.stderr
        seen |= split.keys() - tested
    done = run(tmp_path, *settings(images, "--mode=evaluate", "--load_model=generation 2"))
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "model")["test"]["n"] == len(split) - len(seen)
