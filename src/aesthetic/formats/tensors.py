"""Reading tensors without trusting the file: safetensors, and .pth as weights only."""

import warnings
from pathlib import Path

from src.aesthetic.heads.base import Array
from src.errors import ModelError, loading
from src.files import read_safetensors

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
    return _read_pth(path) if path.suffix.lower() in {".pth", ".pt"} else read_safetensors(path)


def _read_pth(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    import torch

    with loading(f"{path} (as weights and nothing else)"), warnings.catch_warnings(action="ignore"):
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.to(torch.float32).numpy() for name, tensor in state.items()}, {}
