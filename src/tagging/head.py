"""A linear head for tags on cached features, fitted by minibatches: seconds, without the Trainer.

The loss is convex in the head (binary cross-entropy), so that it does not matter where it starts
as long as it is small: new tags start from zero weights.
"""

import logging
import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from src.devices import choose_device
from src.errors import ModelError
from src.image_models.fine_tune import Objective
from src.image_models.head import LinearHead, few_threads
from src.image_models.target import HeadFit
from src.progress import progress_bar
from src.settings.classifier import ClassifierTraining

logger = logging.getLogger(__name__)

_ROUNDING = 1e-6  # variances below this share of the largest are errors of float32
_BATCH = 16
_MEASURED_AT_ONCE = 4096

Labelled = tuple[np.ndarray, Any]  # features (n, d) and sparse labels (n, k)


def fit_head(
    start: LinearHead,
    train: Labelled,
    validation: Labelled | None,
    objective: Objective,
    settings: ClassifierTraining,
) -> HeadFit:
    """Train a head from where it is; the best weights on the validation images are kept, if any.

    Features are whitened, so that a learning rate means the same for every backbone.
    """
    import torch

    whitening, device = Whitening.of(train[0]), choose_device(settings.device)
    head = whitening.inwards(start)
    tags, width = head.weight.shape
    layer = torch.nn.Linear(width, tags, device=device)
    head.put_into(layer)
    features = torch.from_numpy(whitening.apply(train[0]) * whitening.seen)
    given = settings.training_args.given
    batch = int(given.get("per_device_train_batch_size", _BATCH))
    epochs, every = settings.tag_head_epochs, settings.eval_every_n_epochs
    optimiser = torch.optim.AdamW(
        layer.parameters(), settings.tag_head_learning_rate, weight_decay=0.0, fused=True
    )
    steps = math.ceil(len(features) / batch) * epochs
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, steps)
    shuffle = torch.Generator().manual_seed(int(given.get("seed", 42)))
    best, since_best, history = (math.inf, head, 0), 0, list[dict[str, Any]]()
    with (
        few_threads(batch * head.weight.size),
        progress_bar(epochs, "training the head", "epoch") as bar,
    ):
        for epoch in range(1, epochs + 1):
            total = torch.zeros((), device=device)
            for rows in torch.split(torch.randperm(len(features), generator=shuffle), batch):
                labels = _dense(train[1], rows.numpy(), device)
                loss = objective.loss({"logits": layer(features[rows].to(device))}, labels)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                total += loss.detach() * len(rows)
            entry = {"epoch": epoch, "loss": total.item() / len(features)}
            if not math.isfinite(entry["loss"]):
                text = f"training has diverged in epoch {epoch} (the loss is {entry['loss']})"
                raise ModelError(f"{text}: lower tag_head_learning_rate")
            history.append(entry)
            bar.update()
            head = LinearHead.of(layer)
            if not (validation and every and (epoch % every == 0 or epoch == epochs)):
                continue
            measured = _measured(whitening.outwards(head), validation, objective, device)
            entry |= {f"eval_{name}": value for name, value in measured.items()}
            said = objective.describe(measured)
            logger.info("epoch %d: training loss %.4f, %s", epoch, entry["loss"], said)
            since_best += 1
            if measured["loss"] < best[0]:
                best, since_best = (measured["loss"], head, epoch), 0
            if since_best and since_best == settings.early_stopping_patience:
                break
    details = {"loss": settings.tag_loss, "epochs trained": str(epoch)}
    if math.isfinite(best[0]):
        _, head, kept = best
        details["epoch kept"] = str(kept)
        logger.info("Kept: epoch %d, the best on the validation images.", kept)
    return HeadFit(whitening.outwards(head), history, details)


def _measured(
    head: LinearHead, validation: Labelled, objective: Objective, device: Any
) -> dict[str, float]:
    """The loss and the metrics on the validation images."""
    import torch

    features, labels = validation
    logits = np.asarray(head.logits(features), np.float32)
    total = 0.0
    for first in range(0, len(logits), _MEASURED_AT_ONCE):
        rows = np.arange(first, min(first + _MEASURED_AT_ONCE, len(logits)))
        outputs = {"logits": torch.from_numpy(logits[rows]).to(device)}
        total += objective.loss(outputs, _dense(labels, rows, device)).item() * len(rows)
    return {"loss": total / len(logits), **objective.metrics(logits, labels)}


def _dense(labels: Any, rows: np.ndarray, device: Any) -> Any:
    import torch

    return torch.from_numpy(labels[rows].toarray()).to(device, torch.float32)


@dataclass(frozen=True)
class Whitening:
    """Features without correlations and of equal variance: z = (x - mean) @ matrix.

    Variances are raised by d / n of their mean first, as much as the noise of n images in d
    dimensions makes them uncertain. `seen` are the directions in which these images differ by more
    than rounding: in the others, an optimiser that gives all the same pace would learn the errors.
    """

    mean: np.ndarray  # (d,) float32
    matrix: np.ndarray  # (d, d) float32
    inverse: np.ndarray  # (d, d) float32
    seen: np.ndarray  # (d,) bool

    @classmethod
    def of(cls, features: np.ndarray) -> Self:
        n, d = features.shape
        mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = features - mean
        values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64) / n)
        values = np.maximum(values, 0)
        lengths = np.sqrt(values + (values.mean() or 1.0) * d / n)
        matrix, inverse = (vectors / lengths, (vectors * lengths).T)
        seen = values > values.max() * _ROUNDING
        return cls(mean, matrix.astype(np.float32), inverse.astype(np.float32), seen)

    def apply(self, features: np.ndarray) -> np.ndarray:
        return np.asarray((features - self.mean) @ self.matrix)

    def inwards(self, head: LinearHead) -> LinearHead:
        """The head that does with whitened features what this one does with plain ones."""
        return LinearHead(head.weight @ self.inverse.T, head.bias + head.weight @ self.mean)

    def outwards(self, head: LinearHead) -> LinearHead:
        """The inverse of `inwards`."""
        weight = head.weight @ self.matrix.T
        return LinearHead(weight, head.bias - weight @ self.mean)
