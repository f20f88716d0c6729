"""The demo's images: known grades of damage, no photograph on both sides, the same for a seed."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples import demo as script
from examples import demo_images as demo
from examples.demo_images import (
    STRENGTHS,
    TILE,
    Example,
    load_photograph,
    make_demo_images,
    plan,
    tiles,
)
from src.dataset.scores import DataHolder
from src.errors import MissingExtra

COUNTS = {"a": 4, "b": 6, "c": 2, "d": 9, "e": 3}


FEW = {name: demo.PHOTOGRAPHS[name] for name in ("cat", "coffee", "coins")}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three photographs instead of twelve."""
    monkeypatch.setattr(demo, "PHOTOGRAPHS", FEW)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Example]]:
    """The images of three photographs."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(demo, "PHOTOGRAPHS", FEW)
        return folder, make_demo_images(folder, seed=1)


# ---- the plan


@pytest.mark.parametrize("seed", range(5))
def test_no_photograph_is_on_both_sides_and_the_test_gets_its_share(seed):
    examples = plan(COUNTS, seed)
    sides = {
        part: {e.photograph for e in examples if e.split == part} for part in ("train", "test")
    }
    assert not sides["train"] & sides["test"]
    assert sides["train"] | sides["test"] == set(COUNTS)
    tested = sum(COUNTS[name] for name in sides["test"])
    assert 24 * 0.25 <= tested < 24 * 0.25 + 9  # at most one photograph more than needed


def test_every_tile_is_untouched_once_and_damaged_once_in_each_way():
    examples = plan(COUNTS, 3)
    assert len({example.relative_path for example in examples}) == len(examples) == 24 * 6
    kinds = [(example.photograph, example.tile, example.damage) for example in examples]
    assert len(set(kinds)) == len(kinds)
    assert {example.damage for example in examples} == {"untouched", *STRENGTHS}


def test_the_grades_are_even_within_each_damage_and_side():
    examples = plan(COUNTS, 3)
    for part in ("train", "test"):
        for damage in STRENGTHS:
            grades = [e.grade for e in examples if (e.damage, e.split) == (damage, part)]
            counts = np.bincount(grades, minlength=5)
            assert counts[0] == 0
            assert counts[1:].max() - counts[1:].min() <= 1
        assert {e.grade for e in examples if (e.damage, e.split) == ("untouched", part)} == {0}


def test_the_seed_decides():
    assert plan(COUNTS, 1) == plan(COUNTS, 1)
    assert plan(COUNTS, 1) != plan(COUNTS, 2)
    tested = [{e.photograph for e in plan(COUNTS, s) if e.split == "test"} for s in range(9)]
    assert any(names != tested[0] for names in tested)


# ---- tiles and damage


def test_tiles_do_not_overlap():
    width, height = 2 * TILE + 50, TILE + 7
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    place = np.stack([across % 256, down, across // 256], axis=2).astype(np.uint8)
    parts = tiles(Image.fromarray(place))
    assert [part.size for part in parts] == [(TILE, TILE)] * 2
    pixels = np.concatenate([np.asarray(part).reshape(-1, 3) for part in parts])
    assert len(np.unique(pixels, axis=0)) == 2 * TILE * TILE
    assert tiles(Image.new("RGB", (TILE - 1, TILE * 3))) == []  # smaller than a tile


@pytest.mark.parametrize("damage", demo.DAMAGES)
def test_a_higher_grade_is_further_from_the_original(damage):
    for tile in [tiles(load_photograph(name))[0] for name in demo.PHOTOGRAPHS]:
        original = np.asarray(tile, dtype=float)
        distances = []
        for strength in STRENGTHS[damage]:
            damaged = demo.DAMAGES[damage](tile, strength, np.random.default_rng(1))
            distances.append(np.abs(np.asarray(damaged, dtype=float) - original).mean())
        assert 0 < distances[0] < distances[1] < distances[2] < distances[3]


# ---- the files


def test_the_folder_is_what_training_reads(made):
    folder, examples = made
    holder = DataHolder.from_folder(folder)
    assert (len(holder), holder.missing, holder.unscored) == (60, (), ())
    expected = {e.relative_path: (-e.grade, e.split) for e in examples}
    found = zip(holder.paths, holder.scores, holder.parts, strict=True)
    assert {path: (score, part) for path, score, part in found} == expected


def test_each_image_is_its_tile_with_its_damage(made):
    folder, examples = made
    originals = {name: tiles(load_photograph(name)) for name in FEW}
    for example in examples:
        tile = np.asarray(originals[example.photograph][example.tile], dtype=float)
        with Image.open(folder / example.relative_path) as image:
            assert (image.size, image.mode) == ((TILE, TILE), "RGB")
            assert image.format == ("JPEG" if example.damage == "compression" else "PNG")
            distance = np.abs(np.asarray(image, dtype=float) - tile).mean()
        assert (distance == 0) == (example.damage == "untouched")
    sizes = {e: (folder / e.relative_path).stat().st_size for e in examples}
    by_grade = [
        np.mean(
            [size for e, size in sizes.items() if (e.damage, e.grade) == ("compression", grade)]
        )
        for grade in range(1, 5)
    ]
    assert by_grade == sorted(by_grade, reverse=True)  # stronger compression, smaller files


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_complete_folder_is_left_alone_and_an_incomplete_one_mended(
    few, made, tmp_path, monkeypatch
):
    examples = make_demo_images(tmp_path, seed=1)
    whole = contents(tmp_path)
    assert whole == contents(made[0])  # the same seed gives the same files
    write, written = demo._write, []

    def record(directory: Path, example: Example, *rest: object) -> None:
        written.append(example)
        write(directory, example, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(demo, "_write", record)
    assert make_demo_images(tmp_path, seed=1) == examples
    assert written == []

    (tmp_path / examples[7].relative_path).unlink()
    assert make_demo_images(tmp_path, seed=1) == examples
    assert examples[7] in written
    assert contents(tmp_path) == whole


def test_an_interrupted_run_is_not_taken_for_complete(few, made, tmp_path, monkeypatch):
    shutil.copytree(made[0], tmp_path, dirs_exist_ok=True)
    write = demo._write

    def interrupted(directory: Path, example: Example, *rest: object) -> None:
        if example.damage == "noise":
            raise KeyboardInterrupt
        write(directory, example, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(demo, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_demo_images(tmp_path, seed=2)
    assert not (tmp_path / demo.SCORES).exists()

    monkeypatch.setattr(demo, "_write", write)
    make_demo_images(tmp_path, seed=2)
    make_demo_images(tmp_path / "straight", seed=2)
    straight = contents(tmp_path / "straight")
    assert straight != contents(made[0])
    assert {path: data for path, data in contents(tmp_path).items() if path in straight} == straight


def test_without_the_photographs_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"run\.py install scikit-image"):
        make_demo_images(tmp_path)


# ---- the script


@pytest.mark.parametrize("code", [0, 2, 130])
def test_the_script_trains_and_names_the_report_and_the_next_step(code, monkeypatch, capsys):
    commands: list[list[str]] = []

    def follow(command: list[str]) -> int:
        commands.append(command)
        return int(code)

    monkeypatch.chdir(Path(script.__file__).parent)  # it goes to the project's folder by itself
    monkeypatch.setattr(script, "make_demo_images", lambda folder: plan(COUNTS, 0))
    monkeypatch.setattr(script, "follow", follow)
    assert script.main(["--loss=mse"]) == code
    assert commands[0][1].endswith("aesthetic_predictor_training.py")
    assert commands[0][2:] == [
        "--top_level_image_directory=demo/images",
        "--feature_extractor=builtin",
        "--save_model=demo/model",
        "--loss=mse",
    ]
    said = capsys.readouterr().out
    assert ("demo/model/report.html" in said) == (code == 0)
    assert ("aesthetic_ab_scorer --top_level_image_directory=YOUR_FOLDER" in said) == (code == 0)
