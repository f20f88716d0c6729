"""Opening a saved classifier: what makes its features, and its head."""

from dataclasses import dataclass
from pathlib import Path

from src.errors import ModelError
from src.image_models.backbone import HeadInputs
from src.image_models.head import LinearHead
from src.image_models.save import read_classes


@dataclass(frozen=True)
class Classifier:
    """A trained model: what makes its features, and its head.

    Attributes:
        folder: where it was saved.
        classes: in the order of the outputs.
        backbone: the extractor of the head's inputs.
        head: the last layer.
    """

    folder: Path
    classes: tuple[str, ...]
    backbone: HeadInputs
    head: LinearHead


def open_classifier(name: str, *, device: str = "auto") -> Classifier:
    """Open a classifier that was saved by `save_classifier`, or any other of transformers.

    Args:
        name: a folder, or a name on the hub.
        device: see `src.devices.choose_device`.
    """
    backbone = HeadInputs(name, device=device)
    folder = backbone.files.folder
    classes = read_classes(folder)
    head = backbone.head()
    if len(head.bias) != len(classes):
        raise ModelError(f"the model in {folder} has no head for its {len(classes)} categories")
    return Classifier(folder, tuple(classes), backbone, head)
