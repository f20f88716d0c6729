"""Scores that images have before any choice: of an old score file, or a model's predictions."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from src.rating.models.graph import Floats
from src.rating.models.posterior import LOGITS
from src.rating.pairs.expected_gain import SCORE_VARIANCE
from src.rating.storage.choice_rows import Start

DEFAULT_DEVIATION = 0.5
AGREEMENT = 0.5
"""expected correlation of a model of other people's taste with this person's (docs/heads.md)"""
_OLD_COMPARISONS = 3.0  # per image, where an old score file does not say


@dataclass(frozen=True)
class InitialScores:
    """Scores of n images before any choice, logits; 0 where there is none."""

    old: Floats  # from a score file without choices
    old_comparisons: Floats  # how many comparisons stand behind each of them
    model: Floats

    @classmethod
    def of(cls, starts: Collection[Start], number: Mapping[str, int], old_evaluations: int) -> Self:
        """Of all images that `number` counts; `old_evaluations` is the old tool's count."""
        old, played, model = (np.zeros(len(number)) for _ in range(3))
        files = sum(start.source == "file" for start in starts)
        for start in starts:
            (old if start.source == "file" else model)[number[start.path]] = start.score * LOGITS
            if start.source == "file":
                played[number[start.path]] = 2 * old_evaluations / files or _OLD_COMPARISONS
        return cls(old, played, model)

    def with_model(self, scores: Floats) -> Self:
        """With other scores by a model, in any units, where they are not NaN."""
        known = np.isfinite(scores)
        spread = float(scores[known].std()) if known.any() else 0.0
        if spread < 1e-12:
            return self
        expected = (scores - scores[known].mean()) / spread * AGREEMENT * SCORE_VARIANCE**0.5
        return replace(self, model=np.where(known, expected, self.model))


def rescale(
    predictions: Mapping[str, float], existing: Mapping[str, float], unrated: Iterable[str]
) -> dict[str, float]:
    """Scores for the unrated images that have a prediction, on the scale of the existing ones.

    All predictions, of rated images too, are shifted to mean zero; those of unrated images go
    through tanh, which squashes extremes, and get the standard deviation of the existing scores.
    """
    values = np.array(list(predictions.values()), dtype=float)
    if not np.isfinite(values).all():
        raise ValueError("a prediction is not finite")
    wanted = set(unrated)
    fill = [path for path in predictions if path in wanted]
    if not fill:
        return {}
    mean = values.mean()
    squashed = np.tanh(np.array([predictions[path] for path in fill]) - mean)
    spread = float(squashed.std())
    if spread < 1e-12:  # one new image, or several alike: measured by all images
        spread = float(np.tanh(values - mean).std())
    factor = existing_deviation(existing) / spread if spread >= 1e-12 else 0.0
    return dict(zip(fill, (squashed * factor).tolist(), strict=True))


def existing_deviation(existing: Mapping[str, float]) -> float:
    """Standard deviation of the existing scores, 0.5 where they have none."""
    values = np.array(list(existing.values()), dtype=float)
    deviation = float(values.std()) if len(values) >= 2 else 0.0
    return deviation if deviation > 1e-12 else DEFAULT_DEVIATION
