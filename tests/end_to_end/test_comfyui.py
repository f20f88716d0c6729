"""Photographs scored by ComfyUI's nodes, and by the code on a model's card, as we score them."""

import csv

import numpy as np
import pytest
from PIL import Image

from src.aesthetic.predictor import Predictor
from src.features import open_store
from src.images import scan_images
from tests import tiny_models
from tests.comfyui_nodes import comfyui_scores
from tests.model_cards import outputs
from tests.scripts import run_script

MLP = ["--head=mlp", "--aesthetic_model_relu=True", "--aesthetic_model_standardise=True"]
MLP += ["--training_args.learning_rate=0.001", "--training_args.num_train_epochs=10"]


@pytest.fixture(scope="module")
def place(real_assets, tmp_path_factory):
    """64 photographs with their ratings, and a small CLIP."""
    place = tmp_path_factory.mktemp("comfyui")
    (place / "photos").mkdir()
    with (real_assets / "rated-photos" / "scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:320:5]
    lines = ["relative_path,score"]
    for number, row in enumerate(rows):
        with Image.open(real_assets / "rated-photos" / row["relative_path"]) as photo:
            photo.resize((96, 80)).save(place / "photos" / f"{number:02d}.png")
        lines.append(f"{number:02d}.png,{row['score']}")
    (place / "photos" / "scores.csv").write_text("\n".join(lines), encoding="utf-8")
    tiny_models.clip(place / "clip")
    return place


def features(place):
    """Of the photographs in order, as the model was given them."""
    (extractor,) = Predictor.load(place / "model").extractors
    with open_store(place / "photos") as store:
        known = store.known_files(scan_images(place / "photos"))
        return store.vectors(extractor["identity"], [known[path] for path in sorted(known)])


@pytest.mark.parametrize(
    "words", [[], ["--head=ridge"], MLP, [*MLP, "--mlp_members=3"]], ids=" ".join
)
def test_the_nodes_score_photographs_as_we_do(place, words):
    common = ["--top_level_image_directory=photos", "--device=cpu"]
    few = ["--evaluation_args.report_images=0", "--evaluation_args.bootstrap_samples=50"]
    settings = [*common, *few, "--feature_extractor=clip", "--save_model=model", *words]
    run_script("aesthetic_predictor_training", *settings, cwd=place, check=True)
    score = [*common, "--load_model=model", "--gallery=off", "--output=table"]
    run_script("score_images", *score, cwd=place, check=True)
    with (place / "table" / "scores.csv").open(encoding="utf-8") as file:
        ours = {row["path"]: float(row["score"]) for row in csv.DictReader(file)}
    scores = np.array([ours[path] for path in sorted(ours)])
    assert len(scores) == 64 and scores.std() > 0.5
    for name, layers in (("comfyui", "main_process"), ("comfyui_stock", "layers")):
        found = comfyui_scores(place / "model" / f"{name}.safetensors", features(place), layers)
        assert found == pytest.approx(scores, abs=1e-5), name

    assert "They give the same scores." in (place / "model" / "README.md").read_text("utf-8")
    (printed,) = outputs(place / "model", place / "photos" / "07.png")
    assert float(printed) == pytest.approx(ours["07.png"], abs=0.05)  # float32 there
