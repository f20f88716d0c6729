"""From labelled files to images ready for training: content, duplicates, features, parts."""

import logging
from pathlib import Path

import numpy as np

from src.dataset.labelled import LabelledImages
from src.dataset.parts import PART_NAMES, split_parts
from src.errors import DataError
from src.features import FeatureTable, compute_features, open_store
from src.image_models.backbone import HeadInputs
from src.image_models.predict import Classifier
from src.image_models.target import Images, Target
from src.settings.classifier import ClassifierTraining

logger = logging.getLogger(__name__)


def look_at(
    settings: ClassifierTraining,
    target: Target,
    data: LabelledImages,
    backbone: HeadInputs | None = None,
) -> Images:
    """The images that can be read, with features if there is a backbone to compute them."""
    table = _read(settings, data, backbone)
    data, kept, groups = target.deduplicate(
        data.only(table.paths), table.sha256s, table.perceptual_hashes
    )
    return Images(
        data=data,
        sha256s=[table.sha256s[index] for index in kept.tolist()],
        hashes=table.perceptual_hashes[kept],
        groups=groups,
        features=None if backbone is None else table.vectors[kept],
    )


def features_of(settings: ClassifierTraining, classifier: Classifier, images: Images) -> np.ndarray:
    """What a model's last layer is given of the images, (n, d).

    Raises:
        DataError: an image has changed since it was looked at.
    """
    table = _read(settings, images.data, classifier.backbone)
    if table.sha256s != images.sha256s:
        raise DataError(f"images in {images.data.directory} have changed meanwhile: start again")
    return table.vectors


def _read(
    settings: ClassifierTraining, data: LabelledImages, backbone: HeadInputs | None
) -> FeatureTable:
    folder = Path(settings.feature_store) if settings.feature_store else None
    with open_store(data.directory, folder) as store:
        return compute_features(
            data.directory,
            data.files,
            [] if backbone is None else [backbone],
            store,
            batch_size=settings.evaluation_args.per_device_eval_batch_size,
        )


def draw_parts(
    settings: ClassifierTraining, target: Target, images: Images, seen: np.ndarray
) -> np.ndarray:
    """TRAIN, VALIDATION or TEST for each image, (n,) int8; logs how many each has.

    Args:
        settings: the fractions and the seed.
        target: what is learnt.
        images: those to split.
        seen: which of them an ancestor of the model has seen, (n,) bool: none is tested on.

    Raises:
        DataError: too little is left to train on.
    """
    data = images.data
    single = data.labels.ndim == 1
    fraction = settings.fraction_for_validation
    parts = split_parts(
        images.sha256s,
        images.groups,
        fraction_for_test=settings.fraction_for_test,
        # The penalty of a logistic regression is chosen by cross-validation instead.
        fraction_for_validation=0.0 if single and not settings.train_backbone else fraction,
        seed=settings.test_pick_seed,
        strata=data.labels if single else None,
        given=getattr(data, "given_parts", None),
        seen=seen,
    )
    sizes = ", ".join(f"{name} {np.sum(parts == part)}" for part, name in enumerate(PART_NAMES))
    logger.info("Images: %s.", sizes)
    if seen.any():
        logger.info(
            "%d of the images were seen by the model that training goes on from: none of them is "
            "a test image.",
            seen.sum(),
        )
    target.check_parts(data, parts)
    return parts
