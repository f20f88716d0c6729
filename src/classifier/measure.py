"""Measuring a saved classifier on labelled images, the way it is used on any images."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from src.classifier.job import Job, provenance
from src.classifier.results import Measured, recorded_parts
from src.dataset.classes import read_categories
from src.dataset.deduplicate import Cleaned, clean
from src.dataset.parts import TEST, TRAIN, split_parts
from src.errors import DataError
from src.features import open_store
from src.features.hashes import fingerprint
from src.image_models.head import choose_penalty, out_of_fold
from src.image_models.predict import open_classifier
from src.image_models.save import read_classes

logger = logging.getLogger(__name__)


def measure_saved(job: Job) -> Measured:
    """The answers of `load_model` on the images of the folder, without training.

    Images that its predictions.csv names keep their part, so that none it was trained on is
    counted as a test image.

    Raises:
        DataError, ModelError: as the parts it is made of.
    """
    folder = Path(job.load_model)
    data = read_categories(job.directory, read_classes(folder), only_known=True)
    with open_store(job.directory, job.store) as store:
        prints = fingerprint(job.directory, data.files, store)
    cleaned = clean(data.only(prints.paths), prints.sha256s, prints.perceptual_hashes)
    recorded = recorded_parts(folder)
    sha256s = [prints.sha256s[index] for index in cleaned.kept.tolist()]
    drawn = split_parts(
        sha256s,
        cleaned.groups,
        cleaned.data.labels,
        fraction_for_test=job.fraction_for_test,
        fraction_for_validation=0.0,
        seed=job.seed,
    )
    if not recorded:
        logger.warning(
            "%s has no predictions.csv that says which images it was trained on: the test images "
            "are drawn anew, and it may have seen them.",
            folder,
        )
    # An image that the model was not trained on is a test image, whatever the draw says.
    new = TEST if recorded else -1
    parts = np.array([recorded.get(path, new) for path in cleaned.data.paths], np.int8)
    parts = np.where(parts < 0, drawn, parts)
    return answers(job, cleaned, parts, folder, (), _made_with(folder, job))


def _made_with(folder: Path, job: Job) -> dict[str, Any]:
    """What metrics.json says the model was made with; if it says nothing, what is known now."""
    try:
        found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["provenance"]
        return dict(found)
    except (OSError, ValueError, KeyError, TypeError):
        return provenance(job, "elsewhere")


def answers(
    job: Job,
    cleaned: Cleaned,
    parts: np.ndarray,
    folder: Path,
    history: Any,
    made_with: Mapping[str, Any],
) -> Measured:
    """What the model in a folder says of the images.

    Args:
        job: for the image folder, the feature store and the device.
        cleaned: the images.
        parts: of each.
        folder: the model's.
        history: what was logged in training.
        made_with: for the report.

    Raises:
        DataError: an image has changed meanwhile.
    """
    classifier = open_classifier(str(folder), device=job.recipe.device)
    data = cleaned.data
    with open_store(job.directory, job.store) as store:
        given = classifier.predict(
            job.directory, data.files, store, batch_size=job.recipe.batch_size
        )
    if given.paths != data.paths:
        raise DataError(f"images in {job.directory} have changed since training began: start again")
    probabilities = given.probabilities
    if classifier.backbone.untouched:  # only the head knows the images, and heads are quickly made
        options: Any = {"groups": cleaned.groups, "seed": job.seed, "balanced": job.balanced}
        labelled = (given.features, data.labels, len(data.classes))
        unseen = out_of_fold(*labelled, penalty=choose_penalty(*labelled, **options), **options)
    else:
        unseen = np.where((parts == TRAIN)[:, None], np.nan, probabilities)
    return Measured(
        data=data,
        parts=parts,
        probabilities=probabilities,
        features=given.features,
        unseen=unseen,
        history=history,
        provenance=made_with,
        notes=cleaned.notes(),
    )
