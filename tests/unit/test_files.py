"""Files are written whole or not at all."""

import csv
import json
import os
import stat
import sys
import time
from pathlib import Path

import pytest

from src.errors import DataError
from src.files import (
    evaluation_folder,
    is_writable,
    output_folder,
    read_csv,
    replacing,
    warn_of_replacing,
    write_csv,
    write_text,
)


def test_text_is_written_as_it_is(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "é\r\nline\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "é\r\nline\n".encode()


def test_a_failure_keeps_the_old_file_and_leaves_no_rubbish(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "old"


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path):
    for name, age in ((".a.txt.0123abcd.tmp", 100), (".a.txt.4567abcd.tmp", 1), ("b.tmp", 100)):
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    write_text(tmp_path / "a.txt", "whole")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".a.txt.4567abcd.tmp", "a.txt", "b.tmp"]  # one may still be written


CELLS = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "-a.png", "'quoted", "a=b", ""]


def test_cells_that_a_spreadsheet_would_compute_are_quoted_and_come_back(tmp_path):
    write_csv(tmp_path / "a.csv", [CELLS, CELLS, ["-1.5", "-2e-05", "+3", -4.5, "-inf", *"abcd"]])
    with (tmp_path / "a.csv").open(newline="") as stream:
        _, row, numbers = csv.reader(stream)
    assert row == [f"'{cell}" for cell in CELLS[:6]] + CELLS[6:]
    assert numbers[:4] == ["-1.5", "-2e-05", "+3", "-4.5"]
    assert [*read_csv(tmp_path / "a.csv")[0][1].values()] == CELLS


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left"):
        write_text(tmp_path / "a.txt", "x")
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_of_a_folder_is_one_line(tmp_path):
    (tmp_path / "a").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be written"):
        write_text(tmp_path / "a" / "b.txt", "x")
    assert not is_writable(tmp_path / "a")
    assert is_writable(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="permission bits mean little there")
def test_files_can_be_read_as_the_user_allows(tmp_path):
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


def test_each_image_folder_has_its_own_results(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    a, b = tmp_path / "a" / "photos", tmp_path / "b" / "photos"
    first = output_folder("scored", "scored", str(a))
    assert first == output_folder("scored", "scored", "a/photos/") == Path("scored/photos")
    namesake = output_folder("scored", "scored", str(b))
    assert namesake != first and namesake.name.startswith("photos-")
    assert output_folder("scored", "scored", "s3://x/photos").name.startswith("photos-")
    assert output_folder("mine", "scored", str(a)) == output_folder("mine", "scored", str(b))
    assert caplog.messages == [f"mine holds results for {a}, which will be replaced."]


@pytest.mark.parametrize(
    ("metrics", "warns"),
    [
        ({"images": "/other"}, True),
        ({"image_folder": "/other", "images": {"train": 3}}, True),
        ({"image_folder": "/mine"}, False),
        ({"images": {"train": 3}}, False),
        ({}, False),
    ],
)
def test_results_for_other_images_are_not_replaced_without_a_word(tmp_path, caplog, metrics, warns):
    (tmp_path / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    warn_of_replacing(tmp_path, "/mine")
    assert ("holds results for /other" in caplog.text) == warns
    assert warns or not caplog.text


def test_results_of_an_evaluation_never_replace_a_models_own(tmp_path):
    mine, other, new = (tmp_path / name for name in ("mine", "other", "new"))
    for model in (mine, other):
        write_text(model / "model.safetensors", "")
    inside = mine / "evaluation-photos"
    images = tmp_path / "photos"
    assert evaluation_folder(mine, images, new) == new
    assert evaluation_folder(mine, images, mine) == inside
    assert evaluation_folder(mine, images, other) == inside
    assert evaluation_folder(mine / "model.safetensors", images, other) == inside
    assert evaluation_folder(mine, images, None) == inside
    inside.mkdir()
    (inside / "metrics.json").write_text(json.dumps({"images": str(images.resolve())}), "utf-8")
    assert evaluation_folder(mine, images, None) == inside
    namesake = evaluation_folder(mine, tmp_path / "elsewhere" / images.name, None)
    assert namesake != inside and namesake.name.startswith(inside.name)
