"""transformers' Trainer on batches of bytes, augmented, normalised and averaged on the device.

And what happens beside training: one line for each measurement, stopping, and when to measure.
"""

import copy
import logging
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel
from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from src.errors import ModelError
from src.image_models.augment import augment, blend
from src.image_models.model import input_size
from src.images.preprocess import Preprocessing
from src.settings.classifier import ClassifierTraining

logger = logging.getLogger(__name__)

AVERAGE_FILE = "average.safetensors"
_AGAIN_SECONDS = 2


class ImageTrainer(Trainer):
    """A Trainer whose batches are pixels as bytes, (n, height, width, 3).

    With `freeze_batch_norm` batch normalisation keeps its statistics: those of a few images are a
    poor stand-in, and wrong where normalisation was folded into other layers. With `ema_decay` a
    running average of the weights is what is measured and kept in the end.
    """

    model: Any  # without the wrappers of training in parallel

    def __init__(
        self, settings: ClassifierTraining, preprocessing: Preprocessing, **options: Any
    ) -> None:
        super().__init__(**options)
        self.remove_callback(PrinterCallback)
        if self.pop_callback(ProgressCallback):
            self.add_callback(Bar())
        device = self.args.device
        self._settings, self._size = settings, input_size(preprocessing)
        self._scale = torch.tensor(preprocessing.scale, device=device).view(3, 1, 1)
        self._offset = torch.tensor(preprocessing.offset, device=device).view(3, 1, 1)
        self._frozen = [
            layer
            for layer in self.model.modules()
            if settings.freeze_batch_norm
            and isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)
        ]
        self._average = None
        if settings.ema_decay:
            self._average = running_average(self.model, settings.ema_decay).to(device)
            self.add_callback(_Averaging(self._average))

    def use_average(self) -> None:
        """Put the averaged weights into the model for good."""
        if self._average is not None:
            self.model.load_state_dict(self._average.module.state_dict())

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        if self._average is None:
            return super().evaluate(*args, **kwargs)
        weights = copy.deepcopy(self.model.state_dict())
        self.use_average()
        result: dict[str, float] = super().evaluate(*args, **kwargs)
        self.model.load_state_dict(weights)
        return result

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        if self._average is not None and self.args.should_save:
            folder = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
            folder.mkdir(parents=True, exist_ok=True)
            state = {key: value.contiguous() for key, value in self._average.state_dict().items()}
            save_file(state, folder / AVERAGE_FILE)
        super()._save_checkpoint(model, trial)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self._load_again(resume_from_checkpoint)

    def _load_best_model(self) -> None:
        super()._load_best_model()
        self._load_again(str(self.state.best_model_checkpoint))
        best, said = (
            self.state.best_global_step,
            "Kept: epoch %g, the best on the validation images.",
        )
        for entry in self.state.log_history if self.is_world_process_zero() else []:
            if entry["step"] == best and "eval_loss" in entry:
                logger.info(said, round(entry["epoch"], 2))

    def _load_again(self, checkpoint: str) -> None:
        """Load a checkpoint's weights and average, whatever names they have in the files.

        transformers 5 saves some models (ViT for one) under the names they had in version 4, and
        its Trainer reads such a checkpoint without translating them back: silently, those weights
        stay as they are (huggingface/transformers#43701, #48805). from_pretrained translates.
        """
        if not (self.is_fsdp_enabled or self.is_deepspeed_enabled):
            saved = type(self.model).from_pretrained(checkpoint)
            self.model.load_state_dict(saved.state_dict())
        file = Path(checkpoint) / AVERAGE_FILE
        if self._average is not None and file.is_file():
            self._average.load_state_dict(load_file(file))

    def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """To the device; bytes become normalised pixels, in training after augmenting them."""
        prepared: dict[str, Any] = super()._prepare_inputs(inputs)
        pixels, labels = prepared["pixel_values"].permute(0, 3, 1, 2), prepared["labels"]
        if self.model.training:
            for layer in self._frozen:
                layer.eval()
        if self.model.training and self._settings.augments:
            pixels = augment(pixels, self._size, self._settings)
            if self._settings.blends:
                classes = self.model.config.num_labels
                pixels, labels = blend(pixels, labels, classes, self._settings)
        # In place, where a copy has been made: no second copy of the batch.
        pixels = pixels.float().mul_(self._scale).add_(self._offset)
        return {"pixel_values": pixels, "labels": labels}


class _Averaging(TrainerCallback):
    """Takes the weights into the average after every step of the optimiser."""

    def __init__(self, average: AveragedModel) -> None:
        self._average = average

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._average.update_parameters(kwargs["model"])


def running_average(model: torch.nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of a model's weights and of its layers' statistics.

    The decay rises from 0.1 to its value, so that short runs too forget the random beginning.
    """

    @torch.no_grad()
    def average(averaged: Any, current: Any, steps: torch.Tensor | int) -> None:
        now = min(decay, (1 + int(steps)) / (10 + int(steps)))
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, 1 - now)
        else:  # counters of the normalisation layers
            torch._foreach_copy_(averaged, current)

    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)


class Bar(ProgressCallback):
    """Transformers' progress bar, without its dictionaries in between."""

    def on_log(self, *args: Any, **kwargs: Any) -> None: ...


class EpochLogger(TrainerCallback):
    """A line for every measurement (or loss, where nothing is measured); ends what diverges.

    It is measured and saved after every n-th epoch and after the last one.
    """

    def __init__(self, describe: Callable[[dict[str, float]], str], n: int) -> None:
        self._describe, self._n, self._loss = describe, n, ""

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

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if round(state.epoch) % self._n and state.global_step < state.max_steps:
            control.should_evaluate = control.should_save = False


class KeepOnInterrupt(TrainerCallback):
    """On Ctrl-C finish the step, save a checkpoint and stop; a later Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.interrupted, self._noted = False, 0.0
        self._accelerator: Any = None

    @contextmanager
    def watching(self, accelerator: Any) -> Iterator[None]:
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
