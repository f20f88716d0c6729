"""A classifier or tagger as an ONNX file: bytes of pixels in, probabilities out, in batches."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.errors import ModelError
from src.files import replacing
from src.image_models.model import MULTI_LABEL
from src.image_models.onnx_file import require_exporter, write_onnx

if TYPE_CHECKING:
    import torch

FILE_NAME = "model.onnx"
TOLERANCE = 1e-4  # of a probability, between the two
_CHECKED_BATCHES = (1, 3)


def export_onnx(folder: Path) -> str:
    """Write model.onnx into a model's folder, and check it against the model.

    Its input `pixels` is (n, height, width, 3) uint8, what `Preprocessing.pixels` makes of an
    image; normalising is part of the graph. Its output `probabilities` is (n, k) float32. The
    preprocessing and the names of the classes or tags are in its metadata.

    Returns:
        A line for the user, with the largest difference from the model's own probabilities.

    Raises:
        ModelError: no classifier or tagger, one that cannot be exported, or the answers differ.
    """
    require_exporter("exporting to ONNX")
    import onnx
    import torch

    from src.image_models.model import input_size
    from src.image_models.predict import open_classifier

    classifier = open_classifier(str(folder), device="cpu")
    preprocessing = classifier.backbone.preprocessing
    graph = _graph(folder, preprocessing.scale, preprocessing.offset)
    height, width = input_size(preprocessing)
    generator = torch.Generator().manual_seed(0)

    def pixels(count: int) -> "torch.Tensor":
        shape = (count, height, width, 3)
        return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)

    with replacing(folder / FILE_NAME) as temporary:
        write_onnx(graph, pixels(2), temporary, output="probabilities", name=str(folder))
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
    return f"Exported: {folder / FILE_NAME} (probabilities differ by {difference:.1g} at most)"


def _graph(folder: Path, scale: tuple[float, ...], offset: tuple[float, ...]) -> "torch.nn.Module":
    import torch
    import transformers

    model: Any = transformers.AutoModelForImageClassification.from_pretrained(
        folder, dtype=torch.float32, trust_remote_code=False
    )

    several = model.config.problem_type == MULTI_LABEL

    class Probabilities(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.scale = torch.nn.Buffer(torch.tensor(scale).view(1, 3, 1, 1))
            self.offset = torch.nn.Buffer(torch.tensor(offset).view(1, 3, 1, 1))

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            values = pixels.permute(0, 3, 1, 2).float() * self.scale + self.offset
            logits: torch.Tensor = self.model(pixel_values=values).logits
            return logits.sigmoid() if several else logits.softmax(dim=1)

    return Probabilities().eval()


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
