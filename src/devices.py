"""Which processor torch computes on."""

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


def cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies matrices of bfloat16 faster than others."""
    import torch

    can: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
