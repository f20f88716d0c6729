"""A tagging model at work: an image in, a probability for each tag out.

Its networks are `model.onnx` files, which need no torch, or weights on torch, of models that were
trained here or published; an ensemble's tags have their mean.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from PIL import Image

from src.dataset.labelled import order_of
from src.errors import MissingExtra, ModelError
from src.features.extractor import PixelExtractor
from src.features.hub import file_identity, folder_identity
from src.features.onnx_network import OnnxNetwork
from src.files import read_json, write_text
from src.image_models.save import finish_saving
from src.images.preprocess import Preprocessing
from src.images.processors import is_timm
from src.tagging import published, selected_tags
from src.tagging.selected_tags import SelectedTag, read_selected_tags
from src.tagging.thresholds import Thresholds, load_thresholds

if TYPE_CHECKING:
    from src.image_models.backbone import HeadInputs

ONNX_FILE = "model.onnx"
ENSEMBLE_FILE = "ensemble.json"
Backend = Literal["auto", "onnx", "torch"]


class _Network(NamedTuple):
    identity: str
    pixels: "PixelExtractor | HeadInputs"  # from images to what `run` takes
    run: Callable[[list[np.ndarray]], np.ndarray]  # to probabilities, (n, k) float32
    order: np.ndarray | slice = slice(None)  # where each of the tagger's tags stands there, (k,)


@dataclass(frozen=True)
class Tagger:
    """What gives images their tags' probabilities."""

    tags: list[SelectedTag]  # in the order of the probabilities
    thresholds: Thresholds  # where a probability becomes a tag
    networks: list[_Network]

    @property
    def identity(self) -> str:
        """Changes whenever the probabilities would."""
        return "+".join(network.identity for network in self.networks)

    @property
    def min_side(self) -> int | None:
        """The shorter side, in pixels, that `prepare` shrinks images to; None: full size."""
        sides = [network.pixels.min_side for network in self.networks]
        return None if None in sides else max(side for side in sides if side is not None)

    @property
    def images_per_pass(self) -> int | None:
        """How many images at once are computed fastest; None: any number."""
        sizes = [network.pixels.images_per_pass for network in self.networks]
        return min((size for size in sizes if size), default=None)

    @property
    def passes_at_once(self) -> int:
        """How many calls of `probabilities` may run in threads of their own."""
        return min(network.pixels.passes_at_once for network in self.networks)

    def prepare(self, image: Image.Image) -> list[np.ndarray]:
        """What each network needs of one RGB image; may be called from several threads."""
        return [network.pixels.prepare(image) for network in self.networks]

    def probabilities(self, prepared: Sequence[list[np.ndarray]]) -> np.ndarray:
        """(n, k) float32 of a batch."""
        batches = [list(batch) for batch in zip(*prepared, strict=True)]
        found = [n.run(batch)[:, n.order] for n, batch in zip(self.networks, batches, strict=True)]
        return np.asarray(np.mean(found, axis=0, dtype=np.float32))


def open_tagger(
    folder: Path,
    *,
    backend: Backend = "auto",
    device: str = "auto",
    precision: str = "auto",
    images: int = 1,
) -> Tagger:
    """Open a tagging model's folder: ours, or a published one (see `published`).

    `auto` takes model.onnx if there is one and ONNX Runtime is installed. For the device see
    `src.devices.choose_device`; ONNX Runtime takes a GPU unless it is `cpu`. For one of `images`
    at a time, all of the processor computes it; of several, each core has its own.
    """
    if not folder.is_dir():
        raise ModelError(f"there is no model folder {str(folder)!r}: correct load_model")
    finish_saving(folder)
    tag_list = folder / selected_tags.FILE_NAME
    if not tag_list.is_file():
        raise ModelError(
            f"{folder} holds no {tag_list.name}: train a tagging model with label_source 'tags', "
            "or fetch a published one with this file"
        )
    tags, thresholds = read_selected_tags(tag_list), load_thresholds(folder)
    networks = []
    for member in members(folder):
        use_onnx = backend == "onnx" or (backend == "auto" and _prefers_onnx(member))
        if use_onnx:
            network, names = _open_onnx(member, device, threads=int(images > 1))
        else:
            network, names = _open_torch(member, device, precision, images)
        order = order_of([tag.name for tag in tags], names)
        networks.append(network._replace(order=order))
    return Tagger(tags, thresholds, networks)


def _prefers_onnx(folder: Path) -> bool:
    """Whether model.onnx can be used, or is all there is."""
    has_runtime, weights = find_spec("onnxruntime") is not None, folder / "model.safetensors"
    return (folder / ONNX_FILE).is_file() and (has_runtime or not weights.is_file())


def _open_onnx(folder: Path, device: str, threads: int) -> tuple[_Network, Sequence[str]]:
    """A model.onnx as `export_onnx` writes it, or a published one, and the tags it knows."""
    file = folder / ONNX_FILE
    if not file.is_file():
        raise ModelError(
            f"{folder} holds no {ONNX_FILE}: make it with tag_images --action=export, or "
            "set backend to 'torch'"
        )
    network = OnnxNetwork(file, "tagging with model.onnx", device=device, threads=threads)
    pixels = PixelExtractor()
    pixels._run = network
    if "preprocessing" not in network.notes:
        names = [tag.name for tag in read_selected_tags(folder / selected_tags.FILE_NAME)]
        pixels.preprocessing, run = published.fit_network(network, file, len(names))
        return _Network(f"onnx:{file_identity(file)}", pixels, run), names
    try:
        pixels.preprocessing = Preprocessing.from_json(json.loads(network.notes["preprocessing"]))
        names = [str(name) for name in json.loads(network.notes["tags"])]
    except (KeyError, TypeError, ValueError):
        raise ModelError(f"{file} was not exported by this program: export it again") from None
    return _Network(f"onnx:{folder_identity(folder)}", pixels, network), names


def _open_torch(
    folder: Path, device: str, precision: str, images: int
) -> tuple[_Network, Sequence[str]]:
    """A model's own weights, and the tags they know."""
    from src.image_models.backbone import open_classifier

    if is_timm(folder) and find_spec("timm") is None:
        raise MissingExtra("timm", "tagging without the model's model.onnx")
    classifier = open_classifier(str(folder), device=device, precision=precision)
    classifier.backbone.load(images)

    def run(prepared: list[np.ndarray]) -> np.ndarray:
        from scipy.special import expit

        logits = classifier.head.logits(classifier.backbone.extract(prepared))
        return np.asarray(expit(logits), np.float32)

    network = _Network(f"torch:{folder_identity(folder)}", classifier.backbone, run)
    return network, classifier.classes


def members(folder: Path) -> list[Path]:
    """The model folders that an ensemble's folder names; of a single model its own."""
    file = folder / ENSEMBLE_FILE
    if not file.is_file():
        return [folder]
    try:
        names = read_json(file)["models"]
        folders = [folder / str(name) for name in names]
        if not folders:
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelError(f"{file} is damaged: make the ensemble again") from None
    for member in folders:
        if not member.is_dir() or (member / ENSEMBLE_FILE).is_file():
            raise ModelError(f"{file}: there is no model folder {member}")
    return folders


def write_ensemble(folder: Path, models: Sequence[Path]) -> None:
    """Name the models' folders, relative to the ensemble's, in ensemble.json."""
    here = folder.resolve()
    names = [Path(os.path.relpath(model.resolve(), here)).as_posix() for model in models]
    text = json.dumps({"models": names}, ensure_ascii=False, indent=1) + "\n"
    write_text(folder / ENSEMBLE_FILE, text)
