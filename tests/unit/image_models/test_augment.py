"""Variations of a batch: nothing changes where nothing may; labels are shared as pixels are."""

import numpy as np
import pytest
import torch

from src.image_models import augment as augment_module
from src.image_models.augment import augment, blend
from src.settings.classifier import Augmenting
from tests.training import PLAIN_IMAGES

OFF = Augmenting(**PLAIN_IMAGES)


def only(**how):
    return Augmenting(**PLAIN_IMAGES | how)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def batch(n=4, height=32, width=32):
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (n, 3, height, width), dtype=np.uint8))


def test_with_everything_off_images_stay_as_they_are():
    pixels = batch(9)
    torch.testing.assert_close(augment(pixels, (32, 32), OFF), pixels.float(), atol=0.01, rtol=0)


def test_mirrored_images_are_exactly_mirrored_and_about_half_are():
    pixels = batch(64)
    varied = augment(pixels, (32, 32), only(augment_flip=True))
    same = (varied - pixels).abs().amax(dim=(1, 2, 3)) < 0.05
    mirrored = (varied - pixels.flip(3)).abs().amax(dim=(1, 2, 3)) < 0.05
    assert (same | mirrored).all()
    assert 16 < mirrored.sum() < 48


def test_a_turn_is_a_turn_of_the_picture_also_where_it_is_not_square(monkeypatch):
    # A quarter turn of a wide image: its middle column becomes the middle row.
    pixels = torch.zeros(1, 3, 20, 40)
    pixels[:, :, :, 19:21] = 255
    monkeypatch.setattr(torch, "rand", lambda *size: torch.ones(size) * 0.999999)
    turned = augment(pixels, (20, 40), only(augment_rotation=90.0))
    assert turned[0, 0, 9:11, 12:28].min() > 200
    assert turned[0, 0, :7, :].max() < 50


def test_parts_are_cut_out_of_the_image_and_are_as_large_as_asked():
    # Each pixel tells its own place, so the cut can be read off its corners.
    height, width = 60, 60
    rows = torch.arange(height).float()[:, None].expand(height, width)
    columns = torch.arange(width).float().expand(height, width)
    pixels = torch.stack([rows, columns, columns]).expand(200, 3, height, width)
    cut = augment(pixels, (30, 30), only(augment_crop=0.25))
    tall = (cut[:, 0, -1, 0] - cut[:, 0, 0, 0]) * 30 / 29 / height
    wide = (cut[:, 1, 0, -1] - cut[:, 1, 0, 0]) * 30 / 29 / width
    areas = tall * wide
    assert areas.min() > 0.22
    assert areas.max() > 0.8
    assert 0.7 < (wide / tall).min() < (wide / tall).max() < 1.4
    assert cut.min() >= 0
    assert cut.max() <= 59


def test_colours_change_within_the_limit_and_stay_colours():
    pixels = torch.full((200, 3, 8, 8), 100.0)
    varied = augment(pixels, (8, 8), only(augment_colour=0.3))
    assert 69.9 <= varied.min() < 80
    assert 120 < varied.max() <= 130.1
    assert augment(batch(), (32, 32), Augmenting(augment_colour=0.9)).max() <= 255


def test_cutout_blanks_a_square_of_the_right_size():
    pixels = batch(300, 40, 40)
    varied = augment(pixels, (40, 40), only(augment_cutout=0.5))
    blanked = ((varied - pixels).abs().amax(dim=1) > 1).sum(dim=(1, 2))
    assert blanked.max() <= 20 * 20 + 41
    assert blanked.max() > 0.9 * 20 * 20
    assert blanked.min() >= 0.9 * 10 * 10  # a centre in the corner leaves a quarter


def test_mixup_blends_pixels_and_labels_in_the_same_share():
    pixels = torch.zeros(2, 3, 4, 4)
    pixels[1] = 100
    for _ in range(10):
        mixed, shares = blend(pixels, torch.tensor([0, 2]), 3, Augmenting(augment_mixup=0.5))
        torch.testing.assert_close(mixed[:, 0, 0, 0] / 100, shares[:, 2])
        torch.testing.assert_close(shares.sum(dim=1), torch.ones(2))
        assert (shares[:, 1] == 0).all()


def test_cutmix_shares_are_those_of_the_pasted_area():
    pixels = torch.zeros(2, 3, 16, 16)
    pixels[1] = 1
    for _ in range(20):
        mixed, shares = blend(pixels, torch.tensor([0, 1]), 2, Augmenting(augment_cutmix=1.0))
        torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), shares[:, 1])
        assert set(mixed.unique().tolist()) <= {0.0, 1.0}


def test_several_tags_an_image_are_blended_tag_by_tag():
    tags = torch.tensor([[1, 0, 1], [0, 0, 1]])
    pixels = torch.stack([torch.zeros(3, 4, 4), torch.ones(3, 4, 4)])
    mixed, shares = blend(pixels, tags, 3, Augmenting(augment_mixup=0.5))
    torch.testing.assert_close(shares[:, 2], torch.ones(2))  # both have it
    torch.testing.assert_close(shares[:, 0], 1 - mixed[:, 0, 0, 0])


def test_the_parts_a_batch_is_varied_in_do_not_show(monkeypatch):
    pixels = torch.randint(0, 256, (7, 3, 20, 24), dtype=torch.uint8)
    results = []
    for part in (1, 4, 7):
        monkeypatch.setattr(augment_module, "_CPU_BATCH", part)
        torch.manual_seed(3)
        results.append(augment(pixels, (16, 16), Augmenting(augment_cutout=0.3)))
    assert torch.allclose(results[0], results[1], atol=1e-3)
    assert torch.allclose(results[0], results[2], atol=1e-3)
