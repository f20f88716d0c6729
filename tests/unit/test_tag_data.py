"""Labels, and the split into training, validation and test images."""

import hashlib

import numpy as np
import pytest

from src.dataset.parts import TEST, TRAIN, VALIDATION
from src.errors import DataError, SettingsError
from src.tagging import data as tag_data
from src.tagging.data import binary_labels, split_parts
from tests.conftest import make_images


def tagged(folder, tags):
    for path, names in zip(make_images(folder, len(tags), (8, 6)), tags, strict=True):
        path.with_name(path.name + ".txt").write_text("\n".join(names), encoding="utf-8")
    return folder


def test_binary_labels_by_hand():
    labels = binary_labels([["b", "a", "b"], [], ["x", "c"]], ["a", "b", "c"])
    assert labels.dtype == np.uint8
    assert labels.toarray().tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_loading_a_folder(tmp_path):
    data = tag_data.load(tagged(tmp_path, [["cat", "sofa"], ["cat"], [], ["rare"]]), min_count=2)
    assert data.names == ["cat"]
    assert data.paths == ["000.png", "001.png", "002.png", "003.png"]
    assert data.labels.toarray().ravel().tolist() == [1, 1, 0, 0]
    only = data.only(["003.png", "000.png"])
    assert only.paths == ["000.png", "003.png"]
    assert only.labels.toarray().ravel().tolist() == [1, 0]


def test_a_given_tag_list_decides_on_the_columns(tmp_path):
    folder = tagged(tmp_path / "images", [["cat", "sofa"], ["cat"]])
    (tmp_path / "list.csv").write_text("name\nsofa\nunicorn\ncat\n")
    data = tag_data.load(folder, min_count=9, tag_list=tmp_path / "list.csv")
    assert data.labels.toarray().tolist() == [[1, 0, 1], [0, 0, 1]]
    assert "unicorn" in "".join(data.notes)


def test_nothing_to_learn_from(tmp_path):
    with pytest.raises(DataError, match="no images"):
        tag_data.load(tmp_path)
    folder = tagged(tmp_path / "a", [["cat"], ["dog"]])
    with pytest.raises(DataError, match="lower tag_min_count"):
        tag_data.load(folder, min_count=2)
    make_images(tmp_path / "b", 2, (8, 6))
    with pytest.raises(DataError, match="prepare_tags"):
        tag_data.load(tmp_path / "b")


def data_of(tmp_path, n=400):
    """A table of n images that need not exist on disk for the split."""
    folder = tagged(tmp_path, [["cat"]])
    one = tag_data.load(folder)
    files = tuple(one.files[0]._replace(path=f"{index:04d}.png") for index in range(n))
    labels = binary_labels([["cat"]] * n, one.names)
    return type(one)(folder, files, one.tags, labels, ("",) * n, "x", ())


def digests(n):
    return [hashlib.sha256(str(index).encode()).digest() for index in range(n)]


def test_shares_and_groups(tmp_path):
    data = data_of(tmp_path)
    groups = np.arange(400) // 2  # pairs of duplicates
    parts = split_parts(
        data,
        digests(400),
        groups,
        fraction_for_test=0.25,
        fraction_for_validation=0.2,
        seed=1,
    )
    assert (parts[::2] == parts[1::2]).all()
    shares = np.bincount(parts, minlength=3) / 400
    # Standard deviation of a share of 200 groups: about 0.03.
    assert shares == pytest.approx([0.6, 0.15, 0.25], abs=0.1)
    again = split_parts(
        data, digests(400), groups, fraction_for_test=0.25, fraction_for_validation=0.15, seed=2
    )
    assert (parts != again).any()


def test_what_the_source_says_goes_first_and_keeps_groups_whole(tmp_path):
    data = data_of(tmp_path, 6)
    parts = ("train", "test", "validation", "train", "", "train")
    data = type(data)(
        data.directory, data.files, data.tags, data.labels, parts, data.source, data.notes
    )
    found = split_parts(
        data,
        digests(6),
        np.array([0, 0, 1, 1, 2, 3]),
        fraction_for_test=0,
        fraction_for_validation=0,
        seed=0,
    )
    assert found.tolist() == [TEST, TEST, VALIDATION, VALIDATION, TRAIN, TRAIN]


def test_ids_modulo_a_thousand(tmp_path):
    data = data_of(tmp_path, 4)
    names = ["0123/5900.png", "0123/12950.png", "0123/1899.png", "cover.png"]
    files = tuple(f._replace(path=p) for f, p in zip(data.files, names, strict=True))
    data = type(data)(
        data.directory, files, data.tags, data.labels, data.parts, data.source, data.notes
    )
    options = {"fraction_for_test": 0.0, "fraction_for_validation": 0.0, "seed": 0}
    found = split_parts(data, digests(4), np.arange(4), id_ranges="900-949,950-999", **options)
    assert found.tolist() == [VALIDATION, TEST, TRAIN, TRAIN]
    with pytest.raises(SettingsError, match="split_by_id"):
        split_parts(data, digests(4), np.arange(4), id_ranges="900", **options)
