"""A trained classifier or tagger as one ONNX file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.errors import ModelError
from src.features.onnx_network import OnnxNetwork, require_exporter, write_onnx
from src.files import replacing
from src.image_models.model import MULTI_LABEL, from_pretrained, input_size
from src.images.preprocess import Preprocessing
from src.images.processors import TAG_LIST

if TYPE_CHECKING:
    import torch

FILE_NAME = "model.onnx"
TOLERANCE = 1e-4  # of a probability, between the two
_CHECKED = 9  # images: a whole batch of OnnxNetwork, and one more


def export_onnx(folder: Path) -> str:
    """Write model.onnx into a classifier's or tagger's folder, and check it against the model.

    From `pixels`, what `Preprocessing.pixels` makes of images, to `probabilities`, (n, k) float32;
    the preprocessing and the names of the classes or tags are in its metadata. Returns a line for
    the user, with the largest difference from the model's own probabilities.
    """
    require_exporter("exporting to ONNX")
    import torch

    from src.image_models.backbone import open_classifier

    classifier = open_classifier(str(folder), device="cpu")
    preprocessing = classifier.backbone.preprocessing
    graph = _graph(folder, preprocessing)
    shape = (*input_size(preprocessing), 3)
    generator = torch.Generator().manual_seed(0)

    def pixels(count: int) -> "torch.Tensor":
        return torch.randint(0, 256, (count, *shape), generator=generator, dtype=torch.uint8)

    notes = {
        "preprocessing": json.dumps(preprocessing.to_json()),
        "tags": json.dumps(list(classifier.classes), ensure_ascii=False),
    }
    options: Any = {"output": "probabilities", "name": str(folder), "notes": notes}
    with replacing(folder / FILE_NAME) as temporary:
        write_onnx(graph, pixels(2), temporary, **options)
        exported = OnnxNetwork(temporary, "exporting to ONNX")
        batch = pixels(_CHECKED)
        with torch.inference_mode():
            expected = graph(batch).numpy()
        difference = float(np.abs(exported([*batch.numpy()]) - expected).max())
        if not difference <= TOLERANCE:
            text = f"{folder}: the exported model's probabilities differ by {difference:.2g}"
            raise ModelError(f"{text}; nothing was written")
    return f"Exported: {folder / FILE_NAME} (probabilities differ by {difference:.1g} at most)"


def _graph(folder: Path, preprocessing: Preprocessing) -> "torch.nn.Module":
    import torch

    model = from_pretrained(folder, str(folder))
    several = model.config.problem_type == MULTI_LABEL or (folder / TAG_LIST).is_file()

    class Probabilities(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.scale = torch.nn.Buffer(torch.tensor(preprocessing.scale))
            self.offset = torch.nn.Buffer(torch.tensor(preprocessing.offset))

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            values = (pixels.float() * self.scale + self.offset).permute(0, 3, 1, 2)
            logits: torch.Tensor = self.model(pixel_values=values).logits
            return logits.sigmoid() if several else logits.softmax(dim=1)

    return Probabilities().eval()
