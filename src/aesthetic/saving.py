"""Where a model and its figures are kept."""

import csv
import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from src.aesthetic.formats import comfyui
from src.aesthetic.predictor import FILE_NAME, Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.dataset.trained_on import TrainedOn
from src.files import replacing

logger = logging.getLogger(__name__)

COMFYUI_FILE = "comfyui.safetensors"
METRICS = "metrics.json"


def save_predictor(
    folder: Path, predictor: Predictor, trained_on: TrainedOn, data: RatedFeatures
) -> None:
    """Write the model, what it has seen, and for CLIP features the file for the ComfyUI nodes.

    Args:
        folder: the model folder, made if need be.
        predictor: the trained model.
        trained_on: what it and its ancestors have seen.
        data: what it was trained on.

    Raises:
        DataError: a file cannot be written.
    """
    trained_on.save(folder)  # first: a model without it would claim to have seen nothing known
    predictor.save(folder)
    models = [str(extractor["name"]) for extractor in predictor.extractors]
    if all(_is_plain_clip(extractor) for extractor in predictor.extractors):
        export = comfyui.export(
            predictor,
            folder / COMFYUI_FILE,
            clip_models=models,
            features=data.features[data.train],
        )
        if export.agreement < 1:
            logger.info(
                "%s for the ComfyUI nodes, which know linear layers only, orders %.1f %% of the "
                "pairs as the model does.",
                COMFYUI_FILE,
                100 * export.agreement,
            )


def write_table(path: Path, columns: Mapping[str, Sequence[object]], order: Iterable[int]) -> None:
    """Write columns of equal length as CSV, the rows in the given order.

    Raises:
        DataError: the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([values[row] for values in columns.values()] for row in order)


def evaluation_folder(save_model: Path, is_default: bool, load_model: Path, images: Path) -> Path:
    """Where the figures of a model go that is measured and not trained.

    Into `save_model` if that was chosen and holds no model; otherwise into a folder inside the
    model's, named after the image folder. Another image folder of that name gets a folder of its
    own.
    """
    chosen = not is_default and not (save_model / FILE_NAME).exists()
    if chosen and save_model.resolve() != load_model.resolve():
        return save_model
    model = load_model.parent if load_model.name == FILE_NAME else load_model
    resolved = images.resolve()
    name = f"evaluation-{resolved.name}"
    folder = model / name if model.is_dir() else model.with_name(f"{model.stem}-{name}")
    if _measured_images(folder) not in (None, str(resolved)):
        digest = hashlib.sha256(str(resolved).encode("utf-8")).hexdigest()[:8]
        folder = folder.with_name(f"{folder.name}-{digest}")
    return folder


def _measured_images(folder: Path) -> Any:
    """The image folder that the figures in a folder are of; None without any."""
    try:
        metrics: Mapping[str, Any] = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        return metrics.get("images")
    except (OSError, ValueError, AttributeError):
        return None


def _is_plain_clip(extractor: Mapping[str, Any]) -> bool:
    return extractor.get("model_type") == "clip" and not extractor.get("hidden_states")
