"""The objective of several tags an image: its loss, and the figures of each epoch."""

from typing import Any

import numpy as np

from src.evaluation.multilabel import f_beta
from src.image_models.fine_tune import Objective
from src.tagging.losses import MultilabelLoss

_ROWS = 4096  # images counted at once


def objective(loss: MultilabelLoss) -> Objective:
    """Loss, figures and their wording."""
    return Objective(loss, _figures, _describe)


def _figures(evaluated: Any) -> dict[str, float]:
    """Counts of this very measurement at probability 1/2, and F1 from them."""
    logits, labels = np.asarray(evaluated.predictions), np.asarray(evaluated.label_ids)
    tp, fp, fn = np.zeros((3, labels.shape[1]), np.int64)
    for start in range(0, len(labels), _ROWS):
        given, true = logits[start : start + _ROWS] >= 0, labels[start : start + _ROWS] > 0.5
        tp += (given & true).sum(axis=0)
        fp += (given & ~true).sum(axis=0)
        fn += (~given & true).sum(axis=0)
    seen = tp + fn > 0
    return {
        "tp": int(tp.sum()),
        "fp": int(fp.sum()),
        "fn": int(fn.sum()),
        "tn": int(labels.size - tp.sum() - fp.sum() - fn.sum()),
        "f1_micro": float(f_beta(tp.sum(), fp.sum(), fn.sum(), 1)),
        "f1_macro": float(f_beta(tp, fp, fn, 1)[seen].mean()) if seen.any() else 0.0,
    }


def _describe(figures: dict[str, float]) -> str:
    counts = " ".join(f"{name.upper()} {figures.get(name, 0):.0f}" for name in _COUNTS)
    return (
        f"validation loss {figures.get('loss', 0):.4f}, {counts}, "
        f"F1 {figures.get('f1_micro', 0):.3f} micro {figures.get('f1_macro', 0):.3f} macro"
    )


_COUNTS = ("tp", "fp", "fn", "tn")
