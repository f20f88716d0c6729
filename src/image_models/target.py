"""What training and evaluation work on and end in, whether classes or tags are learnt."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from src.dataset.deduplicate import Deduplicated
from src.dataset.labelled import LabelledImages
from src.dataset.split import PART_NAMES
from src.image_models.fine_tune import Objective
from src.image_models.head import LinearHead


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
