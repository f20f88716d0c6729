"""transformers' Trainer on batches of bytes: augmented, normalised and averaged on the device."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel
from transformers import Trainer, TrainerCallback

from src.image_models.augment import augment, blend
from src.image_models.model import input_size
from src.images.preprocess import Preprocessing
from src.settings.classifier import Augmenting

AVERAGE_FILE = "average.safetensors"


class ImageTrainer(Trainer):
    """A Trainer whose batches are pixels as bytes, (n, height, width, 3).

    Args:
        preprocessing: of the model: the size it is given, and the normalisation.
        augmentation: how training images are augmented; None leaves them as they are.
        freeze_batch_norm: batch normalisation keeps its statistics. Those of a few images are a
            poor stand-in for them, and in models whose normalisation was folded into other layers
            (as conversion tools do) they are something else altogether.
        ema_decay: of a running average of the weights, which is then what is measured and kept in
            the end; 0 is off.
        options: as for Trainer.
    """

    def __init__(
        self,
        *,
        preprocessing: Preprocessing,
        augmentation: Augmenting | None = None,
        freeze_batch_norm: bool = False,
        ema_decay: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._size = input_size(preprocessing)
        device = self.args.device
        self._scale = torch.tensor(preprocessing.scale, device=device).view(3, 1, 1)
        self._offset = torch.tensor(preprocessing.offset, device=device).view(3, 1, 1)
        self._augmentation = augmentation
        self._frozen = [
            layer
            for layer in self._network.modules()
            if freeze_batch_norm and isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)
        ]
        self._average = running_average(self._network, ema_decay) if ema_decay else None
        if self._average is not None:
            self._average.to(self.args.device)
            self.add_callback(_Averaging(self))

    def step_done(self) -> None:
        """Take the weights after an optimiser step into the average."""
        if self._average is not None:
            self._average.update_parameters(self._network)

    def use_average(self) -> None:
        """Put the averaged weights into the model for good."""
        if self._average is not None:
            self._network.load_state_dict(self._average.module.state_dict())

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """As Trainer.evaluate, of the averaged weights if there are any."""
        with self._averaged():
            result: dict[str, float] = super().evaluate(*args, **kwargs)
        return result

    @property
    def _network(self) -> Any:
        """The model without the wrappers of training in parallel."""
        return self.model

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The averaged weights in the model's place, for a while."""
        if self._average is None or not self._average.n_averaged:
            yield
            return
        weights = {key: value.clone() for key, value in self._network.state_dict().items()}
        self.use_average()
        try:
            yield
        finally:
            self._network.load_state_dict(weights)

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
            saved = type(self._network).from_pretrained(checkpoint)
            self._network.load_state_dict(saved.state_dict())
        file = Path(checkpoint) / AVERAGE_FILE
        if self._average is not None and file.is_file():
            self._average.load_state_dict(load_file(file))

    def training_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Augment the batch, then a step as usual."""
        inputs = Trainer._prepare_inputs(self, inputs)
        if self._augmentation is not None:
            pixels = augment(_channels_first(inputs), self._size, self._augmentation)
            labels = inputs["labels"]
            if self._augmentation.blends:
                classes = self._network.config.num_labels
                pixels, labels = blend(pixels, labels, classes, self._augmentation)
            inputs = {"pixel_values": self._normalised(pixels), "labels": labels}
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        return loss

    def compute_loss(self, model: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        """As Trainer's; frozen normalisations use what they know and learn nothing of the batch."""
        for layer in self._frozen:
            layer.eval()
        return super().compute_loss(model, *args, **kwargs)

    def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """To the device; bytes become normalised pixels."""
        prepared: dict[str, Any] = super()._prepare_inputs(inputs)
        if prepared["pixel_values"].dtype == torch.uint8:
            pixels = _channels_first(prepared).float()
            prepared = {**prepared, "pixel_values": self._normalised(pixels)}
        return prepared

    def _normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mul_(self._scale).add_(self._offset)  # no second copy of the batch


class _Averaging(TrainerCallback):
    """Takes the weights into the average after every step of the optimiser."""

    def __init__(self, trainer: ImageTrainer) -> None:
        self._trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """One more step."""
        self._trainer.step_done()


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
            for kept, new in zip(averaged, current, strict=True):
                kept.copy_(new)

    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)


def _channels_first(inputs: dict[str, Any]) -> torch.Tensor:
    pixels: torch.Tensor = inputs["pixel_values"]
    return pixels.permute(0, 3, 1, 2)
