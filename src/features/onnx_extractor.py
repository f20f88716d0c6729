"""An extractor that was exported to ONNX: runs with onnxruntime, numpy and Pillow alone."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from src.errors import MissingExtra, ModelError, first_line, loading
from src.features.extractor import PixelExtractor
from src.images.preprocess import Preprocessing

VERSION = 1  # of this module's way from image to vector
_BATCH = 8  # the activations of a few images stay in the processor's cache


class OnnxNetwork:
    """A network as `write_onnx` exports it: pixels (n, height, width, 3) uint8 to (n, d) float32.

    ONNX Runtime takes a GPU unless the device is `cpu`. The purpose is what the user wanted, for
    the message where onnxruntime is missing. `convert` makes of such pixels what networks from
    elsewhere take.
    """

    convert: Callable[[np.ndarray], np.ndarray] = staticmethod(lambda pixels: pixels)

    def __init__(self, file: Path, purpose: str, *, device: str = "cpu") -> None:
        self._file = file
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtra("onnxruntime", purpose) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or 0)
        providers = onnxruntime.get_available_providers()
        self._on_gpu = device != "cpu" and "CUDAExecutionProvider" in providers
        if not self._on_gpu:
            providers = ["CPUExecutionProvider"]
        with loading(str(file)):
            self._session = onnxruntime.InferenceSession(str(file), options, providers=providers)
            self.input, self.output = self._session.get_inputs()[0], self._session.get_outputs()[0]
        self.notes: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map

    def __call__(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        size = len(prepared) if self._on_gpu else _BATCH
        if self.input.shape[:1] == [1]:  # the network takes no more at once
            size = 1
        chunks = [np.stack(prepared[i : i + size]) for i in range(0, len(prepared), size)]
        outputs, name = [self.output.name], self.input.name
        try:
            parts = [self._session.run(outputs, {name: self.convert(chunk)})[0] for chunk in chunks]
            found = np.concatenate(parts, dtype=np.float32)
        except Exception as error:  # onnxruntime's own classes have no common one
            raise ModelError(f"{self._file} cannot process images: {first_line(error)}") from None
        if not np.isfinite(found).all():
            raise ModelError(f"{self._file} gives values that are no numbers: it is damaged")
        return found


class OnnxExtractor(PixelExtractor):
    """The features of another extractor, to about seven digits; `entry`: its part of light.json."""

    def __init__(self, file: Path, entry: Mapping[str, Any]) -> None:
        self._file = file
        try:
            self.name = str(entry["name"])
            self.identity = f"onnx|{entry['identity']}|v{VERSION}"
            self.preprocessing = Preprocessing.from_json(entry["preprocessing"])
        except (KeyError, TypeError, ValueError):
            raise ModelError(
                f"light.json has nothing usable about {file.name}: export the model again"
            ) from None

    def load(self) -> None:
        self._run = OnnxNetwork(self._file, "a light model")
