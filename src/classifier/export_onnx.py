"""A tagging model as one ONNX file: bytes of pixels in, probabilities out, any batch size."""

import contextlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.classifier.tag_model import ONNX_FILE
from src.errors import MissingExtra, ModelError
from src.files import replacing

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

TOLERANCE = 1e-4  # of a probability, between the two
_CHECKED_BATCHES = (1, 3)


def export_onnx(folder: Path) -> float:
    """Write model.onnx into a tagging model's folder, and check it against the model.

    Its input `pixels` is (n, height, width, 3) uint8, what `Preprocessing.pixels` makes of an
    image; normalising is part of the graph. Its output `probabilities` is (n, k) float32. The
    preprocessing and the tags' names are in its metadata.

    Returns:
        The largest difference from the model's own probabilities.

    Raises:
        ModelError: no tagging model, one that cannot be exported, or the answers differ.
        MissingExtra: onnx, onnxscript or onnxruntime is not installed.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(package)
        except ImportError:
            raise MissingExtra(package, "exporting to ONNX") from None
    import onnx
    import torch

    from src.classifier.model import input_size
    from src.classifier.predict import open_classifier

    classifier = open_classifier(str(folder), device="cpu")
    preprocessing = classifier.backbone.preprocessing
    graph = _graph(folder, preprocessing.scale, preprocessing.offset)
    height, width = input_size(preprocessing)
    generator = torch.Generator().manual_seed(0)

    def pixels(count: int) -> "torch.Tensor":
        shape = (count, height, width, 3)
        return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)

    with replacing(folder / ONNX_FILE) as temporary:
        _export(graph, pixels(2), temporary, str(folder))
        model = onnx.load(str(temporary))
        notes = {
            "preprocessing": json.dumps(preprocessing.to_json()),
            "tags": json.dumps(list(classifier.classes), ensure_ascii=False),
        }
        onnx.helper.set_model_props(model, notes)
        onnx.checker.check_model(model)
        onnx.save(model, str(temporary))
        difference = max(_difference(graph, temporary, pixels(count)) for count in _CHECKED_BATCHES)
        if not difference <= TOLERANCE:
            raise ModelError(
                f"{folder}: the exported model's probabilities differ by {difference:.2g}; "
                "nothing was written"
            )
    return difference


def _graph(folder: Path, scale: tuple[float, ...], offset: tuple[float, ...]) -> "torch.nn.Module":
    import torch
    import transformers

    model: Any = transformers.AutoModelForImageClassification.from_pretrained(
        folder, dtype=torch.float32
    )

    class Probabilities(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.scale = torch.nn.Buffer(torch.tensor(scale).view(1, 3, 1, 1))
            self.offset = torch.nn.Buffer(torch.tensor(offset).view(1, 3, 1, 1))

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            values = pixels.permute(0, 3, 1, 2).float() * self.scale + self.offset
            probabilities: torch.Tensor = self.model(pixel_values=values).logits.sigmoid()
            return probabilities

    return Probabilities().eval()


def _export(graph: "torch.nn.Module", example: "torch.Tensor", file: Path, name: str) -> None:
    import torch

    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),  # the exporter's own progress lines
            torch.no_grad(),
        ):
            warnings.simplefilter("ignore")
            for talkative in ("onnxscript", "onnx_ir", "torch.onnx"):
                logging.getLogger(talkative).setLevel(logging.ERROR)
            torch.onnx.export(
                graph,
                (example,),
                str(file),
                input_names=["pixels"],
                output_names=["probabilities"],
                dynamic_shapes={"pixels": {0: torch.export.Dim.DYNAMIC}},
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter raises whatever its parts raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{name} cannot be exported to ONNX: {reason}") from None


def _difference(graph: "torch.nn.Module", file: Path, pixels: "torch.Tensor") -> float:
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"pixels": pixels.numpy()})
    with torch.inference_mode():
        expected = graph(pixels).numpy()
    if found.shape != expected.shape:
        return np.inf
    return float(np.abs(found - expected).max())
