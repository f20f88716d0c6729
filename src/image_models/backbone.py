"""What an image classifier's last layer sees of each image, as features in the store."""

import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from src.errors import ModelError, UserError, first_line
from src.features.extractor import PixelExtractor
from src.features.hub import resolve_model
from src.features.network_runner import NetworkRunner
from src.image_models.head import LinearHead
from src.image_models.model import find_head, from_pretrained, no_linear_head
from src.image_models.save import finish_saving, read_classes, read_record
from src.images.preprocess import Preprocessing
from src.images.processors import load_preprocessing
from src.text import counted

if TYPE_CHECKING:
    import torch

VERSION = 1  # of this module's way from image to vector


class HeadInputs(PixelExtractor):
    """The input of a classifier's final linear layer: an extractor for the feature store.

    Which tensor that is (a pooled map, the class token, a mean) is the architecture's own choice,
    so a linear head that is trained on these features is exactly the model's own head. A model
    saved with a new head on an untouched backbone shares the features of the one it came from.
    """

    _run: NetworkRunner

    def __init__(self, name: str, *, device: str = "auto", precision: str = "auto") -> None:
        finish_saving(Path(name))
        folder = Path(name).expanduser()
        if (folder / "model.onnx").is_file() and not any(folder.glob("*.safetensors")):
            raise ModelError(
                f"{name!r} holds model.onnx alone, which can tag images but not be trained: fetch "
                "the same model's config.json and model.safetensors as well"
            )
        self.files = resolve_model(name)
        self.name, self._device, self._precision = self.files.name, device, precision
        record = read_record(self.files.folder)
        # What stands for these features in the identity of all who share them.
        self.features: str = record.get("features") or self.files.identity
        self.identity = f"classifier head input|{self.features}|v{VERSION}"
        # Whether the head alone, or whether more than it, was trained on the user's images.
        self.untouched = self.features != self.files.identity
        self.trained_here = bool(record.get("features_trained_here", "features" not in record))
        self.trained_here &= bool(record)
        self._head_name: str | None = record.get("head")
        self._model: Any = None
        self._seen = threading.local()
        self._checked = False

    @cached_property
    def preprocessing(self) -> Preprocessing:  # type: ignore[override]
        return load_preprocessing(self.files.folder)

    def head(self) -> LinearHead:
        """The model's own head, read without the rest of the model where that can be."""
        if self._head_name:
            from safetensors import safe_open

            with safe_open(self.files.folder / "model.safetensors", framework="np") as tensors:
                keys = [f"{self._head_name}.{part}" for part in ("weight", "bias")]
                if set(keys) <= set(tensors.keys()):
                    weight, bias = (tensors.get_tensor(key).astype(np.float32) for key in keys)
                    return LinearHead(weight, bias)
        self.load()
        return LinearHead.of(self._model.get_submodule(self._head_name))

    def load(self, images: int = 0) -> None:
        if self._model is None:
            import torch

            # Convolutions are fastest with the channels last; other layers do not mind.
            model = from_pretrained(self.files.folder, self.name)
            model = model.to(memory_format=torch.channels_last)
            known = self._head_name if self._head_name in dict(model.named_modules()) else None
            self.use(model, known or find_head(model, self.preprocessing, self.name))
        if images:
            self._run.choose(self.name, self.identity, images)

    def use(self, model: Any, head_name: str) -> None:
        """Take a model that is in memory already instead of loading it; it is put to evaluation."""
        # The captured tensor may be changed in place by the model (dropout), hence the copy.
        self._hook = model.get_submodule(head_name).register_forward_pre_hook(
            lambda _module, inputs: setattr(self._seen, "inputs", inputs[0].detach().clone())
        )
        self._run = NetworkRunner(
            self._head_inputs,
            model,
            self.preprocessing,
            device=self._device,
            precision=self._precision,
        )
        self._model, self._head_name = model, head_name

    def precision_for_training(self, model: Any, head_name: str, images: int) -> str:
        """In which a model that is in memory is computed fastest here, as far as it agrees."""
        self.use(model, head_name)
        self._run.choose(self.name, self.identity, images)
        self._hook.remove()
        return self._run.precision

    def extract(self, prepared: list[np.ndarray]) -> np.ndarray:
        try:
            found = self._run(prepared)
        except UserError:
            raise
        except Exception as error:  # whatever the layers of a damaged model raise
            text = f"{self.name} cannot process images ({first_line(error)})"
            raise ModelError(f"{text}: fetch the model again, or lower the batch size") from None
        if not np.isfinite(found).all():
            raise ModelError(f"{self.name} gives values that are no numbers: it is damaged")
        return found

    def _head_inputs(self, model: Any, pixels: "torch.Tensor") -> "torch.Tensor":
        logits = model(pixel_values=pixels).logits
        features: torch.Tensor = self._seen.inputs.reshape(len(pixels), -1)
        if not self._checked:  # that nothing comes between the head and the logits
            head = model.get_submodule(self._head_name)
            if not head(features).allclose(logits, rtol=0.01, atol=0.01):
                raise no_linear_head(self._model, self.name)
            self._checked = True
        return features


class Classifier(NamedTuple):
    """A trained model: what makes its features, its last layer, and the names of the outputs."""

    classes: tuple[str, ...]
    backbone: HeadInputs
    head: LinearHead


def open_classifier(name: str, *, device: str = "auto", precision: str = "auto") -> Classifier:
    """Open a classifier of ours or any other of transformers: a folder, or a name on the hub."""
    backbone = HeadInputs(name, device=device, precision=precision)
    classes, head = read_classes(backbone.files.folder), backbone.head()
    if not all(np.isfinite(part).all() for part in head):
        raise ModelError(f"the weights in {backbone.files.folder} are no numbers: it is damaged")
    if len(head.bias) != len(classes):
        raise ModelError(
            f"the model in {backbone.files.folder} has no head for "
            f"{counted(len(classes), 'category')}"
        )
    return Classifier(tuple(classes), backbone, head)
