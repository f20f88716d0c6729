"""Training taggers as a user does it: what is said and saved, several models, round after round."""

import csv
import json
import re
import shutil
import sys
from hashlib import sha256

import pytest
from PIL import Image
from safetensors.numpy import load_file

from src.image_models.save import MODEL_FILES, RESULT_FILES
from tests import tiny_models
from tests.tagging import COLOURS, run, train
from tests.torchrun import torchrun


def test_what_training_says_and_writes(trained_tagger):
    base, done = trained_tagger
    model = base / "model"
    others = {"model.onnx", "selected_tags.csv", "tags.csv", "thresholds.json", "README.md"}
    files = {path.name for path in model.iterdir()}
    assert files == {*MODEL_FILES, *RESULT_FILES, *others} - {
        "predictions.csv",
        "confusion_matrix.csv",
    }
    assert re.search(r"epoch 40: .*validation loss .*TP \d+ FP \d+ FN \d+ TN \d+", done.stderr)
    assert f"Model: {model}" in done.stdout
    assert "python run.py tag_images" in done.stdout
    assert not (base / "model.checkpoints").exists()
    metrics = json.loads((model / "metrics.json").read_text("utf-8"))
    assert metrics["thresholds_chosen_on"] == "validation"
    assert metrics["reported_on"] == "test"
    assert metrics["slices"][0]["map_macro"] > 0.8  # stripes of colour are easy
    assert sum(metrics["images"].values()) == 93
    with (model / "tags.csv").open(newline="", encoding="utf-8") as stream:
        assert {row["tag"] for row in csv.DictReader(stream)} == set(COLOURS)


def test_the_saved_folder_is_a_plain_transformers_model(trained_tagger):
    import transformers

    base, _ = trained_tagger
    model = transformers.AutoModelForImageClassification.from_pretrained(base / "model")
    tags = (base / "model" / "selected_tags.csv").read_text("utf-8").splitlines()[1:]
    assert [model.config.id2label[i] for i in range(3)] == [row.split(",")[1] for row in tags]
    assert model.config.problem_type == "multi_label_classification"


def test_measuring_several_models_together(trained_tagger, tmp_path):
    base, _ = trained_tagger
    other = tmp_path / "other"
    shutil.copytree(base / "model", other)
    models = f"--load_model={base / 'model'}+{other}"
    done = train(base / "images", tmp_path / "both", "--mode=evaluate", models)
    assert "all tags, ensemble" in done.stdout
    figures = json.loads((tmp_path / "both" / "metrics.json").read_text("utf-8"))
    alone = json.loads((base / "model" / "metrics.json").read_text("utf-8"))
    # The mean of a model and its copy is the model; what neither has seen is the test.
    assert figures["slices"][0]["f1_micro"] == pytest.approx(alone["slices"][0]["f1_micro"])
    assert {row["model"] for row in figures["models"]} == {"ensemble", "model", "other"}
    folder = tmp_path / "images"
    folder.mkdir()
    shutil.copy(base / "images" / "005.png", folder)
    words = [f"--load_model={tmp_path / 'both'}", f"--top_level_image_directory={folder}"]
    run("tag_images", *words, "--dry_run=False")
    assert (folder / "005.png.txt").is_file()


def read(folder):
    return json.loads((folder / "metrics.json").read_text("utf-8"))


def hidden(model, images):
    """Images that a model has not seen."""
    known = {row.tobytes() for row in load_file(model / "trained_on.safetensors")["sha256s"]}
    files = [file for file in images.rglob("*.png")]
    return {file for file in files if sha256(file.read_bytes()).digest() not in known}


