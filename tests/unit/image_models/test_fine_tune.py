"""The trainer beside transformers' own: loss scaling, averaging, measuring, arguments."""

import signal

import numpy as np
import pytest
import torch
from PIL import Image

from src.classifier.target import balanced_weights, objective
from src.dataset.labelled import LabelledImages
from src.errors import ModelError, SettingsError
from src.image_models.fine_tune import fine_tune, training_arguments
from src.image_models.model import load_classifier
from src.image_models.trainer import KeepOnInterrupt, running_average
from src.images import ImageFile
from src.images.processors import load_preprocessing
from tests import tiny_models
from tests.conftest import make_images
from tests.training import PLAIN_IMAGES, training

PLAIN = {"learning_rate": 0.05, "optim": "sgd", "lr_scheduler_type": "constant", "use_cpu": True}
EIGHT = PLAIN | {"per_device_train_batch_size": 8}


def logits_of(values):
    return {"logits": torch.tensor(values, requires_grad=True)}


def test_the_loss_by_hand_with_weights_smoothing_and_a_count_of_labels():
    logits, labels = [[1.0, 0.0], [0.5, 2.0]], torch.tensor([0, 0])
    log_shares = torch.log_softmax(torch.tensor(logits), dim=1)
    weights = np.array([2.0, 0.5], np.float32)
    loss = objective(weights, 0.2).loss(logits_of(logits), labels, num_items_in_batch=8)
    # 0.9 of each label on its own class and 0.1 on the other, times the classes' weights.
    expected = -(0.9 * 2.0 * log_shares[:, 0] + 0.1 * 0.5 * log_shares[:, 1]).sum() / 8
    torch.testing.assert_close(loss, expected)


def test_shares_as_labels_give_the_same_loss_as_the_labels_they_stand_for():
    logits, labels = [[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]], torch.tensor([2, 1])
    loss = objective(np.array([1.0, 2.0, 3.0], np.float32), 0.1).loss
    shares = torch.nn.functional.one_hot(labels, 3).float()
    torch.testing.assert_close(loss(logits_of(logits), labels), loss(logits_of(logits), shares))


def test_balanced_weights_make_every_class_weigh_the_same():
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 3])
    weights = balanced_weights(labels, 4)
    totals = np.bincount(labels, weights[labels], 4)
    assert totals[[0, 1, 3]].tolist() == pytest.approx([3.0, 3.0, 3.0])
    assert weights[labels].mean() == pytest.approx(1.0)
    assert weights[2] == 1.0


def labelled(folder, paths, labels):
    files = tuple(ImageFile(path, 0, 0) for path in paths)
    return LabelledImages(folder, files, labels, ("a", "b", "c"))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    files = make_images(folder, 24, size=(40, 40))
    return labelled(folder, [file.name for file in files], np.arange(24) % 3)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_models.vit(tmp_path_factory.mktemp("model"), 3)


def tuned(base, images, tmp_path, validation=None, balanced=False, **options):
    torch.manual_seed(0)
    preprocessing = load_preprocessing(base)
    model, _ = load_classifier(base, ["a", "b", "c"], preprocessing, name="tiny")
    weights = balanced_weights(images.labels, 3) if balanced else None
    result = fine_tune(
        model,
        preprocessing,
        images,
        validation,
        objective(weights),
        training(**(PLAIN_IMAGES | {"eval_every_n_epochs": 0} | options)),
        tmp_path / "checkpoints",
    )
    return model, result


def differences(one, other):
    return max(
        (a - b).abs().max().item()
        for a, b in zip(one.parameters(), other.parameters(), strict=True)
    )


