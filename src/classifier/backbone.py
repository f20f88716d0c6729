"""What an image classifier's last layer sees of each image, as features in the store."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from src.classifier.model import find_head, quieten
from src.devices import choose_device, half_precision
from src.errors import ModelError
from src.features.hub import resolve_model
from src.images.preprocess import Preprocessing
from src.images.processors import load_preprocessing

if TYPE_CHECKING:
    import torch

VERSION = 1  # of this module's way from image to vector
RECORD = "image_taste"  # our part of config.json


class HeadInputs:
    """The input of a classifier's final linear layer: an extractor for the feature store.

    Which tensor that is (a pooled map, the class token, a mean) is the architecture's own choice,
    so a linear head that is trained on these features is exactly the model's own head.

    A model that was saved with a new head on an untouched backbone shares the features of the
    model it came from: its config.json says so, together with the digest of the weights for which
    that holds.

    Args:
        name: a hub name, or a local folder.
        device: see `src.devices.choose_device`.

    Raises:
        ModelError: the model cannot be found or fetched.
    """

    def __init__(self, name: str, *, device: str = "auto") -> None:
        self.name = name
        self.files = resolve_model(name)
        self._device_name = device
        self.features = _recorded_features(self.files.folder) or self.files.identity
        self.identity = f"classifier head input|{self.features}|v{VERSION}"
        self._preprocessing: Preprocessing | None = None
        self._model: torch.nn.Module | None = None
        self._seen: list[torch.Tensor] = []

    @property
    def at_least(self) -> int | None:
        """The shorter side, in pixels, that images are shrunk to."""
        return self.preprocessing.at_least

    @property
    def preprocessing(self) -> Preprocessing:
        """The model's own way from image to pixels."""
        if self._preprocessing is None:
            self._preprocessing = load_preprocessing(self.files.folder)
        return self._preprocessing

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
        try:
            model: Any = transformers.AutoModelForImageClassification.from_pretrained(
                self.files.folder, dtype=torch.float32
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            reason = str(error).strip().splitlines()[0] or type(error).__name__
            raise ModelError(
                f"{self.name!r} cannot be used as an image classifier: {reason}"
            ) from None
        self.use(model, find_head(model, self.preprocessing, self.name))

    def use(self, model: Any, head_name: str) -> None:
        """Take a model that is already in memory instead of loading it; it is put to evaluation."""
        self._device = choose_device(self._device_name)
        self._half = half_precision(self._device)
        model.to(self._device)
        model.eval()
        # The captured tensor may be changed in place by the model (dropout), hence the copy.
        model.get_submodule(head_name).register_forward_pre_hook(
            lambda _module, inputs: self._seen.append(inputs[0].detach().clone())
        )
        self._model = model

    def prepare(self, image: Image.Image) -> np.ndarray:
        """The resized and cropped image, (height, width, 3) uint8."""
        return self.preprocessing.pixels(image)

    def extract(self, prepared: list[np.ndarray]) -> np.ndarray:
        """Head inputs of a batch, (n, d) float32."""
        import torch

        assert self._model is not None
        preprocessing = self.preprocessing
        scale = torch.tensor(preprocessing.scale, device=self._device)
        offset = torch.tensor(preprocessing.offset, device=self._device)
        batch = torch.from_numpy(np.stack(prepared)).to(self._device, non_blocking=True)
        # (n, h, w, 3) seen as (n, 3, h, w) is already in channels-last order.
        pixels = (batch * scale + offset).permute(0, 3, 1, 2)
        self._seen.clear()
        with (
            torch.inference_mode(),
            torch.autocast(
                self._device.type,
                dtype=self._half or torch.float32,
                enabled=self._half is not None,
            ),
        ):
            self._model(pixel_values=pixels)
        return self._seen[-1].reshape(len(prepared), -1).float().cpu().numpy()

    def describe(self) -> dict[str, Any]:
        """Name and identity."""
        return {"name": self.files.name, "identity": self.identity}


def record_features(folder: Path, features: str, head_name: str) -> None:
    """Note in a saved model's config.json whose features its head works on.

    Args:
        folder: the saved model.
        features: `HeadInputs.features` of the model whose backbone it has.
        head_name: the layer that was trained.
    """
    from src.files import write_text

    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config[RECORD] = {"features": features, "head": head_name, "weights": _digest(folder)}
    write_text(file, json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def recorded_head(folder: Path) -> str | None:
    """The head's layer name in a model of ours with an untouched backbone; otherwise None."""
    record = _record(folder)
    return str(record["head"]) if record else None


def _recorded_features(folder: Path) -> str | None:
    record = _record(folder)
    return str(record["features"]) if record else None


def _record(folder: Path) -> dict[str, str] | None:
    """Our record, if it was written for the very weights that lie beside it."""
    try:
        record = json.loads((folder / "config.json").read_text(encoding="utf-8")).get(RECORD)
    except (OSError, ValueError, AttributeError):
        return None
    if not isinstance(record, dict) or not {"features", "head", "weights"} <= record.keys():
        return None
    return record if record["weights"] == _digest(folder) else None


def _digest(folder: Path) -> str:
    """sha256 of the weights; "" if they are not in one file."""
    try:
        with (folder / "model.safetensors").open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