@pytest.mark.timeout(600)
def test_no_round_of_the_loop_tests_on_what_was_trained_on(trained_tagger, tmp_path):
    base, _ = trained_tagger
    model = shutil.copytree(base / "model", tmp_path / "model")
    before = {file.name: file.read_bytes() for file in model.iterdir()}
    first = read(model)
    assert first["test"]["n"] == len(hidden(model, base / "images")) > 10

    other = tmp_path / "other"  # the same pictures under other names, half of them encoded anew
    other.mkdir()
    for number, file in enumerate(sorted((base / "images").glob("*.png"))):
        target = other / f"{number}{('.png', '.jpg')[number % 2]}"
        if number % 2:
            Image.open(file).resize((96, 80), Image.Resampling.BICUBIC).save(target, quality=92)
        else:
            shutil.copy(file, target)
        shutil.copy(f"{file}.txt", f"{target}.txt")

    evaluating = ["--mode=evaluate", f"--load_model={model}", "--test_pick_seed=7"]
    for images, saved, results in (
        (base / "images", tmp_path / "again", tmp_path / "again"),
        (other, model, model / "evaluation-other"),
        (base / "images", model, model / "evaluation-images"),
    ):
        train(images, saved, *evaluating)
        found = read(results)
        assert (found["task"], found["test"]["n"]) == ("tags", first["test"]["n"])
        assert found["test"]["threshold"] == first["test"]["threshold"]
        if images != other:
            for name in ("micro_f1", "macro_f1", "map", "precision", "recall"):
                assert found["test"][name] == pytest.approx(first["test"][name], abs=1e-5)
        assert {
            file.name: file.read_bytes() for file in model.iterdir() if file.is_file()
        } == before

    second, third = tmp_path / "second", tmp_path / "third"
    few = "--tag_head_epochs=3"
    train(base / "images", second, few, f"--load_model={model}", "--test_pick_seed=7")
    train(base / "images", third, few, f"--base_model={second}", "--fraction_for_test=0.1")
    ages = [hidden(each, base / "images") for each in (third, second, model)]
    assert ages[0] < ages[1] <= ages[2]
    assert read(second)["test"]["n"] == len(ages[1]) > 0
    assert read(third)["test"]["n"] == len(ages[0]) > 0


@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform == "win32", reason="torchrun wants POSIX here")
def test_the_whole_model_with_two_processes(trained_tagger, tmp_path):
    base, _ = trained_tagger
    backbone = tiny_models.convnext(tmp_path / "backbone")
    done = torchrun(
        "custom_classifier_training.py",
        "--label_source=tags",
        "--train_backbone=True",
        f"--top_level_image_directory={base / 'images'}",
        f"--base_model={backbone}",
        f"--save_model={tmp_path / 'model'}",
        "--training_args.num_train_epochs=2",
        "--training_args.per_device_train_batch_size=8",
        "--image_sizes=[32, 40]",
        "--augment_mixup=0.2",
        "--ema_decay=0.5",
        "--tag_loss=asl",
        "--device=cpu",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Model: ") == 1  # one process tells
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text("utf-8"))
    assert metrics["provenance"]["trained"] == "the whole model"
    processor = json.loads((tmp_path / "model" / "preprocessor_config.json").read_text("utf-8"))
    assert processor["size"] == {"shortest_edge": 40}


@pytest.mark.browser
def test_the_report_sorts_and_filters(trained_tagger, browser):
    base, _ = trained_tagger
    browser.get((base / "model" / "report.html").as_uri())

    def names():
        cells = browser.find_elements("css selector", "#tags tbody td:first-child")
        return [cell.text for cell in cells]

    browser.find_element("css selector", "#tags th[data-key=tag]").click()
    assert names() == ["blue", "green", "red"]
    browser.find_element("css selector", "#tags th[data-key=tag]").click()
    assert names() == ["red", "green", "blue"]
    browser.find_element("id", "filter").send_keys("e")
    assert sorted(names()) == ["blue", "green", "red"]
    browser.find_element("id", "filter").send_keys("d")
    assert names() == ["red"]
    assert browser.find_elements("css selector", "#tags tbody img")
    assert (
        browser.find_element("link text", "look at them").get_attribute("href").startswith("file")
    )
