"""Models of version 0 (commit bc9c4d7): see tests/fixtures/version_0/README.md."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from src.errors import ModelError
from tests.version_0 import EXPECTED, FIXTURES, assert_same, copy_fixtures, run, table

PREDICTIONS = json.loads((EXPECTED / "predictions.json").read_text("utf-8"))
CLASSIFIERS, TAGGERS = ("classifier", "classifier_whole"), ("tagger_asl", "tagger_both")
MAY_BE_REFUSED = {"gp"}  # heads that a later version may drop, if it says so in one line


def load_model(folder):
    from src.aesthetic.predictor import Predictor

    return Predictor.load(folder)


def score(place, *models, besides=(), torch=False, check=True):
    """Score the images of `few`; the table of each model goes into scored/NAME."""
    words = ["score_images", "--top_level_image_directory=few", "--gallery=off"]
    commands = [
        [*words, f"--load_model={model}", f"--output=scored/{Path(model).name}"] for model in models
    ]
    return run(place, *commands, *besides, torch=torch, check=check)


def scored(place, name):
    return table(place / "scored" / name / "scores.csv", "path")


def tagging(place, name, backend):
    """The command that tags a copy of the images with a model."""
    (place / name).mkdir()
    for path in (place / "tagged").glob("*.png"):
        shutil.copy(path, place / name)
    words = ["tag_images", "--whitelist=", f"--tag_backend={backend}", "--device=cpu"]
    words += [f"--top_level_image_directory={name}", f"--load_model=models/{name}"]
    return [*words, f"--tag_probabilities={name}.csv", "--dry_run=False"]


@pytest.fixture
def place(tmp_path):
    return copy_fixtures(tmp_path)


@pytest.fixture(scope="module")
def with_torch(tmp_path_factory):
    """Where models that need torch were used, all in one process."""
    place = copy_fixtures(tmp_path_factory.mktemp("with_torch"))
    (place / "few" / ".features.sqlite").unlink()
    words = ["--top_level_image_directory=categories", "--device=cpu"]
    measure = ["custom_classifier_training", *words, "--mode=evaluate", "--test_pick_seed=7"]
    classify = ["classify_images", *words]
    models = [(name, f"--load_model=models/{name}") for name in CLASSIFIERS]
    commands = [[*classify, model, f"--classify_table={name}.csv"] for name, model in models]
    commands += [[*measure, model] for _, model in models]
    commands += [tagging(place, name, "torch") for name in TAGGERS]
    score(place, "models/ridge", torch=True, besides=commands)
    return place


def is_refusal(name, message):
    """Whether one line names the head and asks for a new training."""
    lines = message.strip().splitlines()
    return len(lines) == 1 and all(word in lines[0] for word in (name, "head", "train"))


@pytest.mark.parametrize("name", PREDICTIONS)
def test_a_model_gives_the_same_scores(name):
    expected = PREDICTIONS[name]
    try:
        model = load_model(FIXTURES / "models" / name)
    except ModelError as error:
        assert name in MAY_BE_REFUSED and is_refusal(name, str(error))
        return
    features = np.array(expected["features"], np.float32)
    scores = model.predict(features)
    assert scores == pytest.approx(np.array(expected["scores"]), abs=1e-5)
    for key, values in (
        ("uncertainty", model.predict_std(features)),
        ("percentile", model.percentile(scores)),
        ("probability", model.probability(scores)),
    ):
        known = expected[key]
        assert (values is None) == (known is None), key
        assert known is None or values == pytest.approx(np.array(known), abs=1e-4), key


def test_images_are_scored_from_kept_features(place):
    """Torch cannot be imported, so the features are those of the old store."""
    names = sorted(PREDICTIONS.keys() - {"light"} | {"builtin"})
    score(place, *(f"models/{name}" for name in names if name not in MAY_BE_REFUSED))
    for name in names:
        if name in MAY_BE_REFUSED:
            done = score(place, f"models/{name}", check=False)
            if done.returncode:
                assert done.returncode == 2 and is_refusal(name, done.stderr)
                continue
        assert_same(scored(place, name), table(EXPECTED / "scores" / f"{name}.csv", "path"), 1e-4)


def test_images_are_scored_from_features_computed_anew(place, with_torch):
    """A light copy and the built-in features do without torch; the others do not."""
    (place / "few" / ".features.sqlite").unlink()
    shutil.rmtree(place / "convnext")
    score(place, "models/light", "models/builtin")
    for folder, name in ((place, "light"), (place, "builtin"), (with_torch, "ridge")):
        assert_same(scored(folder, name), table(EXPECTED / "scores" / f"{name}.csv", "path"), 2e-3)


def test_the_file_for_comfyui_gives_the_models_scores(place):
    score(place, "models/mlp/comfyui.safetensors")
    found = scored(place, "comfyui.safetensors")
    expected = table(EXPECTED / "scores" / "mlp.csv", "path")
    assert list(found) == list(expected)
    for path, row in expected.items():
        assert found[path]["score"] == pytest.approx(row["score"], abs=1e-4)


def test_a_model_is_measured_again_on_the_images_it_was_not_trained_on(place):
    words = ["--top_level_image_directory=images", "--use_score_file=scores.csv"]
    words += ["--mode=evaluate", "--feature_extractor=builtin", "--load_model=models/builtin"]
    run(place, ["aesthetic_predictor_training", *words, "--save_model=again"], torch=False)
    before = table(place / "models" / "builtin" / "predictions.csv", "relative_path")
    after = table(place / "again" / "predictions.csv", "relative_path")
    assert after.keys() == before.keys()
    for path, row in before.items():
        assert after[path]["split"] == row["split"]
        assert after[path]["predicted"] == pytest.approx(row["predicted"], abs=2e-3)


def test_training_goes_on_from_a_model(place):
    words = ["--top_level_image_directory=images", "--use_score_file=scores.csv", "--head=mlp"]
    words += ["--feature_extractor=backbone", "--training_args.num_train_epochs=2"]
    words += ["--aesthetic_model_dropouts=[0.1]", "--aesthetic_model_relu=True"]
    words += ["--load_model=models/mlp", "--save_model=more", "--device=cpu"]
    run(place, ["aesthetic_predictor_training", *words])
    features = np.array(PREDICTIONS["mlp"]["features"], np.float32)
    change = load_model(place / "more").predict(features) - PREDICTIONS["mlp"]["scores"]
    assert 0 < np.abs(change).max() < 0.5  # from scratch it would be anything


def test_classifiers_give_the_same_probabilities(with_torch):
    for name in CLASSIFIERS:
        found = table(with_torch / f"{name}.csv", "path")
        assert_same(found, table(EXPECTED / f"{name}.csv", "path"), 1e-3)


def test_measuring_a_classifier_without_a_record_changes_nothing_and_says_so(with_torch):
    for name in CLASSIFIERS:
        for file in (FIXTURES / "models" / name).iterdir():
            assert (with_torch / "models" / name / file.name).read_bytes() == file.read_bytes()
        results = with_torch / "models" / name / "evaluation-categories"
        images = len(table(results / "predictions.csv", "path"))
        metrics = json.loads((results / "metrics.json").read_text("utf-8"))
        assert metrics["all"]["n"] == images
        assert "does not say" in (results / "report.html").read_text("utf-8")


def test_taggers_give_the_same_tags(place, with_torch):
    run(place, tagging(place, "tagger", "onnx"), torch=False)
    for name, folder in (("tagger", place), *((name, with_torch) for name in TAGGERS)):
        expected = table(EXPECTED / f"{name}.csv", "path")
        assert_same(table(folder / f"{name}.csv", "path"), expected, 2e-3)
        thresholds = json.loads((folder / "models" / name / "thresholds.json").read_text("utf-8"))
        tags = json.loads((EXPECTED / f"{name}_tags.json").read_text("utf-8"))
        for path, row in expected.items():
            # A threshold is some image's own probability: rounding may decide there.
            if min(abs(value - thresholds["global"]) for value in row.values()) > 2e-3:
                written = (folder / name / f"{path}.txt").read_text("utf-8").split()
                assert written == tags[f"{path}.txt"]


def test_a_taggers_list_of_tags_is_read(place):
    words = ["--load_model=models/tagger", "--tag_action=list"]
    listed = run(place, ["tag_images", *words], torch=False).stdout.split()
    rows = table(FIXTURES / "models" / "tagger" / "selected_tags.csv", "name")
    assert listed[2::3] == list(rows)
    assert [float(count) for count in listed[::3]] == [row["count"] for row in rows.values()]
