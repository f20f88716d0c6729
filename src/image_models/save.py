"""The folder of a trained classifier: four files that transformers and the ComfyUI nodes load."""

import json
import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from src.dataset.trained_on import FILE_NAME as TRAINED_ON
from src.errors import DataError, ModelError
from src.files import write_text
from src.image_models.backbone import write_record
from src.images.processors import timm_processor

logger = logging.getLogger(__name__)

CATEGORIES = "categories.json"
MODEL_FILES = ("config.json", "model.safetensors", "preprocessor_config.json", CATEGORIES)
RESULT_FILES = (
    "metrics.json",
    "report.html",
    "predictions.csv",
    "confusion_matrix.csv",
    "suspected_labels.csv",
    "suspects.html",
    TRAINED_ON,
)
_OF_TAGGERS = (
    *("model.onnx", "ensemble.json", "selected_tags.csv", "thresholds.json", "tags.csv"),
    *("label_errors.csv", "tag_errors.json"),  # of version bc9c4d7
)


def check_target(folder: Path) -> None:
    """Make sure, before training, that the model may be saved there.

    Raises:
        ModelError: there is another kind of model.
    """
    if (folder / "model.safetensors").is_file() and not (folder / CATEGORIES).is_file():
        raise ModelError(
            f"{folder} holds a model that is no classifier of this program: set save_model to "
            "another folder"
        )
    if (folder / CATEGORIES).is_file():
        logger.info("The classifier in %s will be replaced.", folder)


def save_classifier(
    folder: Path,
    model: Any,
    classes: Sequence[str],
    processor_from: Path,
    head_name: str,
    *,
    features: str | None = None,
    trained_here: bool = False,
) -> None:
    """Save a model so that each file is there as a whole, and results of an older one are not.

    Args:
        folder: where to.
        model: a transformers image classifier with the right `id2label`.
        classes: in the order of its outputs.
        processor_from: folder with the preprocessing that the model was trained with.
        head_name: the model's last layer.
        features: where only the head was trained: `HeadInputs.features` of the backbone.
        trained_here: see `HeadInputs.trained_here`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as name:
            temporary = Path(name)
            model.save_pretrained(temporary, max_shard_size="1TB")
            _save_processor(processor_from, temporary)
            (temporary / CATEGORIES).write_text(
                json.dumps({"categories": list(classes)}, indent=2, ensure_ascii=False) + "\n",
                encoding="utf-8",
            )
            write_record(temporary, head_name, features, trained_here=trained_here)
            # safetensors gives its file to the owner alone; all four are to be as readable.
            shutil.copymode(temporary / CATEGORIES, temporary / "model.safetensors")
            for file in (*RESULT_FILES, *_OF_TAGGERS):
                (folder / file).unlink(missing_ok=True)
            for file in MODEL_FILES:
                (temporary / file).replace(folder / file)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}") from None


def read_classes(folder: Path) -> list[str]:
    """The categories of a saved classifier, in the order of its outputs.

    Raises:
        ModelError: there is no classifier, or its files contradict each other.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        named = config.get("id2label") or dict(enumerate(config["label_names"]))  # so in timm's
        labels = {int(index): str(label) for index, label in named.items()}
    except OSError:
        raise ModelError(f"there is no classifier in {str(folder)!r}: correct load_model") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise ModelError(f"{folder / 'config.json'} is damaged, or not of a classifier") from None
    named = [labels[index] for index in sorted(labels)]
    file = folder / CATEGORIES
    if not file.is_file():
        return named
    try:
        classes = json.loads(file.read_text(encoding="utf-8"))["categories"]
    except (ValueError, KeyError, TypeError):
        raise ModelError(f"{file} is damaged") from None
    if list(map(str, classes)) != named:
        raise ModelError(f"{file} and config.json name other categories: the model is damaged")
    return named


def remove_checkpoints(folder: Path) -> None:
    """Take away the checkpoints of a run that has ended, and their folder if it is empty."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.parent.rmdir()
    except OSError:  # checkpoints of other runs are there
        logger.info("Checkpoints of unfinished runs are left in %s.", folder.parent)


def _save_processor(source: Path, target: Path) -> None:
    file = source / "preprocessor_config.json"
    if file.is_file():
        shutil.copyfile(file, target / file.name)
        return
    described = timm_processor(source)
    if described is not None:
        write_text(target / file.name, json.dumps(described, indent=2) + "\n")
        return
    import transformers

    loader: Any = transformers.AutoImageProcessor
    loader.from_pretrained(source, backend="pil", trust_remote_code=False).save_pretrained(target)
