"""Evaluating saved classifiers and taggers on labelled images; nothing of the model is changed."""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from src.dataset.labelled import order_of
from src.dataset.parts import TEST, TRAIN
from src.dataset.trained_on import TrainedOn
from src.image_models.images import features_of, look_at
from src.image_models.predict import open_classifier
from src.image_models.target import Predictions, Target
from src.image_models.train import provenance
from src.settings.classifier import ClassifierTraining

logger = logging.getLogger(__name__)


def evaluate(
    settings: ClassifierTraining, target: Target, folders: Sequence[Path]
) -> list[Predictions]:
    """What each of several models says of the images of the folder.

    Images that any of the models has seen count as training images, and all others as test
    images, whatever the seed and wherever they lie.

    Args:
        settings: the images and the device.
        target: what the models were trained for.
        folders: of the models; they know the same classes or tags.
    """
    data = target.read(folders[0], only_known=True)
    images = look_at(settings, target, data)
    trained_on = TrainedOn()
    for folder in folders:
        trained_on |= TrainedOn.load(folder)
    seen = trained_on.seen(images.sha256s, images.hashes, images.groups)
    parts = np.where(seen, TRAIN, TEST).astype(np.int8)
    logger.info(
        "%d images: %d that the model was trained on, as far as it says.", len(seen), seen.sum()
    )
    if trained_on.unknown:
        logger.warning(
            "%s does not say which images it was trained on: if these are among them, the results "
            "look better than they are.",
            " and ".join(trained_on.unknown),
        )
    found = []
    for folder in folders:
        classifier = open_classifier(str(folder), device=settings.device)
        order = order_of(data.names, classifier.classes)
        features = features_of(settings, classifier, images)
        own = replace(images, features=features)
        probabilities = target.probabilities(classifier.head.logits(features))[:, order]
        if classifier.backbone.untouched and not classifier.backbone.trained_here:
            out_of_fold = target.out_of_fold(own)
        else:
            hidden = seen | bool(trained_on.unknown)
            out_of_fold = np.where(hidden[:, None], np.nan, probabilities)
        found.append(
            Predictions(
                images=own,
                parts=parts,
                probabilities=probabilities,
                out_of_fold=out_of_fold,
                provenance=_made_with(folder, settings),
                unknown=trained_on.unknown,
            )
        )
    return found


def _made_with(folder: Path, settings: ClassifierTraining) -> dict[str, Any]:
    """What metrics.json says the model was made with; if it says nothing, what is known now."""
    try:
        found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["provenance"]
        return dict(found)
    except (OSError, ValueError, KeyError, TypeError):
        return provenance(settings, "elsewhere", {})
