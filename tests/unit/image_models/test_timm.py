"""Models in timm's own format: their preprocessing, and what is said without timm."""

import importlib.util
import json
from dataclasses import replace

import pytest
from PIL import Image

from src.errors import MissingExtra, ModelError
from src.image_models.model import from_pretrained, load_classifier, with_image_size
from src.image_models.save import read_classes
from src.images.processors import load_preprocessing, timm_processor
from tests.wd_tagger import NAMES, write_tag_list


def write(folder, **described):
    config = {"architecture": "resnet18", "num_classes": 3, "pretrained_cfg": described}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def test_the_shorter_side_then_the_centre(tmp_path):
    write(
        tmp_path,
        input_size=[3, 224, 224],
        crop_pct=0.95,
        interpolation="bicubic",
        mean=[0.5, 0.25, 0.75],
        std=[0.5, 0.25, 0.25],
    )
    found = load_preprocessing(tmp_path)
    assert found.resize == 235  # 224 / 0.95 = 235.8
    assert found.crop == (224, 224)
    assert found.resample == 3
    # (byte / 255 - mean) / std
    assert found.scale == pytest.approx((2 / 255, 4 / 255, 4 / 255), rel=1e-4)
    assert found.offset == pytest.approx((-1, -1, -3), rel=1e-4)


def test_squeezed_then_the_centre(tmp_path):
    write(tmp_path, input_size=[3, 192, 192], crop_pct=0.9, crop_mode="squash")
    found = load_preprocessing(tmp_path)
    assert (found.resize, found.crop) == ((213, 213), (192, 192))


def test_a_published_tagger_pads_to_a_square_and_swaps_channels(tmp_path):
    write_tag_list(tmp_path)
    write(tmp_path, input_size=[3, 448, 448], crop_pct=1.0, mean=[0.5] * 3, std=[0.5] * 3)
    found = load_preprocessing(tmp_path)
    assert (found.resize, found.crop, found.resample) == ((448, 448), None, 3)
    assert found.scale == pytest.approx((2 / 255,) * 3) and found.wd_tagger
    pixels = found.pixels(Image.new("RGB", (448, 224), (10, 20, 30)))
    assert pixels[:100].min() == 255 and pixels[-100:].min() == 255
    assert pixels[224, 5].tolist() == [30, 20, 10]
    assert read_classes(tmp_path) == [*NAMES]
    sized = with_image_size(tmp_path, 96, tmp_path / "new")
    assert load_preprocessing(sized) == replace(found, resize=(96, 96))


def test_taggers_of_other_families_are_refused(tmp_path):
    write_tag_list(tmp_path)
    write(tmp_path, input_size=[3, 448, 448])
    with pytest.raises(ModelError, match="no tagger of the wd family"):
        load_preprocessing(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "hf-hub:somebody/else"},
        {"architecture": "local-dir:/etc"},
        {"model_args": {"checkpoint_path": "/etc/passwd"}},
        {"model_args": {"pretrained": True}},
    ],
)
def test_no_other_weights_than_the_folders_are_loaded(tmp_path, monkeypatch, change):
    monkeypatch.setattr("transformers.utils.import_utils.is_timm_available", lambda: True)
    config = {"architecture": "resnet18", "num_classes": 3, "pretrained_cfg": {}} | change
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="names other weights"):
        from_pretrained(tmp_path, "x")


def test_arguments_that_only_sound_like_places_are_taken(tmp_path, monkeypatch):
    monkeypatch.setattr("transformers.utils.import_utils.is_timm_available", lambda: True)
    args = {"drop_path_rate": 0.1, "pretrained_window_sizes": [0, 0, 0, 0]}
    config = {"architecture": "resnet18", "pretrained_cfg": {}, "model_args": args}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError) as caught:  # since there are no weights
        from_pretrained(tmp_path, "x")
    assert "other weights" not in str(caught.value)


def test_what_we_have_written_goes_before_and_sizes_can_change(tmp_path):
    write(tmp_path, input_size=[3, 64, 64], crop_pct=1.0)
    made = with_image_size(tmp_path, 96, tmp_path / "new")
    ours = (made / "preprocessor_config.json").read_text(encoding="utf-8")
    (tmp_path / "preprocessor_config.json").write_text(ours, encoding="utf-8")
    found = load_preprocessing(tmp_path)
    assert (found.resize, found.crop) == (96, (96, 96))


@pytest.mark.parametrize(
    ("described", "part"),
    [
        ({"crop_mode": "border"}, "crop_mode 'border'"),
        ({"input_size": [3, 192, 256]}, "192 x 256"),
        ({"interpolation": "guess"}, "is damaged"),
        ({"input_size": 5}, "is damaged"),
    ],
)
def test_what_cannot_be_is_told(tmp_path, described, part):
    write(tmp_path, **described)
    with pytest.raises(ModelError, match=part):
        timm_processor(tmp_path)


def test_other_models_are_none_of_timms(tmp_path):
    assert timm_processor(tmp_path) is None
    (tmp_path / "config.json").write_text('{"model_type": "vit"}', encoding="utf-8")
    assert timm_processor(tmp_path) is None


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_without_timm_one_line_says_what_to_install(tmp_path):
    write(tmp_path, input_size=[3, 64, 64])
    with pytest.raises(MissingExtra, match=r"run\.py install timm"):
        load_classifier(tmp_path, ["a", "b"], load_preprocessing(tmp_path), name="x")


def test_the_classes_of_a_saved_model_of_timm(tmp_path):
    config = {"architecture": "resnet18", "label_names": ["cat", "dog"]}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert read_classes(tmp_path) == ["cat", "dog"]
