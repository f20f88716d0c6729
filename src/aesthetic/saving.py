"""Where a model and its figures are kept."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from src.aesthetic.formats import comfyui
from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.dataset.trained_on import TrainedOn
from src.files import write_csv

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
        agreement = comfyui.export(
            predictor,
            folder / COMFYUI_FILE,
            clip_models=models,
            features=data.features[data.train],
            held_out=data.features[data.test],
        )
        if agreement != 1:
            logger.info(
                "%s for the ComfyUI nodes, which know no such head, imitates the model: it orders "
                "%s of the pairs of test images as the model does.",
                COMFYUI_FILE,
                "an unknown share" if agreement is None else f"{agreement:.1%}",
            )


def write_table(path: Path, columns: Mapping[str, Sequence[object]], order: Iterable[int]) -> None:
    """Write columns of equal length as CSV, the rows in the given order.

    Raises:
        DataError: the file cannot be written.
    """
    values = list(columns.values())
    write_csv(path, [list(columns), *([column[row] for column in values] for row in order)])


def _is_plain_clip(extractor: Mapping[str, Any]) -> bool:
    return extractor.get("model_type") == "clip" and not extractor.get("hidden_states")
