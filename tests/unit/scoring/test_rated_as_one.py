"""Near duplicates for the rating window: which images, and which of them is shown."""

import numpy as np
import pytest
from PIL import Image

from src.dataset.duplicates import DISTANCE, around_the_best
from src.features import compute_features, open_store
from src.images import pixels_of, scan_images
from src.scoring.find_duplicates import rated_as_one


def hashes_apart(*bits):
    """Hashes that differ from the first in so many bits."""
    rows = [[1] * count + [0] * (256 - count) for count in bits]
    return np.packbits(np.array(rows, np.uint8), axis=1)


def test_a_chain_is_cut_where_images_are_no_longer_near_to_the_best():
    step = DISTANCE - 7
    hashes = hashes_apart(0, step, 2 * step, 3 * step, 250)
    chain = np.array([0, 0, 0, 0, 1])
    assert around_the_best(chain, hashes, lambda i: (i == 1, -i)) == [[1, 0, 2]]
    assert around_the_best(chain, hashes, lambda i: (i == 0, -i)) == [[0, 1], [2, 3]]
    assert around_the_best(np.arange(5), hashes, lambda i: (i,)) == []


@pytest.fixture
def photographs(tmp_path):
    """Two photographs, one of them also smaller, and smaller and larger files of that."""
    for name in ("000.png", "001.png"):
        noise = np.random.default_rng(int(name[:3])).integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC).save(tmp_path / name)
    with Image.open(tmp_path / "000.png") as image:
        half = image.resize((160, 120))
    half.save(tmp_path / "half.jpg", quality=95)
    half.save(tmp_path / "rough.jpg", quality=60)
    half.save(tmp_path / "zz.jpg", quality=95)
    return tmp_path


def test_the_most_pixels_then_the_largest_file_stand_for_a_group(photographs):
    files = scan_images(photographs)
    with open_store(photographs) as store:
        assert rated_as_one(photographs, files, store) == []  # nothing is known yet
        compute_features(photographs, files, [], store)
        found = rated_as_one(photographs, files, store)
    assert found == [["000.png", "half.jpg", "zz.jpg", "rough.jpg"]]


def test_pixels_are_those_of_the_header(photographs):
    assert pixels_of(photographs / "half.jpg") == 160 * 120
    (photographs / "broken.png").write_bytes(b"\x89PNG")
    assert pixels_of(photographs / "broken.png") == pixels_of(photographs / "gone.png") == 0
