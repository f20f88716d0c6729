"""Training a linear head for tags on stored features, with all that transformers' Trainer does.

The backbone is not there: an epoch is one product of matrices for each batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from src.image_models.fine_tune import Objective, Recipe, run_trainer, training_arguments
from src.image_models.head import LinearHead

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_array

_ROUNDING = 1e-6  # variances below this share of the largest are errors of float32

Labelled = tuple[np.ndarray, "csr_array"]
"""Features (n, d) and labels (n, k)."""


def train_tag_head(
    head: LinearHead,
    train: Labelled,
    validation: Labelled | None,
    objective: Objective,
    recipe: Recipe,
    checkpoints: Path,
) -> tuple[dict[str, Any], LinearHead]:
    """Train a head from where it is; the best measured weights are kept, or the last.

    Features are whitened (see `Whitening`), so that a learning rate means the same for every
    backbone and all directions are learnt at one pace; the result takes plain features.

    Args:
        head: where training starts.
        train: what to train on.
        validation: what to choose the best epoch on; None keeps the last one.
        objective: loss and figures.
        recipe: how to train; of its augmentation only MixUp applies.
        checkpoints: see `fine_tune.fine_tune`.

    Returns:
        What `fine_tune.fine_tune` returns, and the trained head.

    Raises:
        SettingsError, ModelError, KeyboardInterrupt: as `fine_tune.fine_tune`.
    """
    whitening = Whitening.of(train[0])
    network = _network(whitening.inwards(head))
    mixup = recipe.augmentation.mixup if recipe.augmentation else 0.0
    trainer = _trainer_class()(
        mixup=mixup,
        ema_decay=recipe.ema_decay,
        model=network,
        args=training_arguments(recipe, checkpoints, measured=validation is not None),
        data_collator=_take,
        train_dataset=_Table(whitening.apply(train[0]) * whitening.seen, train[1]),
        eval_dataset=validation and _Table(whitening.apply(validation[0]), validation[1]),
        compute_loss_func=objective.loss,
        compute_metrics=objective.metrics,
    )
    trained = run_trainer(trainer, objective, recipe)
    weight = network.linear.weight.detach().cpu().numpy()
    bias = network.linear.bias.detach().cpu().numpy()
    return trained, whitening.outwards(LinearHead(weight, bias))


@dataclass(frozen=True)
class Whitening:
    """Features without correlations and of equal variance: z = (x - mean) @ matrix.

    Variances are raised by d / n of their mean first, as much as the noise of n images in d
    dimensions makes them uncertain: with few images little is changed but the scale.

    Attributes:
        mean: (d,) float32.
        matrix: (d, d) float32.
        inverse: (d, d) float32.
        seen: (d,) bool, directions in which these images differ by more than rounding. With fewer
            images than dimensions most are not; an optimiser that gives all directions the same
            pace would learn rounding errors there, and other images do differ in them.
    """

    mean: np.ndarray
    matrix: np.ndarray
    inverse: np.ndarray
    seen: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> Self:
        """The whitening of these features, (n, d)."""
        n, d = features.shape
        mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = features - mean
        values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64) / n)
        values = np.maximum(values, 0)
        lengths = np.sqrt(values + (values.mean() or 1.0) * d / n)
        return cls(
            mean,
            (vectors / lengths).astype(np.float32),
            (vectors * lengths).T.astype(np.float32),
            values > values.max() * _ROUNDING,
        )

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Whitened features, (n, d) float32."""
        result: np.ndarray = (features - self.mean) @ self.matrix
        return result

    def inwards(self, head: LinearHead) -> LinearHead:
        """The head that does with whitened features what this one does with plain ones."""
        return LinearHead(head.weight @ self.inverse.T, head.bias + head.weight @ self.mean)

    def outwards(self, head: LinearHead) -> LinearHead:
        """The inverse of `inwards`."""
        weight = head.weight @ self.matrix.T
        return LinearHead(weight, head.bias - weight @ self.mean)


def _network(head: LinearHead) -> Any:
    """The head as a module."""
    import torch

    class Head(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            tags, width = head.weight.shape
            self.linear = torch.nn.Linear(width, tags)
            with torch.no_grad():
                self.linear.weight.copy_(torch.from_numpy(head.weight))
                self.linear.bias.copy_(torch.from_numpy(head.bias))

        def forward(
            self, features: torch.Tensor, labels: torch.Tensor | None = None
        ) -> dict[str, torch.Tensor]:
            return {"logits": self.linear(features)}

    return Head()


def _trainer_class() -> Any:
    import torch
    from transformers import Trainer

    from src.image_models.augment import Augmentation, blend
    from src.image_models.trainer import AveragingTrainer

    class HeadTrainer(AveragingTrainer):
        """A trainer whose batches are features, blended if MixUp is on."""

        def __init__(self, *, mixup: float, **options: Any) -> None:
            super().__init__(**options)
            self._mixing = Augmentation(mixup=mixup, cutmix=0.0)

        def training_step(
            self,
            model: torch.nn.Module,
            inputs: dict[str, Any],
            num_items_in_batch: torch.Tensor | int | None = None,
        ) -> torch.Tensor:
            if self._mixing.blends:
                inputs = Trainer._prepare_inputs(self, inputs)
                features, labels = inputs["features"], inputs["labels"]
                features, labels = blend(features, labels, labels.shape[1], self._mixing)
                inputs = {"features": features, "labels": labels}
            loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
            return loss

        def _load_whole(self, checkpoint: str) -> None:
            """The average alone: Trainer itself reads a module that is no transformers model."""
            self._load_average(checkpoint)

    return HeadTrainer


class _Table:
    """Rows of features with their labels, a batch at a time."""

    def __init__(self, features: np.ndarray, labels: "csr_array") -> None:
        self._features, self._labels = features, labels

    def __len__(self) -> int:
        return len(self._features)

    def __getitem__(self, index: int) -> "dict[str, torch.Tensor]":
        return {name: values[0] for name, values in self.__getitems__([index])[0].items()}

    def __getitems__(self, indexes: Sequence[int]) -> "list[dict[str, torch.Tensor]]":
        """One batch, as the only item of a list: nothing is left to put together."""
        import torch

        labels = self._labels[indexes].toarray().astype(np.float32)
        features = torch.from_numpy(self._features[indexes])
        return [{"features": features, "labels": torch.from_numpy(labels)}]


def _take(batches: "list[dict[str, torch.Tensor]]") -> "dict[str, torch.Tensor]":
    return batches[0]
