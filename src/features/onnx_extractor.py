"""An extractor that was exported to ONNX: runs with onnxruntime, numpy and Pillow alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.errors import ModelError
from src.features.extractor import PixelExtractor
from src.features.onnx_network import OnnxNetwork
from src.images.preprocess import Preprocessing

VERSION = 1  # of this module's way from image to vector


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

    def load(self, images: int = 0) -> None:
        self._run = OnnxNetwork(self._file, "a light model", threads=1)
