"""A trained tagging model at work: an image in, a probability for each tag out.

Three kinds give the same answers: `model.onnx` on ONNX Runtime, which needs neither torch nor
transformers; the model's own weights on torch; and an ensemble of several model folders.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from PIL import Image

from src.dataset.labelled import order_of
from src.errors import MissingExtra, ModelError
from src.features.hub import folder_identity
from src.images.preprocess import Preprocessing
from src.tagging import selected_tags
from src.tagging.selected_tags import SelectedTag, read_selected_tags
from src.tagging.thresholds import Thresholds, load_thresholds

ONNX_FILE = "model.onnx"
ENSEMBLE_FILE = "ensemble.json"
Backend = Literal["auto", "onnx", "torch"]


class Tagger(Protocol):
    """What gives images their tags' probabilities."""

    @property
    def tags(self) -> list[SelectedTag]:
        """In the order of the probabilities."""

    @property
    def thresholds(self) -> Thresholds:
        """Where a probability becomes a tag."""

    @property
    def identity(self) -> str:
        """Changes whenever the probabilities would."""

    @property
    def at_least(self) -> int | None:
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
    """
    if not folder.is_dir():
        raise ModelError(f"there is no model folder {str(folder)!r}: correct load_model")
    if (folder / ENSEMBLE_FILE).is_file():
        return EnsembleTagger(folder, backend=backend, device=device)
    if backend == "onnx" or (backend == "auto" and (folder / ONNX_FILE).is_file()):
        return _onnx_tagger(folder, device)
    return _torch_tagger(folder, device)


@dataclass(frozen=True)
class SingleTagger:
    """One model, on ONNX Runtime or torch.

    Attributes:
        preprocessing: from an image to its pixels.
        infer: pixels of a batch, (n, height, width, 3) uint8 each, to probabilities, (n, k).
    """

    tags: list[SelectedTag]
    thresholds: Thresholds
    identity: str
    preprocessing: Preprocessing
    infer: Callable[[list[np.ndarray]], np.ndarray]

    @property
    def at_least(self) -> int | None:
        """The shorter side, in pixels, that images are shrunk to."""
        return self.preprocessing.at_least

    def prepare(self, image: Image.Image) -> np.ndarray:
        """The resized and cropped image, (height, width, 3) uint8."""
        return self.preprocessing.pixels(image)

    def probabilities(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """(n, k) float32 of a batch."""
        return np.asarray(self.infer(list(prepared)), np.float32)


def _onnx_tagger(folder: Path, device: str) -> SingleTagger:
    """A model.onnx as `export_onnx` writes it."""
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra("onnxruntime", "tagging with model.onnx") from None
    file = folder / ONNX_FILE
    if not file.is_file():
        raise ModelError(
            f"{folder} holds no {ONNX_FILE}: make it with tag_images --tag_action=export, or set "
            "tag_backend to 'torch'"
        )
    tags, thresholds = _tags_and_thresholds(folder)
    providers = onnxruntime.get_available_providers()
    if device == "cpu" or "CUDAExecutionProvider" not in providers:
        providers = ["CPUExecutionProvider"]
    try:
        session = onnxruntime.InferenceSession(str(file), providers=providers)
        notes = session.get_modelmeta().custom_metadata_map
        preprocessing = Preprocessing.from_json(json.loads(notes["preprocessing"]))
        names = json.loads(notes["tags"])
    except (KeyError, TypeError, ValueError):
        raise ModelError(f"{file} was not exported by this program: export it again") from None
    except Exception as error:  # ONNX Runtime's own errors have no common class
        raise ModelError(f"{file} cannot be loaded: {_first_line(error)}") from None
    if names != [tag.name for tag in tags]:
        raise ModelError(f"{file} knows other tags than selected_tags.csv: export it again")

    def infer(pixels: list[np.ndarray]) -> np.ndarray:
        (found,) = session.run(None, {"pixels": np.stack(pixels)})
        return np.asarray(found)

    return SingleTagger(tags, thresholds, f"onnx:{folder_identity(folder)}", preprocessing, infer)


def _torch_tagger(folder: Path, device: str) -> SingleTagger:
    """The model's own weights."""
    from src.image_models.predict import open_classifier
    from src.tagging.out_of_fold import sigmoid

    tags, thresholds = _tags_and_thresholds(folder)
    model = open_classifier(str(folder), device=device)
    if list(model.classes) != [tag.name for tag in tags]:
        raise ModelError(f"{folder}: selected_tags.csv and config.json name other tags")
    model.backbone.load()

    def infer(pixels: list[np.ndarray]) -> np.ndarray:
        return sigmoid(model.head.logits(model.backbone.extract(pixels)))

    identity = f"torch:{folder_identity(folder)}"
    return SingleTagger(tags, thresholds, identity, model.backbone.preprocessing, infer)


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
    def at_least(self) -> int | None:
        """The largest of the members'; None if one wants the full size."""
        sides = [member.at_least for member in self._members]
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
    """The model folders that an ensemble's folder names."""
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


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
