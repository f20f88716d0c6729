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
from src.aesthetic.train import Fitted
from src.dataset.suspected_labels import FILE_NAME, SuspectedLabel, write_suspected
from src.evaluation import verdicts
from src.evaluation.proportion import NONE, Proportion
from src.evaluation.rank_metrics import (
    accuracy_interval,
    evaluate,
    interval_coverage,
    pairwise_accuracy,
)
from src.features import builtin
from src.files import rows_of, write_csv, write_text

METRICS = "metrics.json"
_COLUMNS = {"ab": "AB", "ab_interval": "95% interval", "spearman": "Spearman"}
_MOST = 1_500  # training images that the learning curve looks at: more would tell the same, later
_CLOSED_FORM = {"ridge": "ridge", "logistic": "ridge", "kernel": "kernel", "networks": "kernel"}
PARTS = ("train", "test", "all")


@dataclass(frozen=True)
class Results:
    """A model measured: what the files beside it and the report say.

    `given` are the person's scores, scaled to mean 0 and deviation 1 over training, or labels, 1
    for kept and 0 for deleted; `predicted` the model's scores, or probabilities of keeping. Those
    of training images come from a fit without them, where there is one: a head that knows its
    images by heart has no surprises.
    """

    directory: Path  # the image folder
    paths: Sequence[str]  # relative to it, (n)
    given: np.ndarray  # (n,)
    predicted: np.ndarray  # (n,)
    test: np.ndarray  # which images the model has not seen, (n,) bool
    metrics: Mapping[str, Any]  # the content of metrics.json: PARTS, then further entries
    predictions: Mapping[str, Any]  # columns of predictions.csv
    table: str  # the figures for the console
    notes: Sequence[str] = ()  # on the model and on what to do next
    provenance: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, float]] = ()  # while training, each with "epoch"
    suspects: Sequence[SuspectedLabel] | None = None  # of labels; the greatest surprise first
    suspected: str = ""  # a sentence on them

    @property
    def useful(self) -> bool:
        """Whether the model was not shown to be no better than a coin."""
        test = self.metrics["test"]
        name = next(name for name in ("choice_accuracy", "auc", "ab") if name in test)
        return verdicts.level(test[name], test.get(f"{name}_interval")) != "chance"

    def save(self, folder: Path) -> None:
        """Write metrics.json, predictions.csv, and for labels suspected_labels.csv."""
        write_text(folder / METRICS, json.dumps(self.metrics, indent=2, ensure_ascii=False))
        write_csv(folder / "predictions.csv", rows_of(self.predictions))
        if self.suspects is not None:
            write_suspected(folder / FILE_NAME, self.suspects)


def evaluate_scores(
    data: RatedFeatures,
    fitted: Fitted,
    bootstrap: int,
    unknown: Sequence[str] = (),
    previous: Ancestor | None = None,
) -> Results:
    """Measure a model on images that it has and has not seen, which are those for testing.

    `bootstrap` are the resamples behind 95% intervals; `unknown` ancestors that do not say what
    they have seen; `previous` is the model that this one replaces.
    """
    model, test, foretold = fitted.predictor, data.test, fitted.foretold
    given, predicted = data.targets, model.predict(data.features)
    unseen, _ = out_of_fold_scores(data, fitted, predicted)
    tested = test
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
    if foretold:
        metrics["test"] |= _choice_metrics(foretold)
    repeats = repeated_pairs(data.holder.directory)
    entries, sentences = what_would_help(data, fitted, predicted, bootstrap, unknown, previous)
    entries |= {
        "interval_coverage": _coverage(model, data, given),
        "self_consistency": _proportion(repeats),
        "folders": _by_folder(data.holder.paths, given, unseen),
    }
    notes = [
        *fitted.notes,
        *verdicts.unknown_ancestors(unknown),
        *_test_sentences(data, metrics["test"], foretold),
        *([verdicts.STAND_IN] if foretold and fitted.method == "networks" else []),
        *verdicts.consistency(repeats),
        *sentences,
    ]
    deviation = model.predict_std(data.features)
    order = np.argsort(-predicted, kind="stable")
    columns = {
        "relative_path": [data.holder.paths[row] for row in order],
        "given": given[order],
        "predicted": predicted[order],
        "out_of_fold": unseen[order],
        "uncertainty": [""] * len(order) if deviation is None else deviation[order],
        "split": np.where(test, "test", "train")[order],
    }
    return Results(
        data.holder.directory,
        data.holder.paths,
        given,
        unseen,
        test,
        entries | {"task": "aesthetic"} | metrics,
        columns,
        table(metrics, _COLUMNS),
        notes,
        model.provenance,
        fitted.history,
    )


