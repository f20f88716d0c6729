"""Reading and writing tensors without trusting the file: safetensors, and .pth as weights only."""

import json
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from zipfile import BadZipFile

import numpy as np

from src.aesthetic.heads.base import Array
from src.errors import ModelError

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BOOL": "?",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
}  # fmt: skip
_LARGEST = 4 * 1024**3  # bytes; a head of thousands of images has some hundred megabytes


def read_tensors(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Tensors and string metadata of a .safetensors file, or of a .pth state dict (no metadata).

    Raises:
        ModelError: no such file, or not a whole and harmless one.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ModelError(
            f"{path}: there is no model ({error.strerror}); train one first, or correct the path"
        ) from None
    if size > _LARGEST:
        raise ModelError(f"{path} has {size / 1e9:.0f} GB: that is no aesthetic model")
    return _read_pth(path) if path.suffix.lower() in {".pth", ".pt"} else _read_safetensors(path)


def write_tensors(path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write a .safetensors file with string metadata."""
    from safetensors.numpy import save_file

    save_file(
        {name: np.ascontiguousarray(array) for name, array in arrays.items()},
        path,
        metadata=dict(metadata),
    )


def _read_safetensors(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    try:
        return parse_safetensors(path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{path} is not a whole safetensors file ({error}): get it again, or train anew"
        ) from None


def parse_safetensors(content: bytes) -> tuple[dict[str, Array], dict[str, str]]:
    """Tensors and metadata of a safetensors file, by numpy alone: a light copy needs no more.

    The format (https://github.com/huggingface/safetensors#format): the length of the header in 8
    bytes, the header as JSON, then the tensors, in C order, little-endian.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: the content breaks the format.
    """
    (length,) = struct.unpack("<Q", content[:8].ljust(8, b"\0"))
    start = 8 + length
    if len(content) < start or not length:
        raise ValueError("its header is cut short")
    header = json.loads(content[8:start])
    metadata = dict(header.pop("__metadata__", None) or {})
    arrays, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        first, last = entry["data_offsets"]
        if first != end or last < first or last > len(content) - start:
            raise ValueError(f"the place of {name!r} is not in it")
        values = np.frombuffer(content[start + first : start + last], _DTYPES[entry["dtype"]])
        arrays[name] = values.reshape(entry["shape"]).copy()
        end = last
    if end != len(content) - start:
        raise ValueError("bytes are left over")
    if not all(isinstance(part, str) for pair in metadata.items() for part in pair):
        raise TypeError("its metadata are no texts")
    return arrays, metadata


def _read_pth(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    import torch

    try:
        with warnings.catch_warnings(action="ignore"):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        UnpicklingError,
        BadZipFile,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
    ) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"{path} is damaged, or holds more than weights ({reason[0][:120]}): get it again"
        ) from None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in state.items()
    ):
        raise ModelError(f"{path} does not hold the weights of a head: it is another kind of file")
    arrays = {name: tensor.detach().to(torch.float32).numpy() for name, tensor in state.items()}
    return arrays, {}
