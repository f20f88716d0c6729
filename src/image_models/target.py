"""What training and evaluation work on and end in, whether classes or tags are learnt."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from src.dataset.deduplicate import Deduplicated
from src.dataset.labelled import LabelledImages
from src.dataset.split import PART_NAMES, split_parts
from src.errors import DataError
from src.features import FeatureTable, compute_features, open_store
from src.image_models.backbone import Classifier, HeadInputs
from src.image_models.fine_tune import Objective
from src.image_models.head import LinearHead
from src.settings.classifier import ClassifierTraining

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Images:
    """Labelled images that can be read, and what they are known by, all in the order of `data`."""

    data: LabelledImages
    sha256s: list[bytes]
    hashes: np.ndarray  # perceptual hashes, (n, bytes) uint8
    groups: np.ndarray  # near duplicates share a number, (n,) int
    # what the last layer is given, (n, d), once it is computed
    features: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))


@dataclass(frozen=True)
class Predictions:
    """What a model says of labelled images."""

    images: Images  # with features
    parts: np.ndarray  # TRAIN, VALIDATION or TEST for each, (n,) int8
    probabilities: np.ndarray  # (n, k)
    out_of_fold: np.ndarray  # by models that have not seen the image; NaN where there is none
    history: Sequence[Mapping[str, Any]] = ()  # what was logged in training
    provenance: Mapping[str, Any] = field(default_factory=dict)  # what the model was made with
    unknown: Sequence[str] = ()  # models that do not say which images they were trained on
    base_license: str = ""  # of the model that training started from, as the hub abbreviates it

    @property
    def data(self) -> Any:
        return self.images.data

    @property
    def masks(self) -> dict[str, np.ndarray]:
        """Which images each part holds, and "all", (n,) bool each."""
        masks = {name: self.parts == part for part, name in enumerate(PART_NAMES)}
        return masks | {"all": np.ones(len(self.parts), bool)}

    def measured(self, measure: Callable[[np.ndarray, str], Any]) -> dict[str, Any]:
        """The metrics of each part, by a function of its mask and name, and what training used."""
        return {
            **{
                name: measure(mask, name)
                for name, mask in self.masks.items()
                if mask.any() or name in ("train", "test")
            },
            "image_folder": str(self.data.directory.resolve()),
            "provenance": dict(self.provenance),
            "unknown_training_images": list(self.unknown),
        }


class HeadFit(NamedTuple):
    """A trained last layer, what was logged on the way, and details for the report."""

    head: LinearHead
    history: Sequence[Mapping[str, Any]]
    details: dict[str, Any]


class Target(Protocol):
    """What is learnt: one class for each image, or any number of tags."""

    problem_type: str  # SINGLE_LABEL or MULTI_LABEL of `src.image_models.model`

    def read(self, known: Path | None, *, only_known: bool = False) -> LabelledImages:
        """The labelled images; what a known model's folder names comes first, or alone."""

    def deduplicate(
        self, data: LabelledImages, sha256s: Sequence[bytes], hashes: np.ndarray
    ) -> Deduplicated: ...

    def check_parts(self, data: LabelledImages, parts: np.ndarray) -> None:
        """Raise DataError if too little is left to train on."""

    def start_head(self, layer: Any, labels: Any) -> None:
        """Set what a new last layer begins with, if not zeros, given the training labels."""
        return

    def objective(self, labels: Any) -> Objective:
        """Loss and metrics, given the training labels."""

    def fit_head(self, start: LinearHead, images: Images, parts: np.ndarray) -> HeadFit: ...

    def out_of_fold(self, images: Images) -> np.ndarray:
        """Each image's probabilities by heads that were fitted without it and its duplicates."""

    def probabilities(self, logits: np.ndarray) -> np.ndarray: ...

    def save(self, folder: Path, data: LabelledImages) -> None:
        """Write what the model's folder needs beside the model itself."""
        return


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
