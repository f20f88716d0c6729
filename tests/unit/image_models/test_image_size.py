"""Models and their preprocessing at another image size than their own."""

import json

import numpy as np
import pytest
import torch
import transformers

from src.errors import ModelError
from src.image_models.model import resize_model, with_image_size
from src.image_models.train import train
from src.images.preprocess import Preprocessing
from src.tagging.target import Tags
from tests import tiny_models
from tests.conftest import make_images
from tests.training import training

SMALL = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}


def square(side):
    return Preprocessing((side, side), None, 3, (1 / 255,) * 3, (0.0,) * 3)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"size": {"shortest_edge": 224}}, {"size": {"shortest_edge": 320}}),
        ({"size": {"height": 224, "width": 224}}, {"size": {"height": 320, "width": 320}}),
        (
            {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}},
            {"size": {"shortest_edge": 366}, "crop_size": {"height": 320, "width": 320}},
        ),
        ({"size": 224, "do_resize": True}, {"size": 320, "do_resize": True}),
    ],
)
def test_another_image_size(tmp_path, before, after):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(before))
    made = with_image_size(tmp_path, 320, tmp_path / "new")
    assert json.loads((made / "preprocessor_config.json").read_text()) == after


def test_a_preprocessing_without_a_size(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(ModelError, match="names no image size"):
        with_image_size(tmp_path, 320, tmp_path / "new")


@pytest.mark.parametrize("side", [48, 16])
def test_a_vision_transformer_at_another_size_is_what_transformers_interpolates(side, tmp_path):
    torch.manual_seed(0)
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**SMALL, num_labels=3))
    pixels = torch.rand(2, 3, side, side)
    with torch.inference_mode():
        expected = model.eval()(pixel_values=pixels, interpolate_pos_encoding=True).logits
        resized = resize_model(model, square(side), "x")
        torch.testing.assert_close(resized(pixel_values=pixels).logits, expected)
        resized.save_pretrained(tmp_path)
        again = transformers.ViTForImageClassification.from_pretrained(tmp_path)
        torch.testing.assert_close(again(pixel_values=pixels).logits, expected)
    assert again.config.image_size == side


def test_two_class_tokens_stay_as_they_are():
    config = transformers.DeiTConfig(**SMALL, num_labels=3)
    model = transformers.DeiTForImageClassification(config)
    resized = resize_model(model, square(64), "x")
    before, after = (m.deit.embeddings.position_embeddings for m in (model, resized))
    assert after.shape == (1, 2 + 64, 16)
    torch.testing.assert_close(after[:, :2], before[:, :2])


@pytest.mark.parametrize(
    "config",
    [
        transformers.ConvNextConfig(depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 8, 8]),
        transformers.Swinv2Config(
            image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4
        ),
        transformers.Dinov2Config(**SMALL),
    ],
    ids=lambda config: config.model_type,
)
def test_models_that_take_any_size_stay_as_they_are(config):
    model = transformers.AutoModelForImageClassification.from_config(config)
    assert resize_model(model, square(48), "x") is model


def test_sizes_that_cannot_be():
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**SMALL))
    with pytest.raises(ModelError, match="whole patches of 8 pixels, not 36 x 36"):
        resize_model(model, square(36), "x")
    vision = transformers.CLIPVisionConfig(**SMALL)
    config = transformers.CLIPConfig(vision_config=vision.to_dict())
    model = transformers.CLIPForImageClassification(config)
    with pytest.raises(ModelError, match="can only be trained at its own image size"):
        resize_model(model, square(48), "x")


def test_a_vision_transformer_grows_while_it_trains(tmp_path):
    images = tmp_path / "images"
    for index, path in enumerate(make_images(images, 24)):
        path.with_name(f"{path.name}.txt").write_text("ab"[index % 2])
    settings = training(
        top_level_image_directory=images,
        base_model=tiny_models.vit(tmp_path / "base", 2),
        save_model=tmp_path / "model",
        fraction_for_validation=0.25,
        test_pick_seed=1,
        train_backbone=True,
        image_sizes=(32, 48),
        ema_decay=0.5,
        training_args={"num_train_epochs": 1, "per_device_train_batch_size": 8, "report_to": []},
    )
    predictions = train(settings, Tags(settings))
    assert predictions is not None
    assert np.isfinite(predictions.probabilities).all()
    saved = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "model")
    assert saved.config.image_size == 48
    processor = json.loads(((tmp_path / "model") / "preprocessor_config.json").read_text("utf-8"))
    assert processor["size"] == {"height": 48, "width": 48}
