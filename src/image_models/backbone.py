"""What an image classifier's last layer sees of each image, as features in the store."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from src.errors import ModelError
from src.features.extractor import Extractor
from src.features.hub import resolve_model
from src.features.torch_runner import TorchRunner
from src.files import write_text
from src.image_models.head import LinearHead
from src.image_models.model import find_head, need_timm, quieten, read_head
from src.images.preprocess import Preprocessing
from src.images.processors import load_preprocessing

if TYPE_CHECKING:
    import torch

VERSION = 1  # of this module's way from image to vector
RECORD = "image_taste"  # our part of config.json


class HeadInputs(Extractor):
    """The input of a classifier's final linear layer: an extractor for the feature store.

    Which tensor that is (a pooled map, the class token, a mean) is the architecture's own choice,
    so a linear head that is trained on these features is exactly the model's own head.

    A model that was saved with a new head on an untouched backbone shares the features of the
    model it came from: its config.json says so, together with the digest of the weights for which
    that holds.

    Args:
        name: a hub name, or a local folder.
        device: see `src.devices.choose_device`.
    """

    def __init__(self, name: str, *, device: str = "auto") -> None:
        self.name = name
        self.files = resolve_model(name)
        self._device_name = device
        record = _record(self.files.folder)
        self.features = record.get("features") or self.files.identity
        self.identity = f"classifier head input|{self.features}|v{VERSION}"
        self._head_name: str | None = record.get("head")
        self._trained_here = bool(record) and (
            "features" not in record or bool(record.get("features_trained_here"))
        )
        self._preprocessing: Preprocessing | None = None
        self._model: torch.nn.Module | None = None
        self._seen: list[torch.Tensor] = []
        self._checked = False

    @property
    def untouched(self) -> bool:
        """Whether the model's head alone was trained on the user's images."""
        return self.features != self.files.identity

    @property
    def trained_here(self) -> bool:
        """Whether more than the head was trained on a user's images, by this program."""
        return self._trained_here

    @property
    def head_name(self) -> str:
        """The name of the final linear layer inside the model, which is loaded to find it out."""
        if self._head_name is None:
            self.load()
        assert self._head_name is not None
        return self._head_name

    @property
    def min_side(self) -> int | None:
        """The shorter side, in pixels, that images are shrunk to."""
        return self.preprocessing.min_side

    @property
    def preprocessing(self) -> Preprocessing:
        """The model's own way from image to pixels."""
        if self._preprocessing is None:
            self._preprocessing = load_preprocessing(self.files.folder)
        return self._preprocessing

    def head(self) -> LinearHead:
        """The model's own head."""
        tensors = read_head(self.files.folder, self._head_name) if self._head_name else None
        if tensors is not None:
            return LinearHead(*tensors)
        self.load()
        assert self._model is not None
        return LinearHead.of(self._model.get_submodule(self.head_name))

    def load(self) -> None:
        """Load weights.

        Raises:
            ModelError: transformers cannot load the model, or it has no linear head.
        """
        import torch
        import transformers

        if self._model is not None:
            return
        quieten()
        need_timm(self.files.folder)
        try:
            model: Any = transformers.AutoModelForImageClassification.from_pretrained(
                self.files.folder, dtype=torch.float32, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(
                f"{self.name!r} cannot be used as an image classifier: {reason}"
            ) from None
        # Convolutions are fastest with the channels last; other layers do not mind.
        model = model.to(memory_format=torch.channels_last)
        self.use(model, self._head_name or find_head(model, self.preprocessing, self.name))

    def use(self, model: Any, head_name: str) -> None:
        """Take a model that is in memory already instead of loading it; it is put to evaluation."""
        self._run = TorchRunner(self._head_inputs, model, self.preprocessing, self._device_name)
        # The captured tensor may be changed in place by the model (dropout), hence the copy.
        model.get_submodule(head_name).register_forward_pre_hook(
            lambda _module, inputs: self._seen.append(inputs[0].detach().clone())
        )
        self._model, self._head_name = model, head_name

    def prepare(self, image: Image.Image) -> np.ndarray:
        """The resized and cropped image, (height, width, 3) uint8."""
        return self.preprocessing.pixels(image)

    def extract(self, prepared: list[np.ndarray]) -> np.ndarray:
        """Head inputs of a batch, (n, d) float32."""
        return self._run(prepared)

    def _head_inputs(self, pixels: "torch.Tensor") -> "torch.Tensor":
        assert self._model is not None
        self._seen.clear()
        logits = self._model(pixel_values=pixels).logits
        features = self._seen[-1].reshape(len(pixels), -1)
        if not self._checked:
            self._check(features, logits)
        return features

    def _check(self, features: "torch.Tensor", logits: "torch.Tensor") -> None:
        """Make sure, on the first batch, that nothing comes between the head and the logits."""
        import torch

        assert self._model is not None
        head = self._model.get_submodule(self.head_name)
        if not torch.allclose(head(features), logits, rtol=0.01, atol=0.01):
            raise ModelError(
                f"{self.name!r} ({type(self._model).__name__}) does not end in one linear layer, "
                "and is not supported: choose another model"
            )
        self._checked = True

    def describe(self) -> dict[str, Any]:
        """Name and identity."""
        return {"name": self.files.name, "identity": self.identity}


def write_record(
    folder: Path, head_name: str, features: str | None = None, *, trained_here: bool = False
) -> None:
    """Note in a saved model's config.json what its last layer is called and works on.

    Args:
        folder: the saved model.
        head_name: the layer that makes the logits.
        features: where only the head was trained: `HeadInputs.features` of the backbone's model.
        trained_here: see `HeadInputs.trained_here`.
    """
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config[RECORD] = {"head": head_name, "weights": _digest(folder)}
    if features is not None:
        config[RECORD] |= {"features": features, "features_trained_here": trained_here}
    write_text(file, json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def _record(folder: Path) -> dict[str, Any]:
    """Our record, if it was written for the very weights that lie beside it; otherwise empty."""
    try:
        record = json.loads((folder / "config.json").read_text(encoding="utf-8")).get(RECORD)
    except (OSError, ValueError, AttributeError):
        return {}
    if not isinstance(record, dict) or not {"head", "weights"} <= record.keys():
        return {}
    return record if record["weights"] == _digest(folder) else {}


def _digest(folder: Path) -> str:
    """sha256 of the weights; "" if they are not in one file."""
    try:
        with (folder / "model.safetensors").open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
