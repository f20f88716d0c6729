"""An extractor that was exported to ONNX: runs with onnxruntime, numpy and Pillow alone."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from src.errors import MissingExtra, ModelError
from src.features.pixel_extractor import PixelExtractor
from src.images.preprocess import Preprocessing

VERSION = 1  # of this module's way from image to vector
_BATCH = 8  # the activations of a few images stay in the processor's cache


class OnnxExtractor(PixelExtractor):
    """The features of another extractor, to about seven digits.

    Args:
        file: the ONNX file; input `pixels` (n, height, width, 3) uint8, output (n, d) float32.
        entry: what `light.json` says of it: name, identity, preprocessing.

    Raises:
        ModelError: the entry is damaged.
    """

    def __init__(self, file: Path, entry: Mapping[str, Any]) -> None:
        self._file = file
        try:
            self.name = str(entry["name"])
            self.identity = f"onnx|{entry['identity']}|v{VERSION}"
            self.preprocessing = Preprocessing.from_json(entry["preprocessing"])
        except (KeyError, TypeError, ValueError):
            raise ModelError(
                f"light.json says nothing usable of {file.name}: export the model again"
            ) from None

    def load(self) -> None:
        """Open the network.

        Raises:
            ModelError: the file is missing or damaged.
            MissingExtra: onnxruntime is not installed.
        """
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtra("onnxruntime", "a light model") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or 0)
        try:
            self._session = onnxruntime.InferenceSession(
                str(self._file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own classes have no common one
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"{self._file} cannot be opened: {reason}") from None

    def extract(self, prepared: list[np.ndarray]) -> np.ndarray:
        """Features of a batch, (n, d) float32."""
        chunks = [np.stack(prepared[i : i + _BATCH]) for i in range(0, len(prepared), _BATCH)]
        return np.concatenate([self._session.run(None, {"pixels": c})[0] for c in chunks])
