"""Training a model at another image size than its own."""

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.errors import ModelError
from src.files import write_text
from src.image_models.model import input_size, run_on_noise
from src.images.preprocess import Preprocessing
from src.images.processors import FILE_NAME, timm_processor

if TYPE_CHECKING:
    import torch


def with_image_size(source: Path, size: int, target: Path) -> Path:
    """Write a model's preprocessing for squares of another size into a folder; returns that."""
    try:
        config: dict[str, Any] = timm_processor(source) or json.loads(
            (source / FILE_NAME).read_text(encoding="utf-8")
        )
    except (OSError, ValueError):
        raise ModelError(f"{source / FILE_NAME} cannot be read") from None
    cut = config.get("crop_size") or config.get("size")
    named = cut if isinstance(cut, dict) else {"height": cut}
    before = named.get("height") or named.get("shortest_edge")
    if not before:
        raise ModelError(f"{source / FILE_NAME} names no image size: image_sizes cannot be used")
    for key in config.keys() & {"size", "crop_size"}:  # what is cut off keeps its share
        sides = config[key]
        if isinstance(sides, dict):
            config[key] = {
                name: side and round(side * size / before) for name, side in sides.items()
            }
        elif sides:
            config[key] = round(sides * size / before)
    write_text(target / FILE_NAME, json.dumps(config, indent=2) + "\n")
    return target


def resize_model(model: Any, preprocessing: Preprocessing, name: str) -> Any:
    """A model with the same weights that takes images of this size: often the model itself.

    A vision transformer has one position embedding for each patch; between those that it has
    learnt, bicubic interpolation gives those of a finer or coarser grid (Dosovitskiy et al., "An
    image is worth 16x16 words", 2021, section 3.2). Its `config.image_size` is the new size then,
    so that the saved model is an ordinary one.
    """
    height, width = input_size(preprocessing)
    if _accepts(model, height, width):
        return model
    found = [key for key in model.state_dict() if key.endswith("embeddings.position_embeddings")]
    config = copy.deepcopy(model.config)
    patch = getattr(config, "patch_size", None)
    if len(found) == 1 and isinstance(patch, int) and isinstance(config.image_size, int):
        if height % patch or height != width:
            raise ModelError(
                f"image_sizes: {name!r} takes squares of whole patches of {patch} pixels, "
                f"not {height} x {width}"
            )
        weights = model.state_dict()
        sides = config.image_size // patch, height // patch
        weights[found[0]] = _interpolated(weights[found[0]], *sides)
        config.image_size = height
        resized = type(model)(config)
        resized.load_state_dict(weights)
        resized.train(model.training).to(model.device)
        if _accepts(resized, height, width):
            return resized
    raise ModelError(
        f"{name!r} ({type(model).__name__}) can only be trained at its own image size: "
        "leave image_sizes empty, or choose another model"
    )


def _accepts(model: Any, height: int, width: int) -> bool:
    try:
        run_on_noise(model, height, width)
    except (ValueError, RuntimeError):
        return False
    return True


def _interpolated(positions: "torch.Tensor", side: int, new_side: int) -> "torch.Tensor":
    """(1, p + side², d) to (1, p + new_side², d); the first p, of class tokens, stay."""
    import torch

    first = positions.shape[1] - side**2
    grid = positions[:, first:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    grid = torch.nn.functional.interpolate(grid, size=(new_side, new_side), mode="bicubic")
    return torch.cat([positions[:, :first], grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)
