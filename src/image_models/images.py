"""From labelled files to images ready for training: content, duplicates, features, parts."""

import logging
from pathlib import Path

import numpy as np

from src.dataset.labelled import LabelledImages
from src.dataset.parts import PART_NAMES, split_parts
from src.errors import DataError
from src.features import compute_features, open_store
from src.features.hashes import fingerprint
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
    """The images that can be read, with features if there is a backbone to compute them.

    Raises:
        DataError: no image can be read, or the store cannot be written.
    """
    store_folder = Path(settings.feature_store) if settings.feature_store else None
    features = None
    with open_store(data.directory, store_folder) as store:
        if backbone is None:
            found = fingerprint(data.directory, data.files, store)
            paths, sha256s, hashes = found.paths, found.sha256s, found.perceptual_hashes
        else:
            batch = settings.evaluation_args.per_device_eval_batch_size
            table = compute_features(
                data.directory, data.files, [backbone], store, batch_size=batch
            )
            paths, sha256s, hashes = table.paths, table.sha256s, table.perceptual_hashes
            features = table.vectors
    data, kept, groups = target.deduplicate(data.only(paths), sha256s, hashes)
    return Images(
        data=data,
        sha256s=[sha256s[index] for index in kept.tolist()],
        hashes=hashes[kept],
        groups=groups,
        features=None if features is None else features[kept],
    )


def features_of(settings: ClassifierTraining, classifier: Classifier, images: Images) -> np.ndarray:
    """What a model's last layer is given of the images, (n, d).

    Raises:
        DataError: an image has changed since it was looked at.
    """
    store_folder = Path(settings.feature_store) if settings.feature_store else None
    data = images.data
    with open_store(data.directory, store_folder) as store:
        batch = settings.evaluation_args.per_device_eval_batch_size
        table = compute_features(
            data.directory, data.files, [classifier.backbone], store, batch_size=batch
        )
    if table.sha256s != images.sha256s:
        raise DataError(f"images in {data.directory} have changed meanwhile: start again")
    return table.vectors


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
