"""Measuring a model of scores: the figures of metrics.json and everything that a report shows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from src.aesthetic.choice_test import ForetoldChoices
from src.aesthetic.choices import repeated_pairs
from src.aesthetic.diagnostics import learning_curve, part_accuracies
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.lineage import Ancestor
from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.saving import METRICS, write_table
from src.aesthetic.train import Fitted, few_threads, targets
from src.evaluation import verdicts
from src.evaluation.proportion import NONE, Proportion
from src.evaluation.rank_metrics import (
    accuracy_interval,
    evaluate,
    interval_coverage,
    pairwise_accuracy,
)
from src.evaluation.verdicts import CurvePoint
from src.features import builtin
from src.files import write_text

_MOST = 1_500  # training images that the learning curve looks at: more would tell the same, later
_CLOSED_FORM = {
    "ridge": "ridge",
    "logistic": "ridge",
    "kernel": "kernel",
    "networks": "kernel",
}


@dataclass(frozen=True)
class Results:
    """What metrics.json and the report say.

    Attributes:
        directory: the image folder.
        paths: images, relative to it, (n).
        given: scores a person gave, scaled to mean 0 and deviation 1 over training, (n,).
        predicted: the model's scores, (n,); of training images those of a fit without them, where
            there is one: a head that knows its images by heart has no surprises.
        test: which images the model has not seen, (n,) bool.
        metrics: "train", "test" and "all", as in metrics.json.
        history: measurements during training, each with "epoch" and one or more figures.
        notes: sentences on the model and on what to do next.
        provenance: what the model was made with.
        curve: AB against the number of rated images; empty where it cannot be said.
        parts: by name of a part of the features: AB with it alone, and with all but it.
        coverage: how many test images lie inside the intervals promised.
        more: further entries of metrics.json.
    """

    directory: Path
    paths: Sequence[str]
    given: np.ndarray
    predicted: np.ndarray
    test: np.ndarray
    metrics: Mapping[str, Mapping[str, Any]]
    history: Sequence[Mapping[str, float]] = ()
    notes: Sequence[str] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    curve: Sequence[CurvePoint] = ()
    parts: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    coverage: Sequence[Mapping[str, float | None]] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def useful(self) -> bool:
        """Whether the model was not shown to be no better than a coin."""
        test = self.metrics["test"]
        name = "choice_accuracy" if "choice_accuracy" in test else "ab"
        return verdicts.level(test[name], test.get(f"{name}_interval")) != "chance"

    def save(self, folder: Path, fitted: Fitted, data: RatedFeatures) -> None:
        """Write metrics.json, and predictions.csv with the highest scores first.

        Columns: relative_path; given (as in the score file, scaled to mean 0 and deviation 1 over
        the training images); predicted; out_of_fold (scored by a fit without the image, where the
        head was cross-validated); uncertainty (standard deviation, where the model knows it);
        split.

        Raises:
            DataError: a file cannot be written.
        """
        write_metrics(folder, "aesthetic", self.directory, self.metrics, self.more)
        predicted = fitted.predictor.predict(data.features)
        deviation = fitted.predictor.predict_std(data.features)
        columns = {
            "relative_path": self.paths,
            "given": numbers(self.given),
            "predicted": numbers(predicted),
            "out_of_fold": numbers(self.predicted),
            "uncertainty": [""] * len(self.paths) if deviation is None else numbers(deviation),
            "split": np.where(self.test, "test", "train").tolist(),
        }
        write_table(
            folder / "predictions.csv", columns, np.argsort(-predicted, kind="stable").tolist()
        )

    def table(self) -> str:
        """The figures for the console."""
        lines = [f"{'':8}{'n':>7}{'AB':>9}{'95 % interval':>18}{'Spearman':>10}{'rmse':>8}"]
        for part, m in self.metrics.items():
            interval = m.get("ab_interval")
            shown = f"{interval[0]:.1%} … {interval[1]:.1%}" if interval else ""
            lines.append(
                f"{part:8}{m['n']:>7}{_shown(m['ab'], '.1%'):>9}{shown:>18}"
                f"{_shown(m['spearman'], '.3f'):>10}{_shown(m['rmse'], '.3f'):>8}"
            )
        return "\n".join(lines)


def evaluate_scores(
    data: RatedFeatures,
    fitted: Fitted,
    bootstrap: int,
    unknown: Sequence[str] = (),
    previous: Ancestor | None = None,
) -> Results:
    """Measure a model on images that it has and has not seen.

    Args:
        data: the images; those kept back for testing are the ones that it has not seen.
        fitted: the model; one that was loaded has nothing out of fold.
        bootstrap: resamples behind the 95 % intervals; 0 for none.
        unknown: ancestors that do not say what they have seen.
        previous: the model that it replaces.

    Raises:
        ModelError: the model was made for other features.
    """
    model, test = fitted.predictor, data.test
    given, predicted = data.scaled_scores(), model.predict(data.features)
    unseen, _ = out_of_fold_scores(data, fitted, predicted)
    tested, foretold = test, fitted.foretold
    if foretold and foretold.headline.trials and not test.any():
        tested = np.isfinite(foretold.scores)
        unseen = np.where(tested, foretold.scores, unseen)
    metrics = {
        "train": evaluate(given[~test], predicted[~test]),
        "test": evaluate(
            given[tested], unseen[tested], bootstrap=bootstrap, groups=data.groups[tested]
        ),
        "all": evaluate(given, predicted),
    }
    curve, parts = ((), {}) if foretold else diagnosed(data, fitted)
    if foretold:
        metrics["test"] |= _choice_metrics(foretold)
    covered = _coverage(model, data, given)
    repeats = repeated_pairs(data.holder.directory)
    change = compared(previous, data, given, predicted, bootstrap)
    notes = [
        *fitted.notes,
        *verdicts.unknown_ancestors(unknown),
        *_test_sentences(data, metrics["test"], foretold),
        *([verdicts.STAND_IN] if foretold and fitted.method == "networks" else []),
        *verdicts.learning(curve),
        *verdicts.consistency(repeats),
        *([verdicts.compared(**change)] if change else []),
    ]
    more = {
        "head": model.head.kind,
        "unknown_ancestors": list(unknown),
        "learning_curve": [point._asdict() for point in curve],
        "feature_parts": {name: {"alone": a, "without": b} for name, (a, b) in parts.items()},
        "interval_coverage": covered,
        "self_consistency": _proportion(repeats),
        "previous_model": change,
    }
    return Results(
        data.holder.directory,
        data.holder.paths,
        given,
        unseen,
        test,
        metrics,
        fitted.history,
        notes,
        model.provenance,
        curve,
        parts,
        covered,
        more,
    )


def out_of_fold_scores(
    data: RatedFeatures, fitted: Fitted, predicted: FloatArray
) -> tuple[FloatArray, np.ndarray]:
    """Scores by fits that have not seen the image, and where there are such, (n,) bool.

    Elsewhere the scores are those of the model itself.
    """
    scores, known = predicted.copy(), data.test.copy()
    if fitted.out_of_fold is not None:
        inside = np.flatnonzero(data.train)
        inside = inside[np.isfinite(fitted.out_of_fold)]
        scores[inside] = fitted.out_of_fold[np.isfinite(fitted.out_of_fold)]
        known[inside] = True
    return scores, known


def write_metrics(
    folder: Path,
    task: str,
    directory: Path,
    metrics: Mapping[str, Mapping[str, Any]],
    more: Mapping[str, Any],
) -> None:
    """Write `metrics.json`: the task, the image folder, the three parts, then further entries.

    Raises:
        DataError: the file cannot be written.
    """
    content = {"task": task, "images": str(directory.resolve()), **metrics, **more}
    write_text(folder / METRICS, json.dumps(content, indent=2, ensure_ascii=False))


def _choice_metrics(foretold: ForetoldChoices) -> dict[str, Any]:
    shown = foretold.headline
    return {
        "choice_accuracy": shown.value,
        "choice_accuracy_interval": shown.interval if shown.trials else None,
        "choices": shown.trials,
        "random_pairs": _proportion(foretold.random),
        "picked_pairs": _proportion(foretold.picked),
    }


def _test_sentences(
    data: RatedFeatures, test: Mapping[str, Any], foretold: ForetoldChoices | None
) -> list[str]:
    if not test["n"]:
        return [no_test(data)]
    if foretold is None:
        return [verdicts.ordering(test["ab"], test.get("ab_interval"), test["n"])]
    if foretold.headline == foretold.random:
        said = [verdicts.choices(foretold.random, "random pairs")]
        said += verdicts.picked(foretold.picked)
    else:
        said = [verdicts.choices(foretold.headline, "all pairs, most of them picked to be hard")]
    if foretold.left_out:
        said.append(verdicts.choices_left_out(foretold.left_out))
    return said if data.test.any() else [*said, verdicts.OWN_SCORES]


def no_test(data: RatedFeatures) -> str:
    """Why there are no test images."""
    seen = int((data.seen | data.seen_by_features).sum())
    return verdicts.no_test(seen=seen, images=len(data.test))


def diagnosed(
    data: RatedFeatures, fitted: Fitted
) -> tuple[Sequence[CurvePoint], dict[str, tuple[float | None, float | None]]]:
    """The learning curve, and what parts of the features matter; from fits to training images.

    Nothing is said of a model that starts from another, or of features trained on these images.
    """
    method = _CLOSED_FORM.get(fitted.method)
    if not method or fitted.out_of_fold is None or fitted.start or data.seen_by_features.any():
        return (), {}
    rows = np.random.default_rng(0).permutation(np.flatnonzero(data.train))[:_MOST]
    x, y, groups = data.features[rows], targets(data)[rows], data.groups[rows]
    columns = feature_parts(fitted.predictor.extractors, data.blocks)
    with few_threads(len(rows)):
        curve = learning_curve(x, y, method=method, groups=groups, draws=1)
        parts = part_accuracies(x, y, columns, groups=groups) if len(columns) > 1 else {}
    return curve, parts


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
            kind = "text:" if name.startswith("text:") else ""
            folder = name.removeprefix(kind).replace("\\", "/").rstrip("/")
            parts[kind + folder.rpartition("/")[2]] = slice(start, start + size)
        start += size
    return parts


def _coverage(
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


def compared(
    previous: Ancestor | None,
    data: RatedFeatures,
    given: FloatArray,
    predicted: FloatArray,
    bootstrap: int,
) -> dict[str, Any] | None:
    """The previous model and this one on test images that neither has seen, paired."""
    if previous is None:
        return None
    rows = data.test & ~previous.seen(data)
    y, new, old = given[rows], predicted[rows], previous.predictor.predict(data.features[rows])
    before, now = pairwise_accuracy(y, old), pairwise_accuracy(y, new)
    difference = accuracy_interval(
        y, new, bootstrap=bootstrap, groups=data.groups[rows], instead_of=old
    )
    if before is None or now is None or difference is None:
        return None
    return {"before": before, "now": now, "difference": difference, "images": int(rows.sum())}


def _proportion(found: Proportion) -> dict[str, Any] | None:
    if found == NONE:
        return None
    return {"value": found.value, "interval": found.interval, "trials": found.trials}


def numbers(values: FloatArray) -> list[str]:
    return [f"{value:.6f}" for value in values]


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
