"""Mode `meta`: every combination of training settings, measured on images set apart for that.

The test images are not looked at: each combination is trained on three quarters of the training
images and measured on the last quarter. So the figures of the winner on the test images, which
training reports afterwards, are not those it was picked for.
"""

import csv
import hashlib
import io
import itertools
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from src.aesthetic.heads.auto import assign_folds
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.metrics import pairwise_accuracy
from src.aesthetic.trainer import MlpShape, train_mlp
from src.aesthetic.training_options import TrainingOptions
from src.errors import DataError, SettingsError
from src.files import write_text

logger = logging.getLogger(__name__)

COLUMNS = ("epochs", "lr", "batch", "train_loss", "eval_loss", "ab")
_FOLDS = 4


class Combination(NamedTuple):
    """One point of the grid."""

    epochs: float
    lr: float
    batch: int

    def options(self, base: TrainingOptions) -> TrainingOptions:
        """The training options with this combination's values."""
        return replace(
            base,
            num_train_epochs=self.epochs,
            learning_rate=self.lr,
            per_device_train_batch_size=self.batch,
            max_steps=-1,
        )


@dataclass(frozen=True)
class Row:
    """What came of a combination: losses of the last epoch and AB on the images set apart."""

    combination: Combination
    train_loss: float
    eval_loss: float
    ab: float

    def values(self) -> tuple[str, ...]:
        """As in `meta.txt`."""
        epochs, lr, batch = self.combination
        return (
            f"{epochs:g}",
            f"{lr:g}",
            str(batch),
            f"{self.train_loss:.6f}",
            f"{self.eval_loss:.6f}",
            f"{self.ab:.6f}",
        )


def combinations(
    epochs: Sequence[float], rates: Sequence[float], batches: Sequence[int], *, loss: str
) -> list[Combination]:
    """All combinations, in the order of the lists.

    Raises:
        SettingsError: an empty list, or an odd batch with "ranking".
    """
    if not (epochs and rates and batches):
        raise SettingsError("mode 'meta' needs values in meta_epochs, meta_lr and meta_batch")
    odd = [batch for batch in batches if batch % 2]
    if loss == "ranking" and odd:
        raise SettingsError(
            f"meta_batch holds {odd[0]}, but loss_model 'ranking' compares images in pairs: use "
            "even numbers"
        )
    return [Combination(float(e), float(r), int(b)) for e, r, b in product(epochs, rates, batches)]


def search(
    grid: Iterable[Combination],
    features: FloatArray,
    scores: FloatArray,
    groups: np.ndarray,
    file: Path,
    *,
    base: TrainingOptions,
    loss: str,
    shape: MlpShape,
    device: str = "cpu",
    done: Callable[[Row], None] | None = None,
) -> list[Row]:
    """Train every combination that the file does not hold yet; each row is on disk at once.

    Args:
        grid: what to try.
        features: of the training images, (n, d).
        scores: theirs, (n,).
        groups: duplicates have the same number, (n,); they stay together.
        file: the table; rows already in it are taken as they are, unless they were made with
            other images, features or settings: then the table is renamed and a new one begun.
        base: the other training settings.
        loss: "ranking" or "mse".
        shape: the network.
        device: of torch.
        done: called after each combination.

    Returns:
        A row for each combination, in the order of the grid.

    Raises:
        DataError: the file holds something else, or cannot be written.
    """
    _set_aside_if_stale(file, _fingerprint(features, scores, base, loss, shape))
    known = {row.combination: row for row in read_rows(file)}
    apart = assign_folds(groups, _FOLDS, base.seed) == 0
    rows = []
    for combination in grid:
        row = known.get(combination)
        if row is None:
            row = _try(combination, features, scores, apart, base, loss, shape, device)
            known[combination] = row
            _write(file, known.values())
        rows.append(row)
        if done:
            done(row)
    return rows


def best(rows: Sequence[Row]) -> Row:
    """The row with the highest AB; of equals the one with the lowest loss."""
    return max(rows, key=lambda row: (row.ab, -row.eval_loss))


def read_rows(file: Path) -> list[Row]:
    """The rows of a table, empty if there is none.

    Raises:
        DataError: it is not such a table.
    """
    if not file.exists():
        return []
    try:
        lines = list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"))))
        if tuple(lines[0]) != COLUMNS:
            raise ValueError(f"the first line is {','.join(lines[0])!r}")
        return [
            Row(Combination(float(line[0]), float(line[1]), int(line[2])), *map(float, line[3:6]))
            for line in lines[1:]
            if line
        ]
    except (OSError, ValueError, IndexError, TypeError) as error:
        raise DataError(
            f"{file} is no table of an earlier search ({error}): move it away"
        ) from None


def _fingerprint(
    features: FloatArray, scores: FloatArray, base: TrainingOptions, loss: str, shape: MlpShape
) -> str:
    """Changes with everything that a row depends on, besides its own combination."""
    neutral = Combination(1, 1, 2).options(base)
    digest = hashlib.sha256(repr((neutral, loss, shape, features.shape)).encode())
    digest.update(np.ascontiguousarray(features, np.float32).tobytes())
    digest.update(np.ascontiguousarray(scores, np.float64).tobytes())
    return digest.hexdigest()


def _set_aside_if_stale(file: Path, fingerprint: str) -> None:
    note = file.with_suffix(".fingerprint")
    before = note.read_text(encoding="utf-8").strip() if note.is_file() else None
    if before == fingerprint:
        return
    if read_rows(file):
        number = next(n for n in itertools.count(1) if not _older(file, n).exists())
        os.replace(file, _older(file, number))
        logger.info(
            "%s holds results of other images or settings: it is now %s.",
            file,
            _older(file, number).name,
        )
    write_text(note, fingerprint + "\n")


def _older(file: Path, number: int) -> Path:
    return file.with_name(f"{file.stem}-{number}{file.suffix}")


def _write(file: Path, rows: Iterable[Row]) -> None:
    lines = [",".join(COLUMNS), *(",".join(row.values()) for row in rows)]
    write_text(file, "\n".join(lines) + "\n")


def _try(
    combination: Combination,
    features: FloatArray,
    scores: FloatArray,
    apart: np.ndarray,
    base: TrainingOptions,
    loss: str,
    shape: MlpShape,
    device: str,
) -> Row:
    result = train_mlp(
        features[~apart],
        scores[~apart],
        combination.options(base),
        loss=loss,  # type: ignore[arg-type]
        shape=shape,
        device=device,
    )
    if result.interrupted:
        raise KeyboardInterrupt
    predicted = result.head.predict(features[apart])
    return Row(
        combination,
        float(result.history[-1]["loss"]),
        _loss(scores[apart], predicted, loss),
        pairwise_accuracy(scores[apart], predicted) or 0.5,
    )


def _loss(scores: FloatArray, predicted: FloatArray, loss: str) -> float:
    """The trainer's loss over all images, or all pairs of different scores."""
    if loss == "mse":
        return float(np.mean((predicted - scores) ** 2))
    from src.aesthetic.batches import MARGIN

    left, right = np.nonzero(scores[:, None] > scores[None, :])
    short = MARGIN - (predicted[left] - predicted[right])
    return float(np.maximum(short, 0).mean()) if len(short) else 0.0
