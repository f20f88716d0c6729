"""Model folders of the aesthetic predictor, and the model that training starts from."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.aesthetic.formats import comfyui
from src.aesthetic.formats.pretrained_head import published_head
from src.aesthetic.predictor import FILE_NAME, Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.train import check_extractors
from src.errors import ModelError, SettingsError

logger = logging.getLogger(__name__)

COMFYUI_FILE = "comfyui.safetensors"
_PUBLISHED_FOR = "openai/clip-vit-large-patch14"


def choose_prior(
    base_model: str, extractors: Sequence[Mapping[str, Any]], folder: Path
) -> Predictor | None:
    """The model that training starts from, or None for from scratch.

    Args:
        base_model: a model file or folder; "" for none; "auto" for the published aesthetic head
            where the features are those it was made for.
        extractors: what the extractors say of themselves.
        folder: where published heads are kept.

    Raises:
        ModelError: the model is not there, damaged, or cannot be fetched.
    """
    if not base_model:
        return None
    if base_model == "auto":
        names = [extractor.get("name") for extractor in extractors]
        if names != [_PUBLISHED_FOR] or extractors[0].get("hidden_states"):
            return None
        return Predictor.load(published_head(folder))
    path = Path(base_model)
    if not path.exists() and path.parent == folder and path.suffix in {".safetensors", ".pth"}:
        published = published_head(folder)
        if published.stem == path.stem:
            path = published
    return Predictor.load(path)


def previous_model(
    folder: Path, extractors: Sequence[Mapping[str, Any]], provenance: Mapping[str, Any]
) -> Predictor | None:
    """The model that is about to be replaced, if the new one can be compared with it.

    Args:
        folder: the model folder.
        extractors: what the extractors of the new model say of themselves.
        provenance: how the new model is made: with another `test_pick_seed`, or a larger
            `fraction_for_test`, the old one was trained on some of the images to be tested on.
    """
    if not (folder / FILE_NAME).is_file():
        return None
    try:
        model = Predictor.load(folder)
        check_extractors(model, extractors)
    except ModelError as error:
        logger.info("No comparison with the model that was there before: %s", error)
        return None
    was, now = model.provenance, provenance
    comparable = (
        was.get("test_pick_seed") == now.get("test_pick_seed")
        and float(was.get("fraction_for_test") or 0) >= float(now.get("fraction_for_test") or 0)
        and (was.get("loss_model") == "bce") == (now.get("loss_model") == "bce")
    )
    return model if comparable else None


def save_predictor(folder: Path, predictor: Predictor, data: RatedFeatures) -> None:
    """Write `model.safetensors`, and for CLIP features also the file for the ComfyUI nodes.

    Args:
        folder: the model folder, made if need be.
        predictor: the trained model.
        data: what it was trained on.

    Raises:
        DataError: a file cannot be written.
    """
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


def check_free(results: Path, model: Path) -> None:
    """Make sure that figures on one model do not replace those in the folder of another.

    Raises:
        SettingsError: the folder for the results holds a model other than the one measured.
    """
    if (results / FILE_NAME).exists() and results.resolve() != model.resolve():
        raise SettingsError(
            f"save_model {str(results)!r} holds another model, whose figures would be replaced by "
            f"those of {str(model)!r}: set save_model to that folder, or to a new one"
        )


def _is_plain_clip(extractor: Mapping[str, Any]) -> bool:
    return extractor.get("model_type") == "clip" and not extractor.get("hidden_states")
