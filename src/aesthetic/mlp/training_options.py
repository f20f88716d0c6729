"""How long and how fast to train: the `training_args` that the predictor understands."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, Self

from src.errors import SettingsError

SCHEDULERS = ("linear", "cosine", "constant", "constant_with_warmup")


@dataclass(frozen=True)
class TrainingOptions:
    """Names and meanings are those of `transformers.TrainingArguments`.

    Attributes:
        num_train_epochs: times that every training image is used (on average, with "ranking").
        max_steps: if positive, so many optimizer steps instead of epochs.
        learning_rate: at its peak.
        lr_scheduler_type: how the learning rate falls: one of `SCHEDULERS`.
        warmup_ratio: share of all steps in which the learning rate rises from zero.
        warmup_steps: the same as a number of steps; if positive, it counts.
        per_device_train_batch_size: images per step; even with "ranking".
        weight_decay: decoupled (AdamW), on weights and not on biases.
        max_grad_norm: longer gradients are shortened to this length; 0 for never.
        adam_beta1: decay of the mean of the gradients.
        adam_beta2: decay of the mean of their squares.
        adam_epsilon: keeps the division finite.
        seed: of the first weights, the order of the images and the dropouts.
    """

    num_train_epochs: float = 100.0
    max_steps: int = -1
    learning_rate: float = 1e-4
    lr_scheduler_type: str = "linear"
    warmup_ratio: float = 0.0
    warmup_steps: int = 0
    per_device_train_batch_size: int = 8
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    seed: int = 42

    def __post_init__(self) -> None:
        """Raise one SettingsError that names every value out of range."""
        wrong = [
            f"{name} must be {rule}, not {getattr(self, name)!r}"
            for name, rule, holds in (
                ("num_train_epochs", "positive", self.num_train_epochs > 0 or self.max_steps > 0),
                ("learning_rate", "positive and finite", 0 < self.learning_rate < math.inf),
                (
                    "lr_scheduler_type",
                    "one of " + ", ".join(SCHEDULERS),
                    self.lr_scheduler_type in SCHEDULERS,
                ),
                ("warmup_ratio", "from 0 to 1", 0 <= self.warmup_ratio <= 1),
                ("warmup_steps", "0 or more", self.warmup_steps >= 0),
                (
                    "per_device_train_batch_size",
                    "1 or more",
                    self.per_device_train_batch_size >= 1,
                ),
                ("weight_decay", "0 or more", self.weight_decay >= 0),
                ("max_grad_norm", "0 or more", self.max_grad_norm >= 0),
                ("adam_beta1", "from 0 to below 1", 0 <= self.adam_beta1 < 1),
                ("adam_beta2", "from 0 to below 1", 0 <= self.adam_beta2 < 1),
                ("adam_epsilon", "positive", self.adam_epsilon > 0),
                ("seed", "0 or more", self.seed >= 0),
            )
            if not holds
        ]
        if wrong:
            raise SettingsError("training_args: " + "; ".join(wrong))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """The options of a plain dict.

        Raises:
            SettingsError: an option that the predictor does not support (it is named, with the
                nearest that it does), or a value out of range.
        """
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it knows {', '.join(known)}"
                raise SettingsError(
                    f"training_args: the aesthetic predictor does not support {name!r}; {hint}"
                )
        return cls(**values)

    def total_steps(self, steps_per_epoch: int) -> int:
        """Optimizer steps of the whole training."""
        if self.max_steps > 0:
            return self.max_steps
        return max(1, math.ceil(self.num_train_epochs * steps_per_epoch))

    def learning_rate_at(self, step: int, total: int) -> float:
        """The learning rate of a step (counted from 0) of `total`."""
        warmup = self.warmup_steps or math.ceil(self.warmup_ratio * total)
        if self.lr_scheduler_type == "constant":
            return self.learning_rate
        if step < warmup:
            return self.learning_rate * step / warmup
        if self.lr_scheduler_type == "constant_with_warmup":
            return self.learning_rate
        done = (step - warmup) / max(1, total - warmup)
        if self.lr_scheduler_type == "linear":
            return self.learning_rate * max(0.0, 1 - done)
        return self.learning_rate * max(0.0, (1 + math.cos(math.pi * done)) / 2)