def out_of_fold_scores(
    data: RatedFeatures, fitted: Fitted, predicted: FloatArray
) -> tuple[FloatArray, np.ndarray]:
    """Scores by fits without the image, elsewhere of the model; where they are, (n,) bool."""
    scores, known = predicted.copy(), data.test.copy()
    if fitted.out_of_fold is not None:
        finite = np.isfinite(fitted.out_of_fold)
        inside = np.flatnonzero(data.train)[finite]
        scores[inside] = fitted.out_of_fold[finite]
        known[inside] = True
    return scores, known


def what_would_help(
    data: RatedFeatures,
    fitted: Fitted,
    predicted: FloatArray,
    bootstrap: int,
    unknown: Sequence[str],
    previous: Ancestor | None,
) -> tuple[dict[str, Any], list[str]]:
    """For metrics.json epochs, learning curve, parts of features, the model before; sentences."""
    curve, parts = ((), {}) if fitted.foretold else _diagnosed(data, fitted)
    change = compared(previous, data, data.targets, predicted, bootstrap)
    entries = {
        "images": str(data.holder.directory.resolve()),
        "head": fitted.predictor.head.kind,
        "unknown_ancestors": list(unknown),
        "epochs": [dict(row) for row in fitted.history if "train_ab" in row],  # measured ones
        "learning_curve": [point._asdict() for point in curve],
        "feature_parts": {name: {"alone": a, "without": b} for name, (a, b) in parts.items()},
        "previous_model": change,
    }
    sentences = verdicts.learning(curve, "AUC" if data.binary else "AB")
    return entries, [*sentences, *([verdicts.compared(**change)] if change else [])]


def table(metrics: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """For the console: a line for each part; the headings by the names of metrics."""

    def shown(name: str, value: Any) -> str:
        ends = value if isinstance(value, (list, tuple)) else [value]
        form = ".3f" if name == "spearman" else ".1%"
        return " to ".join("–" if end is None else format(end, form) for end in ends)

    rows = [["", "n", *columns.values()]]
    rows += [
        [part, f"{m['n']}", *(shown(k, m.get(k)) for k in columns)] for part, m in metrics.items()
    ]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = ([c.rjust(width) for c, width in zip(row, widths, strict=True)] for row in rows)
    return "\n".join(map("  ".join, lines))


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
    seen = int((data.seen | data.seen_by_features).sum())
    return verdicts.no_test(seen=seen, images=len(data.test))


def _diagnosed(
    data: RatedFeatures, fitted: Fitted
) -> tuple[Sequence[verdicts.CurvePoint], dict[str, tuple[float | None, float | None]]]:
    """Learning curve and parts of the features; none of a model that starts from another."""
    from threadpoolctl import threadpool_limits

    method = _CLOSED_FORM.get(fitted.method)
    if not method or fitted.out_of_fold is None or fitted.start or data.seen_by_features.any():
        return (), {}
    rows = np.random.default_rng(0).permutation(np.flatnonzero(data.train))[:_MOST]
    images = data.training_set(rows)
    columns = feature_parts(fitted.predictor.extractors, data.blocks)
    with threadpool_limits(1, "blas"):  # see `fit_predictor`
        curve = learning_curve(images, method)
        parts = part_accuracies(images, columns) if len(columns) > 1 else {}
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


def _by_folder(
    paths: Sequence[str], given: FloatArray, predicted: FloatArray
) -> dict[str, dict[str, float]]:
    """Of each folder, "" for images in none: how many images, and their mean scores."""
    folders, found = np.array([path.rpartition("/")[0] for path in paths]), {}
    for name in np.unique(folders).tolist():
        own, said = given[folders == name], predicted[folders == name]
        found[name] = {"n": len(own), "given": float(own.mean()), "predicted": float(said.mean())}
    return found


def _coverage(
    model: Predictor, data: RatedFeatures, given: FloatArray
) -> list[dict[str, float | None]]:
    if not data.test.any():
        return []
    features = data.features[data.test]
    std = model.predict_std(features)
    if std is None or getattr(model.head, "fitted_as", "") == "pairwise":  # of choices, not scores
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
