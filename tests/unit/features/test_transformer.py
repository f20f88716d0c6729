"""Features of transformers models equal what the models' own code gives."""

import json
import logging

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from src.errors import MissingExtra, ModelError, SettingsError
from src.features import open_extractors
from src.features.hub import folder_identity, resolve_model
from src.image_models.backbone import HeadInputs
from src.images.preprocess import Preprocessing
from src.images.processors import load_preprocessing
from tests import tiny_models

MODELS = {
    "clip": tiny_models.clip,
    "siglip": tiny_models.siglip,
    "vit": tiny_models.vit,
    "dinov2": tiny_models.dinov2,
    "convnext": tiny_models.convnext,
}


@pytest.fixture(scope="module", params=MODELS)
def folder(request, tmp_path_factory):
    return MODELS[request.param](tmp_path_factory.mktemp(request.param))


def photo(width=97, height=61, seed=0) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 9, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def reference(folder, image, hidden_states=()) -> np.ndarray:
    """Through transformers' own processor and the whole model."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    pixels = processor(image, return_tensors="pt")["pixel_values"]
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        if hasattr(model, "get_image_features"):
            output = model.get_image_features(pixel_values=pixels)
            pooled = getattr(output, "pooler_output", output)
            states = model.vision_model(pixel_values=pixels, output_hidden_states=True)
        else:
            states = model(pixel_values=pixels, output_hidden_states=True)
            pooled = states.pooler_output
    parts = [pooled.flatten(1)]
    for index in hidden_states:
        state = states.hidden_states[index]
        parts.append(state.mean(1) if state.ndim == 3 else state.mean((2, 3)))
    return torch.cat(parts, 1).numpy()


@pytest.mark.parametrize("hidden_states", [(), (-2, 0)])
def test_features_are_the_models_own(folder, hidden_states):
    (extractor,) = open_extractors(str(folder), device="cpu", hidden_states=hidden_states)
    extractor.load()
    images = [photo(seed=1), photo(61, 97, seed=2)]
    ours = extractor.extract([extractor.prepare(image) for image in images])
    for row, image in zip(ours, images, strict=True):
        theirs = reference(folder, image, hidden_states)[0]
        assert row == pytest.approx(theirs, rel=0.02, abs=0.01 * float(np.abs(theirs).max()))
    assert ours.dtype == np.float32


def test_preprocessing_equals_the_models_processor_on_its_way_through_json(folder):
    preprocessing = load_preprocessing(folder)
    assert Preprocessing.from_json(preprocessing.to_json()) == preprocessing
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    for size in [(32, 32), (50, 300), (640, 481), (20, 33)]:
        image = photo(*size)
        theirs = np.asarray(processor(image, return_tensors="np")["pixel_values"])[0]
        ours = preprocessing.normalise(preprocessing.pixels(image)[None])[0]
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 3 / 255 / 0.2  # three grey levels, at std 0.2 or more


def test_the_identity_follows_the_files_not_the_place(folder, tmp_path):
    import shutil

    before = folder_identity(folder)
    plain, deeper = (open_extractors(str(folder), hidden_states=h)[0] for h in ((), (-2,)))
    assert plain.identity != deeper.identity
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy)
    assert folder_identity(copy) == before
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert folder_identity(copy) != before


def test_a_pooler_without_trained_weights_is_not_used(tmp_path):
    folder = tiny_models.vit(tmp_path / "m", classes=3)  # a classifier has no pooler
    (extractor,) = open_extractors(str(folder), device="cpu")
    extractor.load()
    image = photo()
    first_token = transformers.ViTModel.from_pretrained(folder, add_pooling_layer=False).eval()
    pixels = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")(
        image, return_tensors="pt"
    )["pixel_values"]
    with torch.no_grad():
        expected = first_token(pixel_values=pixels).last_hidden_state[0, 0].numpy()
    assert extractor.extract([extractor.prepare(image)])[0] == pytest.approx(
        expected, rel=0.02, abs=0.02
    )


def test_a_hidden_state_that_is_not_there(tmp_path):
    (extractor,) = open_extractors(str(tiny_models.vit(tmp_path / "m")), hidden_states=(9,))
    extractor.load()
    with pytest.raises(ModelError, match="hidden_states 9"):
        extractor.extract([extractor.prepare(photo())])


def test_unknown_models_are_one_line_that_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"could not be fetched.* set feature_extractor to"):
        open_extractors("ViT-L/14")
    with pytest.raises(ModelError) as caught:  # a classifier has no such setting
        resolve_model("google/vit-base-patch16-224")
    assert "feature_extractor" not in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"config\.json"):
        open_extractors(str(tmp_path / "empty"))
    with pytest.raises(ModelError, match="no model folder"):
        open_extractors("../not/there at all")
    with pytest.raises(SettingsError, match="name is missing"):
        open_extractors("builtin+")


@pytest.mark.parametrize(
    ("file", "content"),
    [("model.safetensors", "damaged"), ("model.safetensors", None), ("config.json", "[" * 10**5),
     ("config.json", {"hidden_dropout_prob": {}}), ("preprocessor_config.json", None),
     ("preprocessor_config.json", {"image_mean": [1e308] * 3})],
)  # fmt: skip
def test_a_damaged_model_is_a_clear_error(tmp_path, caplog, file, content):
    damaged = tiny_models.vit(tmp_path / "m") / file
    if isinstance(content, dict):
        content = json.dumps(json.loads(damaged.read_text()) | content)
    damaged.unlink()
    damaged.write_text(content) if content else damaged.mkdir()
    with caplog.at_level(logging.CRITICAL), pytest.raises(ModelError) as caught:
        open_extractors(str(tmp_path / "m"))[0].load()
    assert "\n" not in str(caught.value)


def test_the_clip_package_is_named_where_it_is_missing():
    pytest.importorskip("src.features.openai_clip")
    try:
        import clip  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtra, match="install clip"):
            open_extractors("clip:ViT-B/32")


def test_real_mobilenet_sees_what_is_in_the_picture(real_assets):
    """The photograph most like a dog shows a dog, and the one most like a lake a lake."""
    import csv

    with (real_assets / "rated-photos" / "scores.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["theme"] in {"Lake", "Dog"}][::2]
    (extractor,) = open_extractors(str(real_assets / "backbones" / "mobilenet_v2"), device="cpu")
    extractor.load()
    prepared = []
    for row in rows:
        with Image.open(real_assets / "rated-photos" / row["relative_path"]) as image:
            prepared.append(extractor.prepare(image.convert("RGB")))
    vectors = extractor.extract(prepared)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -1)
    themes = np.array([row["theme"] for row in rows])
    assert (themes[likeness.argmax(axis=1)] == themes).mean() > 0.9


@pytest.mark.parametrize("config", ["config.json", "preprocessor_config.json"])
def test_code_in_a_model_folder_is_never_run(tmp_path, monkeypatch, config):
    folder = tiny_models.vit(tmp_path / "model")
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'was run')!r}, 'w')\nEvil = object\n")
    kinds = ("AutoConfig", "AutoModel", "AutoImageProcessor")
    content = json.loads((folder / config).read_text()) | {
        "auto_map": dict.fromkeys(kinds, "evil.Evil"), "model_type": "evil",
        "image_processor_type": "Evil",
    }  # fmt: skip
    (folder / config).write_text(json.dumps(content))
    monkeypatch.setattr("builtins.input", lambda *question: "y")
    for extractor in (open_extractors(str(folder), device="cpu")[0], HeadInputs(str(folder))):
        with pytest.raises(ModelError):
            extractor.load()
    assert not (tmp_path / "was run").exists()
