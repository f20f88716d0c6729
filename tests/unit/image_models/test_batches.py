"""Batches hold the pixels that the model's own preprocessing gives."""

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from src.errors import DataError
from src.image_models.batches import PixelDataset, collate, fast_pixels, with_margin
from src.images import open_image
from src.images.preprocess import Preprocessing
from tests.conftest import make_image, make_images

SQUARE = Preprocessing((32, 24), None, Image.Resampling.BILINEAR, (0.1,) * 3, (0.0,) * 3)
CROPPED = Preprocessing(40, (32, 32), Image.Resampling.BICUBIC, (0.1,) * 3, (0.0,) * 3)


@pytest.mark.parametrize("preprocessing", [SQUARE, CROPPED])
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_what_the_preprocessing_makes_of_each_image(tmp_path, preprocessing, workers):
    files = make_images(tmp_path, 5, size=(90, 70), suffix=".jpg")
    labels = np.array([3, 1, 4, 1, 5])
    dataset = PixelDataset(
        tmp_path, [file.name for file in files], labels, preprocessing, exact=True
    )
    loader = DataLoader(dataset, batch_size=2, collate_fn=collate, num_workers=workers)
    batches = list(loader)
    pixels = np.concatenate([batch["pixel_values"].numpy() for batch in batches])
    expected = [
        preprocessing.pixels(open_image(file, min_side=preprocessing.min_side)) for file in files
    ]
    np.testing.assert_array_equal(pixels, np.stack(expected))
    found = np.concatenate([batch["labels"].numpy() for batch in batches])
    assert found.tolist() == labels.tolist()


def test_what_was_decoded_once_is_kept_as_far_as_there_is_room(tmp_path):
    files = make_images(tmp_path, 3)
    one = 32 * 24 * 3
    dataset = PixelDataset(
        tmp_path, [file.name for file in files], np.zeros(3), SQUARE, exact=True, keep_bytes=2 * one
    )
    before = [dataset[index] for index in range(3)]  # threads would finish in any order
    for file in files:
        file.unlink()
    for index in range(2):
        after = dataset[index]["pixel_values"]
        np.testing.assert_array_equal(after, before[index]["pixel_values"])
    with pytest.raises(DataError, match=r"002\.png was readable before"):
        dataset[2]


def test_training_images_are_the_same_cut_with_more_pixels():
    assert with_margin(SQUARE, 1.5).resize == (48, 36)
    assert (with_margin(CROPPED, 1.5).resize, with_margin(CROPPED, 1.5).crop) == (60, (48, 48))


@pytest.mark.parametrize("size", [(90, 70), (37, 300), (20, 20)])
@pytest.mark.parametrize("preprocessing", [SQUARE, CROPPED])
def test_the_faster_resize_is_the_same_within_two_grey_levels(size, preprocessing):
    image = make_image(1, size)
    fast, exact = fast_pixels(image, preprocessing), preprocessing.pixels(image)
    assert fast.shape == exact.shape
    assert fast.dtype == np.uint8
    assert np.abs(fast.astype(int) - exact.astype(int)).max() <= 2


def test_a_faster_decode_is_nearly_the_same_picture(tmp_path):
    (file,) = make_images(tmp_path, 1, size=(400, 300), suffix=".jpg")
    pixels = [
        PixelDataset(tmp_path, [file.name], np.zeros(1), CROPPED, exact=exact)[0]["pixel_values"]
        for exact in (True, False)
    ]
    assert np.abs(pixels[0].astype(int) - pixels[1].astype(int)).mean() < 4
