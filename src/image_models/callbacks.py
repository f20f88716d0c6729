"""What happens beside training: one line for each measurement, stopping, and when to measure."""

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_callback import ProgressCallback

from src.errors import ModelError

logger = logging.getLogger(__name__)

_AGAIN_SECONDS = 2


class Bar(ProgressCallback):
    """Transformers' progress bar, without its dictionaries in between."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Nothing."""


class EpochLogger(TrainerCallback):
    """A line for every measurement (or loss, where nothing is measured); ends what diverges.

    `describe` puts the metrics into words, named as compute_metrics does.
    """

    def __init__(self, describe: Callable[[dict[str, float]], str]) -> None:
        self._describe = describe
        self._loss = ""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        # Under fp16 a step with an infinite gradient is left out and the scale lowered: no harm.
        for name in ("loss", "eval_loss") if args.fp16 else ("loss", "eval_loss", "grad_norm"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise ModelError(
                    f"training has diverged at step {state.global_step} ({name} is "
                    f"{logs[name]}): lower learning_rate, or raise warmup_steps"
                )
        if "loss" in logs:
            self._loss = f"training loss {logs['loss']:.4f}"
        measured = {
            name.removeprefix("eval_"): logs[name] for name in logs if name.startswith("eval_")
        }
        said = measured or ("loss" in logs and args.eval_strategy == "no")
        if said and state.is_world_process_zero:
            parts = [self._loss, self._describe(measured) if measured else ""]
            logger.info("epoch %.4g: %s", state.epoch or 0, ", ".join(filter(None, parts)))


class EveryNthEpoch(TrainerCallback):
    """Measure and save after every n-th epoch and after the last one only."""

    def __init__(self, n: int) -> None:
        self._n = n

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if round(state.epoch) % self._n and state.global_step < state.max_steps:
            control.should_evaluate = control.should_save = False


class KeepOnInterrupt(TrainerCallback):
    """On Ctrl-C finish the step, save a checkpoint and stop; a later Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.interrupted = False
        self._noted = 0.0
        self._accelerator: Any = None

    @contextmanager
    def watching(self, accelerator: Any) -> Iterator[None]:
        """Watch for Ctrl-C in this process and those that the accelerator trains together with."""
        self._accelerator = accelerator
        before = signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._accelerator.num_processes > 1:
            if self.interrupted:
                self._accelerator.set_trigger()
            self.interrupted = bool(self._accelerator.check_trigger())
        if self.interrupted:
            control.should_save = control.should_training_stop = True
            control.should_evaluate = False

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """No measuring of half an epoch, which has been saved already."""
        if self.interrupted:
            control.should_evaluate = control.should_save = False

    def _note(self, signal_number: int, frame: Any) -> None:
        # A launcher passes the terminal's signal on, so that it may come twice at the same time.
        if self.interrupted and time.monotonic() - self._noted > _AGAIN_SECONDS:
            raise KeyboardInterrupt
        if not self.interrupted:
            self.interrupted, self._noted = True, time.monotonic()
            logger.info("Stopping after this step; the training so far is kept.")
