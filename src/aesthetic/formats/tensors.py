"""Reading and writing tensors without trusting the file: safetensors, and .pth as weights only."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from zipfile import BadZipFile

import numpy as np

from src.aesthetic.heads.base import Array
from src.errors import ModelError, first_line

# What torch and zipfile raise for files that are no archives, cut short, or not weights only.
_DAMAGED = (
    *(UnpicklingError, BadZipFile, RuntimeError, EOFError, OSError),
    *(ValueError, LookupError, AttributeError, TypeError),
)
_LARGEST = 4 * 1024**3  # bytes; a head of thousands of images has some hundred megabytes


def read_tensors(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Tensors and string metadata of .safetensors, or of a .pth state dict (no metadata)."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ModelError(
            f"{path}: there is no model ({error.strerror}); train one first, or correct the path"
        ) from None
    if size > _LARGEST:
        raise ModelError(f"{path} has {size / 1e9:.0f} GB: it is not an aesthetic model")
    return _read_pth(path) if path.suffix.lower() in {".pth", ".pt"} else _read_safetensors(path)


def write_tensors(path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    from safetensors.numpy import save_file

    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(whole, path, metadata=dict(metadata))


def _read_safetensors(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path} is not a complete safetensors file ({error}): download it or train again"
        ) from None


def _read_pth(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    import torch

    try:
        with warnings.catch_warnings(action="ignore"):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        raise ModelError(
            f"{path} is damaged, or holds more than weights ({first_line(error)}): "
            "download it again"
        ) from None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in state.items()
    ):
        raise ModelError(f"{path} does not hold the weights of a head: it is another kind of file")
    arrays = {name: tensor.detach().to(torch.float32).numpy() for name, tensor in state.items()}
    return arrays, {}
