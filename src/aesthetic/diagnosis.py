"""What a report says beyond how good a model is: what would help, and how far one could get."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from src.aesthetic.choices import RepeatedChoices, repeated_choices
from src.aesthetic.diagnostics import CurvePoint, learning_curve, part_accuracies
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.train import Fitted, few_threads
from src.evaluation.rank_metrics import interval_coverage, pairwise_accuracy
from src.features import builtin

_MOST = 1_500  # training images that are looked at: more would tell the same, later
_CLOSED_FORM = {
    "ridge": "ridge",
    "kernel": "kernel",
    "gp": "kernel",
    "logistic": "ridge",
    "ensemble": "kernel",
}


@dataclass(frozen=True)
class Comparison:
    """Two models on the same test images.

    Attributes:
        previous: AB of the model that was in the folder before.
        now: AB of the new one.
        interval: 95 % bootstrap interval of `now - previous`, over the images.
    """

    previous: float
    now: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Diagnosis:
    """Each part is empty or None where it cannot be said.

    Attributes:
        curve: AB against the number of rated images.
        parts: by name of a part of the features: AB with it alone, and with all but it.
        coverage: how many test images lie inside the intervals promised.
        own: how consistent the person is, and how the model agrees with single choices.
        previous: the comparison with the model that was there before.
    """

    curve: Sequence[CurvePoint] = ()
    parts: Mapping[str, tuple[float | None, float | None]] | None = None
    coverage: Sequence[Mapping[str, float | None]] = ()
    own: RepeatedChoices | None = None
    previous: Comparison | None = None

    def figures(self) -> dict[str, Any]:
        """As entries of metrics.json."""
        return {
            "learning_curve": [asdict(point) for point in self.curve],
            "feature_parts": {
                name: {"alone": alone, "without": rest}
                for name, (alone, rest) in (self.parts or {}).items()
            },
            "interval_coverage": list(self.coverage),
            "own_choices": asdict(self.own) if self.own else None,
            "previous_model": asdict(self.previous) if self.previous else None,
        }

    def sentences(self) -> list[str]:
        """What the figures mean for the person."""
        return [*self._rating(), *self._ceiling(), *self._change()]

    def _rating(self) -> list[str]:
        if len(self.curve) < 2:
            return []
        before, last = self.curve[-2], self.curve[-1]
        gain = last.ab - before.ab
        grew = f"From {before.images} to {last.images} rated images AB rose by {100 * gain:.1f} "
        if gain > math.hypot(before.error, last.error):
            return [grew + "points, in cross-validation: rating more images would still help."]
        return [
            f"From {before.images} to {last.images} rated images AB hardly changed, in "
            "cross-validation: another feature_extractor would help more than rating."
        ]

    def _ceiling(self) -> list[str]:
        if self.own is None:
            return []
        said = f"You answered {self.own.same} of {self.own.repeats} repeated pairs the same way. "
        if self.own.ceiling is not None:
            said += f"So nobody can agree with more than {self.own.ceiling:.0%} of your choices. "
        if self.own.agreement is not None:
            said += (
                f"The model agrees with {self.own.agreement:.0%} of {self.own.choices} choices "
                "between random images that it scored without having been trained on them."
            )
        return [said.strip()]

    def _change(self) -> list[str]:
        if self.previous is None:
            return []
        low, high = self.previous.interval
        verdict = "better" if low > 0 else "worse" if high < 0 else "no clear difference"
        return [
            f"The model that was in this folder before orders {self.previous.previous:.1%} of the "
            f"same test pairs as you do, this one {self.previous.now:.1%}: {verdict} (difference "
            f"{100 * low:+.1f} to {100 * high:+.1f} points)."
        ]


def diagnose(data: RatedFeatures, fitted: Fitted, unseen: FloatArray) -> Diagnosis:
    """Look at a trained model and its data.

    Args:
        data: what it was trained and is measured on; scores, not labels.
        fitted: the model.
        unseen: (n,) scores of all images, of training images by a fit without them where there
            is one.

    Raises:
        ModelError: the features are not those of the model.
    """
    model, given, train = fitted.predictor, data.scaled_scores(), np.flatnonzero(data.train)
    method = _CLOSED_FORM.get(model.head.kind)
    curve: Sequence[CurvePoint] = ()
    parts = None
    if method and fitted.left_out is not None:
        rows = np.random.default_rng(0).permutation(train)[:_MOST]
        x, y, groups = data.features[rows], given[rows], data.groups[rows]
        columns = feature_parts(model.extractors, data.blocks)
        with few_threads(len(rows)):
            curve = learning_curve(x, y, method=method, groups=groups, draws=1)
            if len(columns) > 1:
                parts = part_accuracies(x, y, columns, groups=groups)
    scored = data.test if fitted.left_out is None else np.ones(len(given), dtype=bool)
    return Diagnosis(
        curve,
        parts,
        coverage(model, data, given),
        repeated_choices(data.holder.directory, data.holder.paths, unseen, scored),
        compare_models(fitted.previous, data, given, unseen),
    )


def feature_parts(
    extractors: Sequence[Mapping[str, Any]], blocks: Sequence[int]
) -> dict[str, slice]:
    """Columns of each extractor, and of each kind of hand-made feature, by name."""
    parts: dict[str, slice] = {}
    start = 0
    for extractor, size in zip(extractors, blocks, strict=False):
        name = str(extractor.get("name", "?"))
        if name == "builtin" and size == builtin.SIZE:
            for part, columns in builtin.parts().items():
                parts[part] = slice(start + columns.start, start + columns.stop)
        else:
            parts[name.replace("\\", "/").rstrip("/").rpartition("/")[2]] = slice(
                start, start + size
            )
        start += size
    return parts


def coverage(
    model: Predictor, data: RatedFeatures, given: FloatArray
) -> list[dict[str, float | None]]:
    """The share of test images whose given score lies inside the model's intervals."""
    if not data.test.any():
        return []
    features = data.features[data.test]
    std = model.predict_std(features)
    if std is None or model.head.kind == "pairwise":  # its scores are no forecasts of given ones
        return []
    forecast = model.predict(features) * model.std + model.mean
    return interval_coverage(given[data.test], forecast, std * model.std)


def compare_models(
    previous: Predictor | None,
    data: RatedFeatures,
    given: FloatArray,
    unseen: FloatArray,
    *,
    resamples: int = 300,
) -> Comparison | None:
    """The previous model and the new one on the test images; None where there is none."""
    if previous is None or not data.test.any():
        return None
    test = data.test
    y, new, old = given[test], unseen[test], previous.predict(data.features[test])
    now, before = pairwise_accuracy(y, new), pairwise_accuracy(y, old)
    if now is None or before is None:
        return None
    rng = np.random.default_rng(0)
    gains = []
    for _ in range(resamples):
        rows = rng.integers(0, len(y), len(y))
        a, b = (pairwise_accuracy(y[rows], scores[rows]) for scores in (new, old))
        if a is not None and b is not None:
            gains.append(a - b)
    low, high = np.percentile(gains, (2.5, 97.5)) if gains else (0.0, 0.0)
    return Comparison(before, now, (float(low), float(high)))
