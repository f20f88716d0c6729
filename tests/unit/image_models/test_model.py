"""Heads of the right size on any architecture; what is known by name is kept."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from src.errors import ModelError
from src.features import compute_features, open_store
from src.image_models.backbone import HeadInputs, open_classifier
from src.image_models.head import softmax
from src.image_models.model import find_head, input_size, load_classifier
from src.image_models.save import MODEL_FILES, check_target, read_classes, save_classifier
from src.images import scan_images
from src.images.processors import load_preprocessing
from tests import tiny_models
from tests.conftest import make_images

ARCHITECTURES = [tiny_models.vit, tiny_models.convnext, tiny_models.efficientnet]


def load(folder, classes):
    return load_classifier(folder, classes, load_preprocessing(folder), name="tiny")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("classes", [["a", "b"], list("abcdefgh")])
def test_a_new_head_has_the_right_size_and_the_rest_of_the_model_is_kept(
    tmp_path, architecture, classes
):
    folder = architecture(tmp_path, 5)
    model, head_name = load(folder, classes)
    assert model.get_submodule(head_name).out_features == len(classes)
    assert [model.config.id2label[i] for i in range(len(classes))] == classes
    assert model.config.label2id == {name: index for index, name in enumerate(classes)}
    state = model.state_dict()
    kept = transformers.AutoModelForImageClassification.from_pretrained(folder).state_dict()
    for key, value in kept.items():
        if not key.startswith(head_name):
            torch.testing.assert_close(state[key], value)
    assert len(kept) > 5


def test_classes_of_an_own_model_keep_their_weights_by_name(tmp_path):
    folder = tiny_models.vit(tmp_path / "base", 3)
    model, head_name = load(folder, ["cat", "dog", "emu"])
    torch.nn.init.normal_(model.get_submodule(head_name).weight)
    save_classifier(tmp_path / "own", model, ["cat", "dog", "emu"], folder, head_name)
    again, _ = load(tmp_path / "own", ["emu", "fox", "cat", "gnu"])
    old, new = model.get_submodule(head_name), again.get_submodule(head_name)
    torch.testing.assert_close(new.weight[0], old.weight[2])
    torch.testing.assert_close(new.weight[2], old.weight[0])
    torch.testing.assert_close(new.bias[2], old.bias[0])
    assert not new.weight[[1, 3]].any()  # what is new starts from zero


def test_the_head_is_found_among_layers_of_the_same_size(tmp_path):
    folder = tiny_models.vit(tmp_path, 32)  # as many classes as the layers inside have outputs
    model = transformers.AutoModelForImageClassification.from_pretrained(folder)
    assert find_head(model, load_preprocessing(folder), "tiny") == "classifier"


def test_a_model_without_one_linear_head_is_refused(tmp_path):
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.DeiTConfig(
        **sizes, intermediate_size=32, image_size=32, patch_size=8, num_labels=7
    )
    model = transformers.DeiTForImageClassificationWithTeacher(config)
    preprocessing = load_preprocessing(tiny_models.vit(tmp_path))
    with pytest.raises(ModelError, match="does not end in one linear layer"):
        find_head(model, preprocessing, "two heads")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_saved_model_gives_in_a_plain_pipeline_what_we_say(tmp_path, architecture):
    folder = architecture(tmp_path / "base", 4)
    classes = ["α", "b c", "d"]
    model, head_name = load(folder, classes)
    torch.nn.init.normal_(model.get_submodule(head_name).weight)
    save_classifier(tmp_path / "saved", model, classes, folder, head_name)
    assert sorted(file.name for file in (tmp_path / "saved").iterdir()) == sorted(MODEL_FILES)
    assert read_classes(tmp_path / "saved") == classes
    files = make_images(tmp_path / "images", 3, size=(50, 40))
    saved, images = open_classifier(str(tmp_path / "saved"), device="cpu"), tmp_path / "images"
    with open_store(images) as store:
        vectors = compute_features(images, scan_images(images), [saved.backbone], store).vectors
    pipeline = transformers.pipeline("image-classification", model=str(tmp_path / "saved"))
    for file, ours in zip(files, softmax(saved.head.logits(vectors)), strict=True):
        theirs = {found["label"]: found["score"] for found in pipeline(str(file), top_k=3)}
        np.testing.assert_allclose(ours, [theirs[name] for name in classes], atol=5e-4)


def test_a_large_batch_gives_each_image_what_it_gives_alone(tmp_path):
    backbone = HeadInputs(str(tiny_models.convnext(tmp_path, 4)), device="cpu")
    backbone.load()
    height, width = input_size(backbone.preprocessing)
    images = list(np.random.default_rng(0).integers(0, 256, (9, height, width, 3), np.uint8))
    alone = np.concatenate([backbone.extract([image]) for image in images])
    np.testing.assert_allclose(backbone.extract(images), alone, atol=1e-5)


def test_an_untouched_backbone_shares_its_features_until_its_weights_change(tmp_path):
    folder = tiny_models.convnext(tmp_path / "base", 4)
    base = HeadInputs(str(folder), device="cpu")
    model, head_name = load(folder, ["a", "b"])
    saved = tmp_path / "saved"
    save_classifier(saved, model, ["a", "b"], folder, head_name, features=base.features)
    assert HeadInputs(str(saved), device="cpu").identity == base.identity
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    model.save_pretrained(saved)  # by another tool, which keeps what it finds in config.json
    config = json.loads((saved / "config.json").read_text(encoding="utf-8"))
    config["image_taste"] = {"features": base.features, "head": head_name, "weights": "of before"}
    (saved / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert HeadInputs(str(saved), device="cpu").identity != base.identity


def test_a_model_of_another_kind_is_not_overwritten(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"an aesthetic head")
    with pytest.raises(ModelError, match="another folder"):
        check_target(tmp_path)


def test_files_that_contradict_each_other_are_noticed(tmp_path):
    folder = tiny_models.vit(tmp_path / "base", 2)
    model, head_name = load(folder, ["a", "b"])
    save_classifier(tmp_path / "saved", model, ["a", "b"], folder, head_name)
    (tmp_path / "saved" / "categories.json").write_text('{"categories": ["b", "a"]}', "utf-8")
    with pytest.raises(ModelError, match="different categories"):
        open_classifier(str(tmp_path / "saved"))


@pytest.mark.parametrize("moved", range(7))
def test_what_a_kill_leaves_of_saving_is_the_old_model_or_the_new(tmp_path, monkeypatch, moved):
    folder, base = tmp_path / "saved", tiny_models.vit(tmp_path / "base", 2)

    def save(classes):
        model, head_name = load(base, classes)
        save_classifier(folder, model, classes, base, head_name, also=lambda to: tags(to, classes))

    def tags(to, classes):
        (to / "selected_tags.csv").write_text("name\n" + "\n".join(classes), encoding="utf-8")

    save(["a", "b"])
    (folder / "metrics.json").write_text("{}")
    moves = iter(range(9))

    def die(method):
        def instead(*arguments):
            if next(moves) == moved:
                raise KeyboardInterrupt
            return method(*arguments)

        return instead

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", die(Path.rename))
        patch.setattr(Path, "replace", die(Path.replace))
        with contextlib.suppress(KeyboardInterrupt):
            save(["c", "d", "e"])
    found = read_classes(folder)
    assert found == (["c", "d", "e"] if moved else ["a", "b"])
    assert list(open_classifier(str(folder)).classes) == found
    assert (folder / "selected_tags.csv").read_text("utf-8").split()[1:] == found
    assert (folder / "metrics.json").is_file() is (not moved)
    assert not list(folder.glob(".new*"))
