"""Which of several processes this is, under `torchrun` and `accelerate launch`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from src.devices import choose_device


def processes() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Whether this is the process that writes files and talks."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def main_process_first(device: str) -> Iterator[None]:
    """The main process goes through the block before the others begin it."""
    if processes() == 1:
        yield
        return
    from accelerate import PartialState

    with PartialState(cpu=choose_device(device).type == "cpu").main_process_first():
        yield
