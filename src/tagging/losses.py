"""Losses for images with several tags, from logits; and what is measured in training.

All are linear in the labels, so that soft labels, as MixUp makes them, give the same mixture of
losses. They use log sigmoid(x) and log sigmoid(-x) and never the logarithm of a clamped
probability, whose gradient is zero just where the model is confidently wrong.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from src.evaluation.multilabel import f_beta
from src.image_models.fine_tune import Objective

if TYPE_CHECKING:
    import torch

LossName = Literal["bce", "focal", "asl"]

_SMALLEST = 1e-8  # shifted probabilities below this count as this: powers of 0 have no gradient


@dataclass(frozen=True)
class MultilabelLoss:
    """A loss by name.

    Attributes:
        name: `bce`, the mean over all decisions; `focal` and `asl`, sums over the tags, averaged
            over the images. With `asl` and its three parameters zero this is k times `bce`.
        alpha, gamma: of the focal loss.
        gamma_neg, gamma_pos, clip: of the asymmetric loss.
        weights: one factor for each tag, (k,); see `frequency_weights`.
        smoothing: labels are drawn so far towards one half.
    """

    name: LossName = "bce"
    alpha: float = 0.25
    gamma: float = 2.0
    gamma_neg: float = 0.0
    gamma_pos: float = 0.0
    clip: float = 0.0
    weights: np.ndarray | None = None
    smoothing: float = 0.0

    def __call__(self, outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        """The loss of a batch, a scalar tensor; the signature is the Trainer's.

        Args:
            outputs: a mapping with `logits`, (b, k).
            labels: (b, k) in 0 … 1.
            num_items_in_batch: decisions in all batches of one step of the optimiser, so that
                accumulated gradients equal those of one large batch; by default this batch's.
        """
        total = self.parts(outputs["logits"], labels).sum()
        decisions = labels.numel() if num_items_in_batch is None else num_items_in_batch
        tags = 1 if self.name == "bce" else labels.shape[1]
        return total * tags / decisions

    def parts(self, logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        """The loss of each decision, (b, k)."""
        import torch

        logits, labels = logits.float(), labels.to(logits.device, torch.float32)
        labels = labels + self.smoothing * (0.5 - labels)
        if self.name == "bce":
            parts = torch.nn.functional.binary_cross_entropy_with_logits(
                logits, labels, reduction="none"
            )
        elif self.name == "focal":
            parts = focal(logits, labels, self.alpha, self.gamma)
        else:
            parts = asymmetric(logits, labels, self.gamma_neg, self.gamma_pos, self.clip)
        if self.weights is not None:
            parts = parts * torch.as_tensor(self.weights, dtype=torch.float32, device=parts.device)
        return parts


def focal(
    logits: "torch.Tensor", labels: "torch.Tensor", alpha: float, gamma: float
) -> "torch.Tensor":
    """Focal loss of each decision, (b, k) (Lin et al. 2017, equation 5).

    -alpha (1-p)^gamma log p where the tag is, -(1-alpha) p^gamma log(1-p) where it is not.
    """
    from torch.nn.functional import logsigmoid

    log_p, log_not_p = logsigmoid(logits), logsigmoid(-logits)
    present = alpha * (gamma * log_not_p).exp() * log_p
    absent = (1 - alpha) * (gamma * log_p).exp() * log_not_p
    return -(labels * present + (1 - labels) * absent)


def asymmetric(
    logits: "torch.Tensor",
    labels: "torch.Tensor",
    gamma_neg: float,
    gamma_pos: float,
    clip: float,
) -> "torch.Tensor":
    """Asymmetric loss of each decision, (b, k) (Ridnik et al. 2021, equations 4 to 7).

    -(1-p)^gamma_pos log p where the tag is, -q^gamma_neg log(1-q) with q = max(p - clip, 0)
    where it is not. With a clip the loss of absent tags is bounded by -log(clip), so that what is
    very probably a missing label pulls less; without one it is not.
    """
    import torch
    from torch.nn.functional import logsigmoid

    log_p, log_not_p = logsigmoid(logits), logsigmoid(-logits)
    present = (gamma_pos * log_not_p).exp() * log_p if gamma_pos else log_p
    if clip:
        shifted = (logits.sigmoid() - clip).clamp(min=_SMALLEST)
        # 1 - q, from sigmoid(-x): 1 - sigmoid(x) would round to 0 for large x.
        absent = torch.log((torch.sigmoid(-logits) + clip).clamp(max=1.0))
        if gamma_neg:
            absent = shifted**gamma_neg * absent
    else:
        absent = (gamma_neg * log_p).exp() * log_not_p if gamma_neg else log_not_p
    return -(labels * present + (1 - labels) * absent)


def frequency_weights(counts: np.ndarray, power: float = 0.5) -> np.ndarray:
    """Factors that make rare tags count more, (k,) float32, mean 1.

    Args:
        counts: how many training images have each tag; 0 counts as 1.
        power: 0 makes all equal, 1 makes each tag count the same in total.
    """
    weights: np.ndarray = np.power(np.maximum(counts, 1).astype(np.float64), -power)
    return np.asarray(weights / weights.mean(), np.float32)


def objective(loss: MultilabelLoss) -> Objective:
    """Loss, metrics and their wording."""
    return Objective(loss, _metrics, _describe)


_ROWS = 4096  # images counted at once
_COUNTS = ("tp", "fp", "fn", "tn")


def _metrics(logits: np.ndarray, labels: Any) -> dict[str, float]:
    """Counts of this very measurement at probability 1/2, and F1 from them."""
    tp, fp, fn = np.zeros((3, labels.shape[1]), np.int64)
    for start in range(0, len(logits), _ROWS):
        rows = labels[start : start + _ROWS]
        true = (rows if isinstance(rows, np.ndarray) else rows.toarray()) > 0.5
        given = logits[start : start + _ROWS] >= 0
        tp += (given & true).sum(axis=0)
        fp += (given & ~true).sum(axis=0)
        fn += (~given & true).sum(axis=0)
    occurs = tp + fn > 0
    return {
        "tp": int(tp.sum()),
        "fp": int(fp.sum()),
        "fn": int(fn.sum()),
        "tn": int(logits.size - tp.sum() - fp.sum() - fn.sum()),
        "f1_micro": float(f_beta(tp.sum(), fp.sum(), fn.sum(), 1)),
        "f1_macro": float(f_beta(tp, fp, fn, 1)[occurs].mean()) if occurs.any() else 0.0,
    }


def _describe(metrics: dict[str, float]) -> str:
    counts = " ".join(f"{name.upper()} {metrics.get(name, 0):.0f}" for name in _COUNTS)
    return (
        f"validation loss {metrics.get('loss', 0):.4f}, {counts}, "
        f"F1 {metrics.get('f1_micro', 0):.3f} micro {metrics.get('f1_macro', 0):.3f} macro"
    )
