"""A trained tagging model at work: an image in, a probability for each tag out.

Three kinds give the same answers: `model.onnx` on ONNX Runtime, which needs neither torch nor
transformers; the model's own weights on torch; and an ensemble of several model folders.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from PIL import Image

from src.dataset.labelled import order_of
from src.errors import ModelError
from src.features.extractor import PixelExtractor
from src.features.hub import folder_identity
from src.features.onnx_extractor import OnnxNetwork
from src.images.preprocess import Preprocessing
from src.tagging import selected_tags
from src.tagging.selected_tags import SelectedTag, read_selected_tags
from src.tagging.thresholds import Thresholds, load_thresholds

ONNX_FILE = "model.onnx"
ENSEMBLE_FILE = "ensemble.json"
Backend = Literal["auto", "onnx", "torch"]


class Tagger(Protocol):
    """What gives images their tags' probabilities.

    Attributes:
        tags: in the order of the probabilities.
        thresholds: where a probability becomes a tag.
        identity: changes whenever the answers would.
    """

    tags: list[SelectedTag]
    thresholds: Thresholds
    identity: str

    @property
    def min_side(self) -> int | None:
        """The shorter side, in pixels, that `prepare` shrinks images to; None: full size."""

    def prepare(self, image: Image.Image) -> Any:
        """What `probabilities` needs of one RGB image; may be called from several threads."""

    def probabilities(self, prepared: Sequence[Any]) -> np.ndarray:
        """(n, k) float32 of a batch."""


def open_tagger(folder: Path, *, backend: Backend = "auto", device: str = "auto") -> Tagger:
    """Open a tagging model's folder.

    Args:
        folder: as custom_classifier_training saved it.
        backend: `onnx`, `torch`, or `auto`: model.onnx if there is one.
        device: see `src.devices.choose_device`; ONNX Runtime takes a GPU unless this is `cpu`.

    Raises:
        ModelError: no tagging model, or a damaged one.
        MissingExtra: ONNX Runtime is needed and not installed.
    """
    if not folder.is_dir():
        raise ModelError(f"there is no model folder {str(folder)!r}: correct load_model")
    if (folder / ENSEMBLE_FILE).is_file():
        return EnsembleTagger(folder, backend=backend, device=device)
    if backend == "onnx" or (backend == "auto" and (folder / ONNX_FILE).is_file()):
        return OnnxTagger(folder, device=device)
    return TorchTagger(folder, device=device)


class OnnxTagger(PixelExtractor):
    """A model.onnx as `export_onnx` writes it."""

    def __init__(self, folder: Path, *, device: str = "auto") -> None:
        file = folder / ONNX_FILE
        if not file.is_file():
            raise ModelError(
                f"{folder} holds no {ONNX_FILE}: make it with tag_images --action=export, or "
                "set backend to 'torch'"
            )
        self.tags, self.thresholds = _tags_and_thresholds(folder)
        self.identity = f"onnx:{folder_identity(folder)}"
        self._network = OnnxNetwork(file, "tagging with model.onnx", device=device)
        try:
            notes = self._network.notes
            self.preprocessing = Preprocessing.from_json(json.loads(notes["preprocessing"]))
            names = json.loads(notes["tags"])
        except (KeyError, TypeError, ValueError):
            raise ModelError(f"{file} was not exported by this program: export it again") from None
        if names != [tag.name for tag in self.tags]:
            raise ModelError(f"{file} knows other tags than selected_tags.csv: export it again")

    def probabilities(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """(n, k) float32 of a batch."""
        return self._network(prepared)


class TorchTagger:
    """The model's own weights."""

    def __init__(self, folder: Path, *, device: str = "auto") -> None:
        from src.image_models.backbone import open_classifier

        self.tags, self.thresholds = _tags_and_thresholds(folder)
        self.identity = f"torch:{folder_identity(folder)}"
        self._classifier = open_classifier(str(folder), device=device)
        if list(self._classifier.classes) != [tag.name for tag in self.tags]:
            raise ModelError(f"{folder}: selected_tags.csv and config.json name other tags")
        self._classifier.backbone.load()

    @property
    def min_side(self) -> int | None:
        """The shorter side, in pixels, that images are shrunk to."""
        return self._classifier.backbone.min_side

    def prepare(self, image: Image.Image) -> np.ndarray:
        """The resized and cropped image, (height, width, 3) uint8."""
        return self._classifier.backbone.prepare(image)

    def probabilities(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """(n, k) float32 of a batch."""
        from src.tagging.out_of_fold import sigmoid

        features = self._classifier.backbone.extract(list(prepared))
        return sigmoid(self._classifier.head.logits(features))


class EnsembleTagger:
    """The mean of several models' probabilities, with thresholds of its own."""

    def __init__(self, folder: Path, *, backend: Backend = "auto", device: str = "auto") -> None:
        self.tags, self.thresholds = _tags_and_thresholds(folder)
        self._members = [
            open_tagger(member, backend=backend, device=device) for member in members(folder)
        ]
        self._orders = [
            order_of([tag.name for tag in self.tags], [tag.name for tag in member.tags])
            for member in self._members
        ]
        self.identity = "+".join(member.identity for member in self._members)

    @property
    def min_side(self) -> int | None:
        """The largest of the members'; None if one wants the full size."""
        sides = [member.min_side for member in self._members]
        return None if None in sides else max(side for side in sides if side is not None)

    def prepare(self, image: Image.Image) -> list[Any]:
        """What each member needs."""
        return [member.prepare(image) for member in self._members]

    def probabilities(self, prepared: Sequence[list[Any]]) -> np.ndarray:
        """(n, k) float32 of a batch."""
        parts = [
            member.probabilities([each[index] for each in prepared])[:, order]
            for index, (member, order) in enumerate(zip(self._members, self._orders, strict=True))
        ]
        return np.asarray(np.mean(parts, axis=0, dtype=np.float32))


def members(folder: Path) -> list[Path]:
    """The model folders that an ensemble's folder names.

    Raises:
        ModelError: ensemble.json is damaged, or a folder is not there.
    """
    file = folder / ENSEMBLE_FILE
    try:
        names = json.loads(file.read_text(encoding="utf-8"))["models"]
        folders = [folder / str(name) for name in names]
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelError(f"{file} is damaged: make the ensemble again") from None
    for member in folders:
        if not member.is_dir() or (member / ENSEMBLE_FILE).is_file() or not folders:
            raise ModelError(f"{file}: there is no model folder {member}")
    return folders


def ensemble_note(folder: Path, models: Sequence[Path]) -> str:
    """The text of ensemble.json; the models' folders are named relative to the ensemble's."""
    names = [
        Path(os.path.relpath(model.resolve(), folder.resolve())).as_posix() for model in models
    ]
    return json.dumps({"models": names}, ensure_ascii=False, indent=1) + "\n"


def _tags_and_thresholds(folder: Path) -> tuple[list[SelectedTag], Thresholds]:
    file = folder / selected_tags.FILE_NAME
    if not file.is_file():
        raise ModelError(
            f"{folder} holds no {file.name}: train a tagging model with label_source 'tags'"
        )
    return read_selected_tags(file), load_thresholds(folder)
