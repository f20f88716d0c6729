"""A saved classifier at work: probabilities of any images, with the features kept in the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from src.errors import ModelError
from src.features import FeatureStore, compute_features
from src.image_models.backbone import HeadInputs
from src.image_models.head import LinearHead, softmax
from src.image_models.save import read_classes
from src.images import ImageFile


class Predictions(NamedTuple):
    """What a classifier says of the readable images of a folder."""

    paths: list[str]
    features: np.ndarray  # (n, d) float32
    logits: np.ndarray  # (n, classes) float32
    sha256s: list[bytes]
    perceptual_hashes: np.ndarray  # (n, bytes) uint8
    unreadable: dict[str, str]  # path -> why

    @property
    def probabilities(self) -> np.ndarray:
        """Of one category an image, (n, classes) float64."""
        return softmax(self.logits)


@dataclass(frozen=True)
class Classifier:
    """A trained model: what makes its features, and its head.

    Attributes:
        folder: where it was saved.
        classes: in the order of the outputs.
        backbone: the extractor of the head's inputs.
        head: the last layer.
    """

    folder: Path
    classes: tuple[str, ...]
    backbone: HeadInputs
    head: LinearHead

    def predict(
        self,
        directory: Path,
        files: Sequence[ImageFile],
        store: FeatureStore,
        *,
        batch_size: int = 32,
    ) -> Predictions:
        """Logits of all files that can be read.

        Features that the store has are not computed again; each batch is kept as soon as it is
        done, so that after an interruption the next call goes on there.

        Raises:
            DataError: no file can be read, or the store cannot be written.
        """
        table = compute_features(directory, files, [self.backbone], store, batch_size=batch_size)
        return Predictions(
            paths=table.paths,
            features=table.vectors,
            logits=self.head.logits(table.vectors),
            sha256s=table.sha256s,
            perceptual_hashes=table.perceptual_hashes,
            unreadable=table.unreadable,
        )


def open_classifier(name: str, *, device: str = "auto") -> Classifier:
    """Open a classifier that was saved by `save_classifier`, or any other of transformers.

    Args:
        name: a folder, or a name on the hub.
        device: see `src.devices.choose_device`.

    Raises:
        ModelError: there is no classifier, or it is damaged or of an unknown kind.
    """
    backbone = HeadInputs(name, device=device)
    folder = backbone.files.folder
    classes = read_classes(folder)
    weight, bias = backbone.head()
    if len(weight) != len(classes):
        raise ModelError(f"the model in {folder} has no head for its {len(classes)} categories")
    return Classifier(folder, tuple(classes), backbone, LinearHead(weight, bias))
