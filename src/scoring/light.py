"""Light copies of models: head and extractors in one folder, to be used without torch.

The folder holds `model.safetensors`, `extractor-N.onnx` for each extractor that needs one, and
`light.json`, which says what they are.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from src.aesthetic.predictor import Predictor
from src.errors import ModelError
from src.features import Extractor
from src.features.onnx_extractor import OnnxExtractor
from src.features.onnx_network import require_exporter, write_onnx
from src.features.registry import open_extractor
from src.files import replacing, write_text

FILE_NAME = "light.json"
TOLERANCE = 1e-3  # largest difference of features, relative to their spread
_PLAIN = ("builtin", "text:builtin")  # need numpy and Pillow only


def is_light(folder: Path) -> bool:
    return (folder / FILE_NAME).is_file()


def open_light(folder: Path, predictor: Predictor) -> list[Extractor]:
    """The extractors of a light copy with this head."""
    try:
        entries = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))["extractors"]
        known = [(entry["identity"], entry["file"], entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelError(f"{folder / FILE_NAME} is damaged: export the model again") from None
    if [identity for identity, *_ in known] != [e.get("identity") for e in predictor.extractors]:
        raise ModelError(f"{folder}: the extractors and the head are of different models")
    return [
        open_extractor(entry["name"])
        if file is None
        else OnnxExtractor(folder / Path(file).name, entry)
        for _, file, entry in known
    ]


def export_light(predictor: Predictor, extractors: Sequence[Extractor], folder: Path) -> float:
    """Write a light copy; returns by how much of their spread its features differ at most."""
    require_exporter("a light copy of the model")
    entries, largest = [], 0.0
    for number, extractor in enumerate(extractors):
        plain = extractor.name in _PLAIN
        entry: dict[str, Any] = {
            "name": extractor.name if plain else Path(extractor.name).name,
            "identity": extractor.identity,
            "file": None if plain else f"extractor-{number}.onnx",
        }
        if not plain:
            largest = max(largest, _export_extractor(extractor, folder / entry["file"], entry))
        entries.append(entry)
    # The heads that others published do not say which copy of their extractor they are used with.
    replace(predictor, extractors=tuple(each.describe() for each in extractors)).save(folder)
    content = {"format": "image-taste light model", "extractors": entries}
    write_text(folder / FILE_NAME, json.dumps(content, indent=1))
    return largest


def _export_extractor(extractor: Extractor, file: Path, entry: dict[str, Any]) -> float:
    """Write the network, add its preprocessing to the entry, and return the difference."""
    import torch

    from src.features.transformer import TransformerExtractor

    if not isinstance(extractor, TransformerExtractor):
        raise ModelError(f"features of {extractor.name!r} cannot be exported to ONNX")
    extractor.load()
    network, preprocessing = extractor.network()
    network.cpu()
    entry["preprocessing"] = preprocessing.to_json()
    # Noise of several sizes, so that the features differ as those of images do.
    rng = np.random.default_rng(0)
    noise = [
        Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).resize((512, 512))
        for side in (2, 5, 16, 64, 200)
    ]
    pixels = np.stack([preprocessing.pixels(image) for image in noise])
    with replacing(file) as temporary:
        example = torch.from_numpy(pixels[:2])
        write_onnx(network, example, temporary, output="features", name=repr(extractor.name))
        copy = OnnxExtractor(temporary, entry)
        copy.load()
        with torch.inference_mode():
            expected = network(torch.from_numpy(pixels)).numpy()
        spread = float(expected.std()) or 1.0
        difference = float(np.abs(expected - copy.extract(list(pixels))).max()) / spread
        if not difference <= TOLERANCE:
            raise ModelError(
                f"the exported {extractor.name!r} gives different features (by {difference:.2g} of "
                "their spread): nothing was written"
            )
    return difference
