"""File names as features."""

import numpy as np
import pytest

from src.aesthetic.evaluate_labels import evaluate_labels
from src.aesthetic.rated_features import load_rated_features
from src.aesthetic.train import fit_predictor
from src.dataset.keep_delete import labelled_images
from src.errors import ModelError, SettingsError
from src.features import open_extractors
from src.features.file_names import HashedNames, clean, open_file_names
from src.scoring.scored import reopen_extractors, score_folder
from src.settings.aesthetic_training import AestheticTraining
from src.settings.mlp import Mlp
from tests import tiny_models
from tests.conftest import make_images


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("trip/IMG_2041 BeachSunset-final(2).jpg", "img beach sunset final"),
        ("20230401_120102.png", ""),
        ("d41d8cd98f00b204e9800998ecf8427e.jpg", ""),
        ("123E4567-e89b-12d3-a456-426614174000.jpg", ""),
        ("Übersicht_München.v2.PNG", "übersicht münchen v"),
        ("山の写真.jpg", "山の写真"),
        ("cafe.jpg", "cafe"),
    ],
)
def test_clean_names(path, words):
    assert clean(path) == words


def test_hashed_names_by_what_they_share():
    beach, beaches, bill, none = HashedNames().features(
        ["a/beach sunset.jpg", "Beach_Sunset_2.png", "invoice.png", "0001.png"]
    )
    assert beach == pytest.approx(beaches)
    assert np.linalg.norm(beach) == pytest.approx(1) and not none.any()
    near = HashedNames().features(["beach sunrise.jpg"])[0]
    assert beach @ near > 0.4 > abs(beach @ bill)


def test_clip_and_siglip_names(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    for model in ("clip", "siglip"):
        folder = getattr(tiny_models, model)(tmp_path / model)
        words = {"<pad>": 0, "<s>": 1, "</s>": 2, "beach": 3, "sunset": 4, "bill": 5}
        tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>"
        ).save_pretrained(folder)
        names = open_file_names(f"text:{folder}", device="cpu")
        vectors = names.features(["beach.jpg", "bill.jpg", "x/Beach_1.png"])
        assert vectors.shape == (3, 24 if model == "clip" else 32)
        assert vectors[0] == pytest.approx(vectors[2])
        assert not np.allclose(vectors[0], vectors[1])
        (tmp_path / model / "tokenizer.json").write_text("{}", "utf-8")
        with pytest.raises(ModelError, match="text side"):
            open_file_names(f"text:{folder}", device="cpu").load()


def test_models_without_a_text_side_get_hashed_names(tmp_path):
    assert isinstance(
        open_file_names(f"text:{tiny_models.vit(tmp_path)}", device="cpu"), HashedNames
    )


def test_names_alone_are_refused():
    with pytest.raises(SettingsError, match="no image"):
        open_extractors("text:builtin")


def test_the_setting_adds_the_text_side_of_each():
    settings = AestheticTraining(feature_extractor="ViT-B/32+builtin", text_features=True)
    assert settings.extractor_names == "ViT-B/32+builtin+text:ViT-B/32+text:builtin"
    assert AestheticTraining().extractor_names == "ViT-L/14"


def test_names_that_tell_make_the_difference(tmp_path):
    """Images say nothing here, names say all; the model knows both, and so does its folder."""
    for index, path in enumerate(make_images(tmp_path / "all", 60)):
        word, kind = ("invoice", "delete") if index % 2 else ("holiday", "keep")
        (tmp_path / "images" / kind).mkdir(parents=True, exist_ok=True)
        path.rename(tmp_path / "images" / kind / f"{word} {index}.png")
    holder = labelled_images(tmp_path / "images", ["keep"], ["delete"])
    extractors = open_extractors("builtin+text:builtin")
    data = load_rated_features(holder, extractors, binary=True).split(0.25, 42)
    assert data.blocks == (510, 256)
    fitted = fit_predictor(
        data, "logistic", extractors=[e.describe() for e in extractors],
        mlp=Mlp(),
    )  # fmt: skip
    parts = evaluate_labels(data, fitted, 0).metrics["feature_parts"]
    assert parts.pop("text:builtin")["alone"] == 1.0
    assert max(part["alone"] for part in parts.values()) < 0.85

    new = tmp_path / "new"
    for name, path in zip(("invoice x", "holiday y"), make_images(new, 2, seed=9), strict=True):
        path.rename(new / f"{name}.png")
    scored = score_folder(new, fitted.predictor, reopen_extractors(fitted.predictor))
    assert scored.paths == ["holiday y.png", "invoice x.png"]
    assert scored.scores[0] > scored.scores[1]
