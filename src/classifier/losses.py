"""Losses for images with several tags, from logits; and what goes with them.

All are linear in the labels, so that soft labels, as MixUp makes them, give the same mixture of
losses. They use log sigmoid(x) and log sigmoid(-x) and never the logarithm of a clamped
probability, whose gradient is zero just where the model is confidently wrong.
"""

from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch

LossName = Literal["bce", "focal", "asl"]

_SMALLEST = 1e-8  # shifted probabilities below this count as this: powers of 0 have no gradient


class MultilabelLoss(Protocol):
    """A loss of logits (b, k) and labels (b, k) in 0 … 1; returns a scalar."""

    def __call__(self, logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        """The loss of a batch."""


def multilabel_loss(
    name: LossName,
    *,
    weights: np.ndarray | None = None,
    alpha: float = 0.25,
    gamma: float = 2.0,
    gamma_neg: float = 0.0,
    gamma_pos: float = 0.0,
    clip: float = 0.0,
) -> MultilabelLoss:
    """A loss by name.

    Args:
        name: `bce`, the mean over all decisions; `focal` and `asl`, sums over the tags, averaged
            over the images. With `asl` and its three parameters zero this is k times `bce`.
        weights: one factor for each tag, (k,); see `frequency_weights`.
        alpha, gamma: of the focal loss.
        gamma_neg, gamma_pos, clip: of the asymmetric loss.
    """
    import torch

    factors = None if weights is None else torch.tensor(weights, dtype=torch.float32)

    def loss(logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        logits, labels = logits.float(), labels.to(logits.device, torch.float32)
        if name == "bce":
            parts = torch.nn.functional.binary_cross_entropy_with_logits(
                logits, labels, reduction="none"
            )
        elif name == "focal":
            parts = focal(logits, labels, alpha, gamma)
        else:
            parts = asymmetric(logits, labels, gamma_neg, gamma_pos, clip)
        if factors is not None:
            parts = parts * factors.to(logits.device)
        return parts.mean() if name == "bce" else parts.sum(dim=1).mean()

    return loss


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


def mix_up(
    inputs: "torch.Tensor", labels: "torch.Tensor", alpha: float
) -> "tuple[torch.Tensor, torch.Tensor]":
    """MixUp (Zhang et al. 2018): each image blended with another of the batch, labels alike.

    With multi-hot labels a tag that both images have keeps the label 1, and one that only one of
    them has gets that image's share. Each image draws a share of its own from Beta(alpha, alpha);
    the larger part stays with the image itself, which changes nothing but the order.

    Args:
        inputs: (b, ...) pixels or features.
        labels: (b, k) in 0 … 1.
        alpha: 0.2 blends little, 1 evenly; 0 returns what was given.
    """
    import torch

    if alpha <= 0 or len(inputs) < 2:
        return inputs, labels
    share = torch.distributions.Beta(alpha, alpha).sample((len(inputs),)).to(inputs)
    share = torch.maximum(share, 1 - share)
    other = torch.randperm(len(inputs), device=inputs.device)
    mixed = _blend(inputs, inputs[other], share)
    return mixed, _blend(labels.to(inputs.dtype), labels[other].to(inputs.dtype), share)


def _blend(first: "torch.Tensor", second: "torch.Tensor", share: "torch.Tensor") -> "torch.Tensor":
    share = share.view(-1, *[1] * (first.ndim - 1))
    return share * first + (1 - share) * second
