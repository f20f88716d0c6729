"""Published taggers of the wd family: SmilingWolf's wd-v1-4-*-tagger and wd-*-tagger-v3.

In the folder are selected_tags.csv, in the order of the outputs, and model.onnx: from pixels of 0
to 255 as floats, blue first, (n, side, side, 3) or (n, 3, side, side), to probabilities, (n, k).
Images are put into a white square and resized bicubically, as on the author's page,
https://huggingface.co/spaces/SmilingWolf/wd-tagger. model.safetensors, for timm, holds the same.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from src.errors import ModelError
from src.features.onnx_network import OnnxNetwork
from src.images.preprocess import Preprocessing
from src.text import counted

Run = Callable[[list[np.ndarray]], np.ndarray]  # pixels to probabilities, (n, k) float32
_LARGEST_SIDE = 1024  # pixels; those that are published take 448


def fit_network(network: OnnxNetwork, file: Path, tags: int) -> tuple[Preprocessing, Run]:
    """What a network from elsewhere wants of images, and what runs it on the pixels.

    Nothing but the shapes of its input and output, within bounds, is believed.
    """
    inputs, outputs = network.input.shape, network.output.shape
    match inputs:
        case [batch, 3, int(side), width]:
            axes = (0, 3, 1, 2)
        case [batch, int(side), width, 3]:
            axes = (0, 1, 2, 3)
        case _:
            batch, side, width, axes = None, 0, 0, (0, 1, 2, 3)
    if not (
        3 < side <= _LARGEST_SIDE
        and width == side
        and (batch == 1 or not isinstance(batch, int))
        and network.input.type == "tensor(float)"
        and len(outputs) == 2
        and (outputs[1] == tags or not isinstance(outputs[1], int))
    ):
        what = f"is no wd tagger for {counted(tags, 'tag')} (input {inputs}, output {outputs})"
        raise ModelError(
            f"{file} was not exported by this program, and {what}: export it again, or fetch the "
            "model again"
        )
    network.convert = lambda pixels: np.ascontiguousarray(pixels.transpose(axes), np.float32)

    def run(prepared: list[np.ndarray]) -> np.ndarray:
        found = network(prepared)
        if found.shape != (len(prepared), tags) or found.min() < 0 or found.max() > 1:
            what = f"probabilities of {counted(tags, 'tag')}"
            raise ModelError(f"{file} does not give {what}: fetch the model again")
        return found

    plain = (1.0,) * 3, (0.0,) * 3
    return Preprocessing((side, side), None, Image.Resampling.BICUBIC, *plain, wd_tagger=True), run
