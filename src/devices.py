"""Which processor torch computes on, and with how many threads."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from src.errors import SettingsError

if TYPE_CHECKING:
    import torch


def choose_device(name: str) -> "torch.device":
    """The torch device of a `device` setting; `auto`: CUDA, then an Apple GPU, then the CPU."""
    import torch

    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, available in there.items() if available)
    kind = name.partition(":")[0]
    if kind not in there:
        raise SettingsError(f"device {name!r} is unknown: use auto, cpu, cuda or mps")
    if not there[kind]:
        raise SettingsError(f"device {name!r} is not available here: set device to 'auto'")
    if kind == "cuda" and (torch.device(name).index or 0) >= torch.cuda.device_count():
        raise SettingsError(
            f"device {name!r} is not available here: there are {torch.cuda.device_count()} GPUs, "
            "counted from cuda:0"
        )
    return torch.device(name)


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """For code that calls a network from several threads at once: each call has one of its own.

    Twice as fast as dividing every layer among the threads, and six times where others compute.
    """
    torch = sys.modules.get("torch")  # not needed by what has not imported it
    before = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(before)


def cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies matrices of bfloat16 faster than others."""
    import torch

    can: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
