"""Losses for images with several tags, from logits; and what is measured in training.

All are linear in the labels, so that MixUp's give the same mixture of losses. They never take the
logarithm of a clamped probability, whose gradient is zero where the model is confidently wrong.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from src.evaluation.multilabel import f_beta
from src.image_models.fine_tune import Objective
from src.settings.classifier import ClassifierTraining

if TYPE_CHECKING:
    import torch

_SMALLEST = 1e-8  # shifted probabilities below this count as this: powers of 0 have no gradient
_COUNTS = ("tp", "fp", "fn", "tn")


def tag_objective(settings: ClassifierTraining, weights: np.ndarray | None = None) -> Objective:
    """The loss of the settings, with a factor for each tag, (k,), and what is measured.

    `bce` is the mean over all decisions; `focal` and `asl` are sums over the tags, averaged over
    the images. Logits and labels are (b, k), labels in 0 … 1; `num_items_in_batch` counts the
    decisions in all batches of one step of the optimiser.
    """
    smoothing = float(settings.training_args.given.get("label_smoothing_factor", 0.0))

    def loss(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits

        logits = outputs["logits"].float()
        labels = labels.to(logits.device, torch.float32)
        labels = labels + smoothing * (0.5 - labels)
        tags = labels.shape[1]
        if settings.tag_loss == "bce":
            tags, parts = 1, binary_cross_entropy_with_logits(logits, labels, reduction="none")
        elif settings.tag_loss == "focal":
            gamma, alpha = settings.focal_gamma, settings.focal_alpha
            parts = weighed_losses(logits, labels, (gamma, gamma), weights=(1 - alpha, alpha))
        else:
            gammas = settings.asl_gamma_neg, settings.asl_gamma_pos
            parts = weighed_losses(logits, labels, gammas, clip=settings.asl_clip)
        if weights is not None:
            parts = parts * torch.as_tensor(weights, dtype=torch.float32, device=parts.device)
        decisions = labels.numel() if num_items_in_batch is None else num_items_in_batch
        return parts.sum() * tags / decisions

    return Objective(loss, _metrics, _describe)


def weighed_losses(
    logits: "torch.Tensor",
    labels: "torch.Tensor",
    gammas: tuple[float, float],
    *,
    weights: tuple[float, float] = (1.0, 1.0),
    clip: float = 0.0,
) -> "torch.Tensor":
    """The loss of each decision, (b, k); gammas and weights are of absent and of present tags.

    -weight (1-p)^gamma log p where the tag is, -weight q^gamma log(1-q) with q = max(p - clip, 0)
    where it is not: with one gamma the focal loss (Lin et al. 2017, equation 5), without weights
    the asymmetric loss (Ridnik et al. 2021, equations 4 to 7). With a clip the loss of absent tags
    is bounded by -log(clip): what is very probably a missing label pulls less.
    """
    import torch
    from torch.nn.functional import logsigmoid

    log_p, log_not_p = logsigmoid(logits), logsigmoid(-logits)
    present = weights[1] * (gammas[1] * log_not_p).exp() * log_p
    if clip:
        shifted = (logits.sigmoid() - clip).clamp(min=_SMALLEST)
        # 1 - q, from sigmoid(-x): 1 - sigmoid(x) would round to 0 for large x.
        absent = shifted ** gammas[0] * torch.log((torch.sigmoid(-logits) + clip).clamp(max=1.0))
    else:
        absent = (gammas[0] * log_p).exp() * log_not_p
    return -(labels * present + (1 - labels) * weights[0] * absent)


def frequency_weights(counts: np.ndarray) -> np.ndarray:
    """Factors that make rare tags count more, (k,) float32: 1 / sqrt(count), scaled to mean 1."""
    weights = 1 / np.sqrt(np.maximum(counts, 1))
    return np.asarray(weights / weights.mean(), np.float32)


def _metrics(logits: np.ndarray, labels: Any) -> dict[str, float]:
    """Counts of this very measurement at probability 1/2, and F1 from them."""
    from scipy.sparse import csr_array

    given = logits >= 0
    rows, columns = csr_array(labels).nonzero()
    support = np.bincount(columns, minlength=given.shape[1])
    tp = np.bincount(columns[given[rows, columns]], minlength=given.shape[1])
    fp, fn = given.sum(axis=0) - tp, support - tp
    counts = int(tp.sum()), int(fp.sum()), int(fn.sum())
    return {
        **dict(zip(_COUNTS, [*counts, logits.size - sum(counts)], strict=True)),
        "f1_micro": float(f_beta(*counts, 1)),
        "f1_macro": float(f_beta(tp, fp, fn, 1)[support > 0].mean()) if support.any() else 0.0,
    }


def _describe(metrics: dict[str, float]) -> str:
    counts = " ".join(f"{name.upper()} {metrics[name]:.0f}" for name in _COUNTS)
    return (
        f"validation loss {metrics['loss']:.4f}, {counts}, "
        f"F1 {metrics['f1_micro']:.3f} micro {metrics['f1_macro']:.3f} macro"
    )
