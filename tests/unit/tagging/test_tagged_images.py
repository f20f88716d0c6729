"""Labels, and the split into training, validation and test images."""

import hashlib

import numpy as np
import pytest

from src.dataset.split import TEST, TRAIN, VALIDATION, split_parts
from src.errors import DataError, SettingsError
from src.tagging import tagged_images
from src.tagging.tagged_images import binary_labels
from tests.conftest import make_images
from tests.training import training


def read_tagged_images(folder, tag_list=None, **settings):
    given = training(top_level_image_directory=folder, **settings)
    return tagged_images.read_tagged_images(given, tag_list)


def tagged(folder, tags):
    for path, names in zip(make_images(folder, len(tags), (8, 6)), tags, strict=True):
        path.with_name(path.name + ".txt").write_text("\n".join(names), encoding="utf-8")
    return folder


def test_binary_labels_by_hand():
    labels = binary_labels([["b", "a", "b"], [], ["x", "c"]], ["a", "b", "c"])
    assert labels.dtype == np.uint8
    assert labels.toarray().tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_loading_a_folder(tmp_path):
    folder = tagged(tmp_path, [["cat", "sofa"], ["cat"], [], ["rare"]])
    data = read_tagged_images(folder, tag_min_count=2)
    assert data.names == ("cat",)
    assert data.paths == ["000.png", "001.png", "002.png", "003.png"]
    assert data.labels.toarray().ravel().tolist() == [1, 1, 0, 0]
    only = data.only(["003.png", "000.png"])
    assert only.paths == ["000.png", "003.png"]
    assert only.labels.toarray().ravel().tolist() == [1, 0]


def test_a_given_tag_list_decides_on_the_columns(tmp_path):
    folder = tagged(tmp_path / "images", [["cat", "sofa"], ["cat"]])
    (tmp_path / "list.csv").write_text("name\nsofa\nunicorn\ncat\n")
    data = read_tagged_images(folder, tmp_path / "list.csv", tag_min_count=9)
    assert data.labels.toarray().tolist() == [[1, 0, 1], [0, 0, 1]]
    assert "unicorn" in "".join(data.notes)


def test_nothing_to_learn_from(tmp_path):
    with pytest.raises(DataError, match="no images"):
        read_tagged_images(tmp_path)
    folder = tagged(tmp_path / "a", [["cat"], ["dog"]])
    with pytest.raises(DataError, match="lower tag_min_count"):
        read_tagged_images(folder, tag_min_count=2)
    make_images(tmp_path / "b", 2, (8, 6))
    with pytest.raises(DataError, match="prepare_tags"):
        read_tagged_images(tmp_path / "b")


def digests(n):
    return [hashlib.sha256(str(index).encode()).digest() for index in range(n)]


def test_what_the_source_says_overrides_the_draw_and_keeps_groups_whole():
    found = split_parts(
        digests(6),
        np.array([0, 0, 1, 1, 2, 3]),
        fraction_for_test=0,
        fraction_for_validation=0,
        seed=0,
        given=np.array([TRAIN, TEST, VALIDATION, TRAIN, -1, TEST]),
        seen=np.arange(6) == 5,
    )
    assert found.tolist() == [TEST, TEST, VALIDATION, VALIDATION, TRAIN, TRAIN]


def test_parts_by_the_source_and_by_ids_modulo_a_thousand(tmp_path):
    names = ["5900", "12950", "1899", "cover", "3950"]
    for path, name in zip(make_images(tmp_path, 5, (8, 6)), names, strict=True):
        path.rename(tmp_path / f"{name}.png")
    rows = [f"{name}.png,cat," + ("train" if name == "3950" else "") for name in names]
    (tmp_path / "tags.csv").write_text("path,tags,split\n" + "\n".join(rows), encoding="utf-8")
    data = read_tagged_images(tmp_path, tag_source="tags.csv", split_by_id="900-949,950-999")
    assert dict(zip(data.paths, data.given_parts.tolist(), strict=True)) == {
        "5900.png": VALIDATION,
        "12950.png": TEST,
        "1899.png": TRAIN,
        "cover.png": -1,
        "3950.png": TRAIN,
    }
    assert data.only(["1899.png", "cover.png"]).given_parts.tolist() == [TRAIN, -1]
    with pytest.raises(SettingsError, match="split_by_id"):
        read_tagged_images(tmp_path, tag_source="tags.csv", split_by_id="900")
