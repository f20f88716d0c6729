"""From labelled files to images ready for training: content, duplicates, features, parts."""

import logging

import numpy as np

from src.dataset.labelled import LabelledImages
from src.dataset.split import PART_NAMES, split_parts
from src.errors import DataError
from src.features import FeatureTable, compute_features, open_store
from src.image_models.backbone import Classifier, HeadInputs
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
    hashes = table.perceptual_hashes
    data, kept, groups = target.deduplicate(data.only(table.paths), table.sha256s, hashes)
    return Images(
        data=data,
        sha256s=[table.sha256s[index] for index in kept.tolist()],
        hashes=hashes[kept],
        groups=groups,
        features=table.vectors[kept],
    )


def features_of(settings: ClassifierTraining, classifier: Classifier, images: Images) -> np.ndarray:
    """What a model's last layer is given of the images, (n, d)."""
    table = _read(settings, images.data, classifier.backbone)
    if table.sha256s != images.sha256s:
        raise DataError(f"images in {images.data.directory} changed during the run: start again")
    return table.vectors


def _read(
    settings: ClassifierTraining, data: LabelledImages, backbone: HeadInputs | None
) -> FeatureTable:
    extractors = [] if backbone is None else [backbone]
    batch_size = settings.evaluation_args.per_device_eval_batch_size
    with open_store(data.directory, settings.feature_store) as store:
        options = data.directory, data.files, extractors, store
        return compute_features(*options, batch_size=batch_size)


def draw_parts(
    settings: ClassifierTraining, target: Target, images: Images, seen: np.ndarray
) -> np.ndarray:
    """TRAIN, VALIDATION or TEST for each image, (n,) int8; logs how many each has.

    None of those that an ancestor of the model has `seen`, (n,) bool, is tested on.
    """
    data, single = images.data, images.data.labels.ndim == 1
    # The penalty of a logistic regression is chosen by cross-validation instead.
    validated = settings.train_backbone or not single
    parts = split_parts(
        images.sha256s,
        images.groups,
        fraction_for_test=settings.fraction_for_test,
        fraction_for_validation=settings.fraction_for_validation if validated else 0.0,
        seed=settings.test_pick_seed,
        strata=data.labels if single else None,
        given=getattr(data, "given_parts", None),
        seen=seen,
    )
    sizes = ", ".join(f"{name} {np.sum(parts == part)}" for part, name in enumerate(PART_NAMES))
    known = f"; the {seen.sum()} that load_model has seen are not tested on" if seen.any() else ""
    logger.info("Images: %s%s.", sizes, known)
    target.check_parts(data, parts)
    return parts
