"""Training a model at another image size than its own."""

import json
from pathlib import Path
from typing import Any

from src.errors import ModelError
from src.files import write_text

_FILE = "preprocessor_config.json"


def with_image_size(source: Path, size: int, target: Path) -> Path:
    """Write a preprocessing that differs from a model's own in the size alone.

    Args:
        source: the model's folder.
        size: side of the square that the model is given, in pixels.
        target: a folder for the file; it is made.

    Returns:
        The folder `target`.

    Raises:
        ModelError: the model's preprocessing has no size that could be changed.
    """
    try:
        config: dict[str, Any] = json.loads((source / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ModelError(f"{source / _FILE} cannot be read") from None
    before = _side(config.get("crop_size")) or _side(config.get("size"))
    if not before:
        raise ModelError(f"{source / _FILE} names no image size: image_sizes cannot be used")
    for key in ("size", "crop_size"):  # what is cut off keeps its share
        if key in config:
            config[key] = _scaled(config[key], size / before)
    write_text(target / _FILE, json.dumps(config, indent=2) + "\n")
    return target


def _side(size: Any) -> int:
    if isinstance(size, dict):
        return int(size.get("height") or size.get("shortest_edge") or 0)
    return int(size or 0)


def _scaled(size: Any, factor: float) -> Any:
    if isinstance(size, dict):
        return {key: round(value * factor) if value else value for key, value in size.items()}
    return round(size * factor) if size else size