def test_accumulated_gradients_are_those_of_one_large_batch(base, images, tmp_path):
    uneven = labelled(images.directory, images.paths[:18], images.labels[:18] // 2)
    steps = {"num_train_epochs": 2, "save_strategy": "no", **PLAIN}
    one_batch = steps | {"per_device_train_batch_size": 16}
    # 18 images: one step of four batches, then one of a single batch with two images.
    four = steps | {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}
    large, small = (
        tuned(base, uneven, tmp_path / name, balanced=True, training_args=given)[0]
        for name, given in (("large", one_batch), ("small", four))
    )
    untrained, _ = load_classifier(base, ["a", "b", "c"], load_preprocessing(base), name="tiny")
    assert differences(large, untrained) > 1e-3
    assert differences(large, small) < 1e-5


def test_the_average_follows_its_formula_and_is_what_is_left_in_the_end(base, images, tmp_path):
    model = torch.nn.Linear(1, 1, bias=False)
    average = running_average(model, 0.5)
    values, expected = [4.0, 8.0, 0.0, 2.0], None
    for step, value in enumerate(values):
        with torch.no_grad():
            model.weight.fill_(value)
        average.update_parameters(model)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = value if expected is None else decay * expected + (1 - decay) * value
    assert average.module.weight.item() == pytest.approx(expected)

    settings = {"training_args": EIGHT | {"num_train_epochs": 3}}
    plain, _ = tuned(base, images, tmp_path / "plain", **settings)
    averaged, _ = tuned(base, images, tmp_path / "averaged", ema_decay=0.999, **settings)
    untrained, _ = load_classifier(base, ["a", "b", "c"], load_preprocessing(base), name="tiny")
    assert differences(averaged, untrained) > 0
    assert differences(averaged, plain) > 1e-4


def test_the_best_measured_weights_are_kept_not_the_last(base, images, tmp_path):
    # Measured on the training images under other labels, the more it learns the worse it gets.
    validation = labelled(images.directory, images.paths[:9], (images.labels[:9] + 1) % 3)
    arguments = EIGHT | {"num_train_epochs": 6, "learning_rate": 3e-3, "optim": "adamw_torch"}
    for decay in (0.0, 0.9):
        options = {"eval_every_n_epochs": 1, "ema_decay": decay, "training_args": arguments}
        model, result = tuned(base, images, tmp_path / f"best {decay}", validation, **options)
        measured = [row["eval_loss"] for row in result.log_history if "eval_loss" in row]
        assert len(measured) == 6
        assert result.best_metric == pytest.approx(min(measured))
        again = loss_on(model, base, validation)
        assert again == pytest.approx(min(measured), abs=1e-4)
        if not decay:
            assert min(measured) < measured[-1] - 0.002


def loss_on(model, base, images):
    preprocessing = load_preprocessing(base)
    pixels = np.stack(
        [preprocessing.pixels(Image.open(images.directory / path)) for path in images.paths]
    )
    with torch.no_grad():
        logits = model.eval()(pixel_values=torch.from_numpy(preprocessing.normalise(pixels))).logits
    return torch.nn.functional.cross_entropy(logits, torch.from_numpy(images.labels)).item()


def test_early_stopping_stops_and_every_nth_epoch_is_measured(base, images, tmp_path):
    validation = labelled(images.directory, images.paths[:9], images.labels[:9])
    arguments = EIGHT | {"num_train_epochs": 7}
    _, result = tuned(
        base, images, tmp_path / "n", validation, eval_every_n_epochs=3, training_args=arguments
    )
    measured = [round(row["epoch"]) for row in result.log_history if "eval_loss" in row]
    assert measured == [3, 6, 7]
    arguments |= {"learning_rate": 0.8, "num_train_epochs": 50}
    options = {"eval_every_n_epochs": 1, "early_stopping_patience": 1, "training_args": arguments}
    _, result = tuned(base, images, tmp_path / "early", validation, **options)
    assert result.epoch < 50


def test_divergence_ends_with_advice(base, images, tmp_path):
    arguments = EIGHT | {
        "num_train_epochs": 30,
        "learning_rate": 1e20,
        "max_grad_norm": 0,
        "logging_steps": 1,
    }
    arguments |= {"logging_strategy": "steps", "logging_nan_inf_filter": False}
    with pytest.raises(ModelError, match="lower learning_rate"):
        tuned(base, images, tmp_path, training_args=arguments)


def test_arguments_reach_the_trainer_unchanged_and_ours_only_fill_gaps(tmp_path):
    given = {
        "learning_rate": 0.123,
        "save_strategy": "no",
        "eval_strategy": "steps",
        "eval_steps": 7,
        "per_device_eval_batch_size": 5,
        "output_dir": str(tmp_path / "mine"),
        "logging_steps": 3,
        "adam_beta1": 0.5,
        "use_cpu": True,
    }
    arguments = training_arguments(training(training_args=given), tmp_path / "x", measured=True)
    for name, value in given.items():
        assert getattr(arguments, name) == value
    ours = training_arguments(training(), tmp_path / "x", measured=True)
    assert (ours.eval_strategy, ours.save_strategy) == ("epoch", "epoch")
    assert ours.load_best_model_at_end
    assert ours.output_dir == str(tmp_path / "x")
    unmeasured = training_arguments(training(), tmp_path / "x", measured=False)
    assert unmeasured.eval_strategy == "no"
    assert not unmeasured.load_best_model_at_end


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"lr_scheduler_type": "curly"}, "curly"),
        ({"eval_strategy": "epoch", "save_strategy": "steps", "load_best_model_at_end": True}, ""),
    ],
)
def test_values_that_the_trainer_refuses_are_one_line(tmp_path, given, part):
    with pytest.raises(SettingsError, match="training_args") as caught:
        training_arguments(training(training_args=given), tmp_path, measured=True)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("frozen", [True, False])
def test_batch_normalisation_keeps_what_it_knows_if_asked_to(images, tmp_path, frozen):
    folder = tiny_models.efficientnet(tmp_path / "model", 3)
    arguments = EIGHT | {"num_train_epochs": 1}
    model, _ = tuned(folder, images, tmp_path, freeze_batch_norm=frozen, training_args=arguments)
    before, _ = load_classifier(folder, ["a", "b", "c"], load_preprocessing(folder), name="tiny")
    old = before.state_dict()
    new = {key: value for key, value in model.state_dict().items() if "running" in key}
    same = [torch.equal(value, old[key]) for key, value in new.items()]
    assert len(same) > 4
    assert all(same) if frozen else not any(same)
    assert differences(model, before) > 1e-4


def test_a_second_interrupt_within_a_moment_is_the_same_one():
    keep, before = KeepOnInterrupt(), signal.getsignal(signal.SIGINT)
    with keep.watching(None):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert keep.interrupted
        keep._noted -= 10
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
