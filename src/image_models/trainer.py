"""transformers' Trainer on batches of bytes: augmented, normalised and averaged on the device."""

import copy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel
from transformers import Trainer, TrainerCallback

from src.image_models.augment import augment, blend
from src.image_models.model import input_size
from src.images.preprocess import Preprocessing
from src.settings.classifier import ClassifierTraining

AVERAGE_FILE = "average.safetensors"


class ImageTrainer(Trainer):
    """A Trainer whose batches are pixels as bytes, (n, height, width, 3).

    With `freeze_batch_norm` batch normalisation keeps its statistics: those of a few images are a
    poor stand-in for them, and in models whose normalisation was folded into other layers (as
    conversion tools do) they are something else altogether. With `ema_decay` a running average of
    the weights is what is measured and kept in the end.
    """

    model: Any  # without the wrappers of training in parallel

    def __init__(
        self, settings: ClassifierTraining, preprocessing: Preprocessing, **options: Any
    ) -> None:
        super().__init__(**options)
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
        """As Trainer.evaluate, of the averaged weights if there are any."""
        if self._average is None:
            return super().evaluate(*args, **kwargs)
        weights = copy.deepcopy(self.model.state_dict())
        self.use_average()
        result: dict[str, float] = super().evaluate(*args, **kwargs)
        self.model.load_state_dict(weights)
        return result

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """As Trainer's; the average goes along."""
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

    The decay rises from 0.1 to its value, min(decay, (1 + t) / (10 + t)) after t steps, so that
    the random beginning is forgotten in short runs too.
    """

    @torch.no_grad()
    def average(averaged: Any, current: Any, steps: torch.Tensor | int) -> None:
        now = min(decay, (1 + int(steps)) / (10 + int(steps)))
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, 1 - now)
        else:  # counters of the normalisation layers
            torch._foreach_copy_(averaged, current)

    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)
