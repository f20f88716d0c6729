"""The folder of a trained classifier: four files that transformers and the ComfyUI nodes load."""

import glob
import hashlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from src.dataset.trained_on import FILE_NAME as TRAINED_ON
from src.errors import DataError, ModelError
from src.files import README, has_our_readme, read_csv, read_json
from src.images.processors import FILE_NAME as PROCESSOR
from src.images.processors import TAG_LIST, timm_processor

logger = logging.getLogger(__name__)

CATEGORIES = "categories.json"
MODEL_FILES = (CATEGORIES, "config.json", "model.safetensors", PROCESSOR)
RESULT_FILES = (
    *("metrics.json", "report.html", "predictions.csv", "confusion_matrix.csv"),
    *("suspected_labels.csv", "suspects.html", TRAINED_ON),
)
_OF_TAGGERS = (
    *("model.onnx", "ensemble.json", TAG_LIST, "thresholds.json", "tags.csv"),
    *("label_errors.csv", "tag_errors.json"),  # of version bc9c4d7
)
_ABANDONED = 3600  # seconds after which nobody writes a temporary folder any more
_STAGED = ".new-model"  # in a model's folder: a new one, whole, that is to take its place
_RECORD = "image_taste"  # our part of config.json


def check_target(folder: Path) -> None:
    """Make sure, before training, that the model may be saved there."""
    finish_saving(folder)
    for left in folder.parent.glob(
        f".{glob.escape(folder.name)}.new-*"
    ):  # by a run that was killed
        if time.time() - left.stat().st_mtime > _ABANDONED:
            shutil.rmtree(left, ignore_errors=True)
    if (folder / CATEGORIES).is_file():
        logger.info("The classifier in %s will be replaced.", folder)
    elif (folder / "model.safetensors").is_file():
        raise ModelError(
            f"{folder} holds a model that is not a classifier of this program: set save_model to "
            "another folder"
        )


def save_classifier(
    folder: Path,
    model: Any,
    classes: Sequence[str],
    processor_from: Path,
    head_name: str,
    *,
    features: str | None = None,
    trained_here: bool = False,
    also: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Save a model, without the results of an older one; what is interrupted leaves either model.

    Where only the head was trained, `features` and `trained_here` are those of its `HeadInputs`.
    `also` writes what else belongs to the model.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        finish_saving(folder)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.new-", dir=folder.parent) as name:
            temporary = Path(name)
            model.save_pretrained(temporary, max_shard_size="1TB")
            _save_processor(processor_from, temporary)
            _write_json(temporary / CATEGORIES, {"categories": list(classes)})
            record: dict[str, Any] = {"head": head_name, "weights": _digest(temporary)}
            if features is not None:
                record |= {"features": features, "features_trained_here": trained_here}
            config = json.loads((temporary / "config.json").read_text(encoding="utf-8"))
            _write_json(temporary / "config.json", config | {_RECORD: record})
            # safetensors gives its file to the owner alone; all four are to be as readable.
            shutil.copymode(temporary / CATEGORIES, temporary / "model.safetensors")
            also(temporary)
            temporary.rename(folder / _STAGED)
            temporary.mkdir()  # for the end of the block
        finish_saving(folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}") from None


def finish_saving(folder: Path) -> None:
    """Let a new model take the place of the old one, if it is there as a whole."""
    staged = folder / _STAGED
    if not staged.is_dir():
        return
    files = sorted(staged.iterdir())
    if MODEL_FILES[0] in {file.name for file in files}:
        card = [README] if has_our_readme(folder) else []
        for old in (*RESULT_FILES, *_OF_TAGGERS, *card):
            (folder / old).unlink(missing_ok=True)
    for file in files:
        file.replace(folder / file.name)
    staged.rmdir()


def read_record(folder: Path) -> dict[str, Any]:
    """What `save_classifier` noted; empty if other weights are beside it."""
    try:
        record = read_json(folder / "config.json").get(_RECORD)
    except (OSError, ValueError):
        return {}
    if not isinstance(record, dict) or not isinstance(record.get("head"), str):
        return {}
    return record if record.get("weights") == _digest(folder) else {}


def read_classes(folder: Path) -> list[str]:
    """The classes of a saved classifier, in the order of its outputs."""
    finish_saving(folder)
    file = folder / CATEGORIES
    try:
        config = read_json(folder / "config.json")
        if not config.keys() & {"id2label", "label_names"} and (folder / TAG_LIST).is_file():
            return [row["name"].strip() for _, row in read_csv(folder / TAG_LIST, "name")]
        named = config.get("id2label") or dict(enumerate(config["label_names"]))  # so in timm's
        labels = [str(named[index]) for index in sorted(named, key=int)]
        ours = list(map(str, read_json(file)["categories"])) if file.is_file() else labels
    except OSError:
        raise ModelError(f"there is no classifier in {str(folder)!r}: correct load_model") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise ModelError(f"{folder}: config.json or {CATEGORIES} is damaged") from None
    if ours != labels:
        raise ModelError(f"{file} and config.json name different categories: the model is damaged")
    return labels


def _digest(folder: Path) -> str:
    """sha256 of the weights; "" if they are not in one file."""
    try:
        with (folder / "model.safetensors").open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def _save_processor(source: Path, target: Path) -> None:
    described = timm_processor(source)
    if described is not None:
        _write_json(target / PROCESSOR, described)
    elif (source / PROCESSOR).is_file():
        shutil.copyfile(source / PROCESSOR, target / PROCESSOR)
    else:
        import transformers

        loader: Any = transformers.AutoImageProcessor
        loader.from_pretrained(source, backend="pil", trust_remote_code=False).save_pretrained(
            target
        )


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
