"""What a model has seen is recognised by content and by look, and kept with the model."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from src.dataset.split import split
from src.dataset.trained_on import FILE_NAME, TrainedOn
from src.errors import ModelError


def contents(count: int, start: int = 0) -> list[bytes]:
    return [bytes([start + index]) * 32 for index in range(count)]


def random_hashes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


def test_content_look_and_group_each_make_an_image_seen():
    hashes = random_hashes(5)
    model = TrainedOn.of(contents(1), hashes[:1])
    query = contents(5)
    look = hashes.copy()
    look[1] = hashes[0]
    look[1, 0] ^= 1  # one bit from the first: another file that looks the same
    groups = np.array([0, 1, 1, 3, 4])  # the third is a mirrored copy of the second, say
    assert model.seen(query, look, groups).tolist() == [True, True, True, False, False]


def test_a_model_of_nothing_has_seen_nothing():
    assert not TrainedOn().seen(contents(3), random_hashes(3), np.arange(3)).any()


def test_ancestors_add_up_and_survive_the_disk(tmp_path):
    hashes = random_hashes(4)
    first = TrainedOn.of(contents(3), hashes[:3], unknown=["published"])
    second = TrainedOn.of(contents(2, start=2), hashes[2:], unknown=["published", "old"])
    both = first | second
    assert len(both) == 4
    assert both.unknown == ("published", "old")
    both.save(tmp_path)
    loaded = TrainedOn.load(tmp_path / "model.safetensors")
    assert loaded.unknown == both.unknown
    assert (loaded.sha256s == both.sha256s).all()
    assert (loaded.hashes == both.hashes).all()
    assert loaded.seen(contents(5), random_hashes(5, seed=1), np.arange(5)).tolist() == [
        True, True, True, True, False,
    ]  # fmt: skip


def test_a_model_without_the_file_does_not_say(tmp_path):
    assert TrainedOn.load(tmp_path).unknown == (tmp_path.name,)


def test_a_damaged_file_is_refused_in_a_line(tmp_path):
    file = tmp_path / FILE_NAME
    file.mkdir()
    for shape in (None, (), (3,), (2, 31)):
        if shape is not None:
            array = np.zeros(shape, np.uint8)
            save_file({"sha256s": array, "perceptual_hashes": array}, file)
        with pytest.raises(ModelError, match="damaged"):
            TrainedOn.load(tmp_path)
        if shape is None:
            file.rmdir()
    file.write_bytes(b"12345678{}")
    with pytest.raises(ModelError, match="damaged"):
        TrainedOn.load(tmp_path)


@pytest.mark.parametrize("strata", [None, np.arange(400) % 2])
def test_seen_images_are_never_tested_on_and_the_rest_fill_the_share(strata):
    sha256s = [index.to_bytes(32, "big") for index in range(400)]
    groups = np.arange(400)
    options = {"fraction": 0.25, "strata": strata}
    test = split(sha256s, groups, seed=1, **options)
    again = split(sha256s, groups, seed=1, seen=~test, **options)
    assert (again == test).all()
    other = split(sha256s, groups, seed=7, seen=~test, **options)
    assert not (other & ~test).any()
    assert other.sum() == pytest.approx(100, abs=12)
    seen = np.arange(400) < 200
    newer = split(sha256s, groups, seed=7, seen=seen, **options)
    assert not newer[seen].any()
    assert newer.sum() == pytest.approx(100, abs=12)


def test_where_all_was_seen_nothing_is_tested_on():
    sha256s = contents(9)
    seen = np.ones(9, dtype=bool)
    assert not split(sha256s, np.arange(9), fraction=0.25, seed=1, seen=seen).any()
