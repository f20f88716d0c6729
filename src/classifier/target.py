"""One class for each image, the name of its folder, as a target of training and evaluation."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from src.dataset.classes import check_counts, read_categories
from src.dataset.deduplicate import deduplicate
from src.dataset.labelled import LabelledImages, some
from src.dataset.split import TEST, TRAIN
from src.errors import DataError
from src.image_models.fine_tune import Objective
from src.image_models.head import (
    Labelled,
    LinearHead,
    choose_penalty,
    fit_head,
    out_of_fold,
    softmax,
)
from src.image_models.model import SINGLE_LABEL
from src.image_models.save import read_classes
from src.image_models.target import HeadFit, Images, Target
from src.settings.classifier import ClassifierTraining
from src.text import counted

logger = logging.getLogger(__name__)


class Classes(Target):
    """Of a new last layer it begins with equal probabilities; its names are in categories.json."""

    problem_type = SINGLE_LABEL
    deduplicate = staticmethod(deduplicate)
    probabilities = staticmethod(softmax)

    def __init__(self, settings: ClassifierTraining) -> None:
        self._settings = settings

    def read(self, known: Path | None, *, only_known: bool = False) -> LabelledImages:
        directory = Path(self._settings.top_level_image_directory)
        classes = read_classes(known) if known else ()
        data = read_categories(directory, classes, only_known=only_known)
        if not only_known:
            check_counts(data)
        counts = [
            f"{name} {count}" for name, count in zip(data.names, data.counts.tolist(), strict=True)
        ]
        logger.info(
            "%s in %s: %s",
            counted(len(data), "image"),
            counted(len(data.names), "category"),
            some(counts, most=20),
        )
        return data

    def check_parts(self, data: LabelledImages, parts: np.ndarray) -> None:
        for part in (TRAIN, TEST):
            there = set(data.labels[parts == part].tolist())
            lacking = some([n for index, n in enumerate(data.names) if index not in there])
            if lacking and part == TRAIN:
                raise DataError(
                    f"no image is left to train on in: {lacking}. Add images, or lower "
                    "fraction_for_test"
                )
            if lacking and self._settings.fraction_for_test:
                logger.warning(
                    "No image is left to test on, since all look alike or were seen by load_model, "
                    "in: %s",
                    lacking,
                )

    def objective(self, labels: Any) -> Objective:
        smoothing = self._settings.training_args.given.get("label_smoothing_factor", 0.0)
        weighted = self._settings.weight_category_loss
        weights = balanced_weights(labels, int(labels.max()) + 1) if weighted else None
        return objective(weights, float(smoothing))

    def fit_head(self, start: LinearHead, images: Images, parts: np.ndarray) -> HeadFit:
        """A logistic regression; its penalty is chosen by cross-validation."""
        data = self._labelled(images).only(parts == TRAIN)
        penalty = choose_penalty(data)
        return HeadFit(fit_head(data, penalty), (), {"penalty": f"{penalty:.3g}"})

    def out_of_fold(self, images: Images) -> np.ndarray:
        """By logistic regressions, with a penalty of their own."""
        data = self._labelled(images)
        return out_of_fold(data, choose_penalty(data))

    def _labelled(self, images: Images) -> Labelled:
        return Labelled(
            images.features,
            images.data.labels,
            len(images.data.names),
            images.groups,
            balanced=self._settings.weight_category_loss,
            seed=self._settings.test_pick_seed,
        )


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weight of each class so that all count alike: n / (present * count), (classes,) float32."""
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 1.0).astype(np.float32)


def objective(weights: np.ndarray | None = None, smoothing: float = 0.0) -> Objective:
    """Cross-entropy, with a weight for each class, (classes,), and with metrics and their wording.

    `smoothing` is the share of each label that is spread over all classes (Szegedy et al., 2016).
    """

    def loss(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        """Of hard labels, (n,) int, or of shares, (n, classes)."""
        import torch

        logits = outputs["logits"].float()
        weight = None if weights is None else torch.as_tensor(weights, device=logits.device)
        options: Any = {"weight": weight, "label_smoothing": smoothing, "reduction": "sum"}
        total = torch.nn.functional.cross_entropy(logits, labels, **options)
        return total / (len(labels) if num_items_in_batch is None else num_items_in_batch)

    return Objective(loss, _metrics, _describe)


def _metrics(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    right = softmax(logits)[np.arange(len(labels)), labels]
    return {
        "accuracy": float(np.mean(logits.argmax(axis=1) == labels)),
        "log_loss": float(-np.log(np.maximum(right, 1e-12)).mean()),
    }


def _describe(metrics: dict[str, float]) -> str:
    accuracy, log_loss = metrics["accuracy"], metrics["log_loss"]
    return f"validation: {accuracy:.1%} right, log-loss {log_loss:.3f}"
