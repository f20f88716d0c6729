"""Folders become categories; what does not fit is told."""

import logging

import numpy as np
import pytest

from src.dataset.classes import check_counts, read_categories
from src.dataset.deduplicate import deduplicate
from src.dataset.split import TEST, TRAIN, VALIDATION, split_parts
from src.errors import DataError
from tests.conftest import make_image, make_images


def test_folders_are_categories_whatever_the_case_of_the_extension(tmp_path):
    make_images(tmp_path / "dog", 2, suffix=".JPG")
    make_images(tmp_path / "cat" / "indoors", 1, seed=1)
    make_images(tmp_path / "cat", 2, seed=2)
    make_images(tmp_path / ".hidden", 2, seed=3)
    (tmp_path / "cat" / ".trash.png").write_bytes(b"no image")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.txt").write_text("no image", encoding="utf-8")
    data = read_categories(tmp_path)
    assert data.names == ("cat", "dog")
    assert data.paths == [
        "cat/000.png",
        "cat/001.png",
        "cat/indoors/000.png",
        "dog/000.JPG",
        "dog/001.JPG",
    ]
    assert data.labels.tolist() == [0, 0, 0, 1, 1]
    assert data.counts.tolist() == [3, 2]


def test_images_outside_folders_and_empty_folders_are_named(tmp_path, caplog):
    make_images(tmp_path / "a", 1)
    make_images(tmp_path / "b", 1, seed=1)
    make_image(9).save(tmp_path / "loose.png")
    (tmp_path / "empty").mkdir()
    with caplog.at_level(logging.WARNING):
        data = read_categories(tmp_path)
    assert "loose.png" not in data.paths
    assert "loose.png" in caplog.text
    assert "empty" in caplog.text


@pytest.mark.parametrize("folders", [[], ["only"]])
def test_fewer_than_two_categories_is_an_error_that_says_so(tmp_path, folders):
    for folder in folders:
        make_images(tmp_path / folder, 2)
    with pytest.raises(DataError, match=r"at least two folders.*\.jpeg") as caught:
        read_categories(tmp_path)
    assert all(folder in str(caught.value) for folder in folders)


def test_a_category_with_one_image_cannot_be_learnt(tmp_path):
    make_images(tmp_path / "a", 3)
    make_images(tmp_path / "b", 1, seed=1)
    with pytest.raises(DataError, match=r"'b' \(1\)"):
        check_counts(read_categories(tmp_path))


def test_going_on_keeps_the_models_order_drops_what_vanished_and_adds_what_is_new(tmp_path, caplog):
    for seed, name in enumerate(["ant", "bee", "cow"]):
        make_images(tmp_path / name, 1, seed=seed)
    with caplog.at_level(logging.INFO):
        data = read_categories(tmp_path, ["cow", "gone", "bee"])
    assert data.names == ("cow", "bee", "ant")
    assert "gone" in caplog.text
    assert "ant" in caplog.text


def test_measuring_keeps_the_models_categories_as_they_are(tmp_path, caplog):
    for seed, name in enumerate(["ant", "bee"]):
        make_images(tmp_path / name, 1, seed=seed)
    with caplog.at_level(logging.WARNING):
        data = read_categories(tmp_path, ["bee", "cow"], only_known=True)
    assert data.names == ("bee", "cow")
    assert data.paths == ["bee/000.png"]
    assert "cow" in caplog.text
    assert "ant" in caplog.text
    with pytest.raises(DataError, match="horse"):
        read_categories(tmp_path, ["horse", "sheep"], only_known=True)


def labelled(tmp_path, labels):
    for index, label in enumerate(labels):
        (tmp_path / f"c{label}").mkdir(exist_ok=True)
        make_image(index).save(tmp_path / f"c{label}" / f"{index:03d}.png")
    return read_categories(tmp_path)


def hashes(n):
    return np.random.default_rng(0).integers(0, 256, (n, 32), dtype=np.uint8)


def test_copies_are_left_out_and_contradictions_are_used_nowhere(tmp_path, caplog):
    data = labelled(tmp_path, [0, 0, 0, 1, 1])  # 000, 001, 002 in c0, 003, 004 in c1
    content = [b"same", b"same", b"both", b"both", b"own"]
    with caplog.at_level(logging.WARNING):
        cleaned = deduplicate(data, content, hashes(5))
    assert cleaned.data.paths == ["c0/000.png", "c1/004.png"]
    assert cleaned.kept.tolist() == [0, 4]
    conflicts, copies = cleaned.data.notes
    assert "c0/002.png = c1/003.png" in conflicts
    assert copies == "Copies of other images, not used (1): c0/001.png."
    assert conflicts in caplog.text


def test_lookalikes_in_different_categories_are_pointed_out(tmp_path):
    data = labelled(tmp_path, [0, 0, 1, 1])
    looks = hashes(4)
    looks[3] = looks[0]
    cleaned = deduplicate(data, [b"a", b"b", b"c", b"d"], looks)
    assert "c0/000.png ~ c1/003.png" in cleaned.data.notes[0]
    assert cleaned.groups[0] == cleaned.groups[3]
    assert len(set(cleaned.groups.tolist())) == 3


def test_every_part_has_its_share_of_every_class_and_groups_stay_whole():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], [40, 80, 20])
    groups = np.arange(140)
    groups[[3, 50, 130]] = 3  # across classes
    groups[[60, 61, 62, 63]] = 60
    sha256s = [rng.bytes(32) for _ in labels]
    parts = split_parts(
        sha256s, groups, strata=labels, fraction_for_test=0.25, fraction_for_validation=0.2, seed=7
    )
    for group in np.unique(groups):
        assert len(set(parts[groups == group].tolist())) == 1
    for label, count in enumerate([40, 80, 20]):
        mine = parts[labels == label]
        assert np.sum(mine == TEST) == pytest.approx(0.25 * count, abs=4)
        assert np.sum(mine == VALIDATION) == pytest.approx(0.2 * 0.75 * count, abs=4)
        assert np.sum(mine == TRAIN) > 0
    again = split_parts(
        sha256s[::-1],
        groups[::-1],
        strata=labels[::-1],
        fraction_for_test=0.25,
        fraction_for_validation=0.0,
        seed=7,
    )
    # The test images depend neither on the order nor on whether there is a validation part. (The
    # group across classes counts for the class of its first image, which the order does decide.)
    single = ~np.isin(groups, [3])
    changed = (again[::-1] == TEST) != (parts == TEST)
    assert np.sum(changed & single) <= 2
