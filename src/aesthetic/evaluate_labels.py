"""Measuring a model of kept and deleted images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from src.aesthetic.evaluate import (
    compared,
    diagnosed,
    no_test,
    numbers,
    out_of_fold_scores,
    write_metrics,
)
from src.aesthetic.lineage import Ancestor
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.saving import write_table
from src.aesthetic.train import Fitted
from src.dataset.suspected_labels import FILE_NAME, PAGE, SuspectedLabel, write_suspected
from src.errors import ModelError
from src.evaluation import verdicts
from src.evaluation.binary_metrics import contradicted, cut_table, evaluate_binary


@dataclass(frozen=True)
class LabelResults:
    """What metrics.json, the report and the page of suspected labels say.

    Attributes:
        directory: the image folder.
        paths: images that were judged by a fit that has not seen them, relative to it, (n).
        labels: (n,) 1 for kept, 0 for deleted.
        probabilities: that the image is kept, (n,).
        test: which images were kept back, (n,) bool.
        metrics: "train", "test" and "all", as in metrics.json.
        cuts: what deleting below some probabilities would do.
        suspected: a sentence on the labels that may be wrong.
        notes: sentences on the model and on what to do next.
        provenance: what the model was made with.
        parts: by name of a part of the features: AUC with it alone, and with all but it.
        more: further entries of metrics.json.
    """

    directory: Path
    paths: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray
    test: np.ndarray
    metrics: Mapping[str, Mapping[str, Any]]
    cuts: Sequence[Mapping[str, Any]]
    suspected: str
    notes: Sequence[str] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def surprise(self) -> np.ndarray:
        """How far each probability is from the label, (n,) 0 to 1."""
        return np.asarray(np.abs(self.probabilities - self.labels))

    def suspects(self) -> list[SuspectedLabel]:
        """Labels that are the less likely ones, the greatest surprise first."""
        return [
            SuspectedLabel(
                self.paths[i],
                "keep_delete",
                "keep" if self.labels[i] else "delete",
                "delete" if self.labels[i] else "keep",
                1 - float(self.surprise[i]),
                float(self.surprise[i]),
            )
            for i in suspects(self.surprise).tolist()
        ]

    @property
    def useful(self) -> bool:
        """Whether the model was not shown to be no better than a coin."""
        test = self.metrics["test"]
        return verdicts.level(test["auc"], test["auc_interval"]) != "chance"

    def save(self, folder: Path, fitted: Fitted, data: RatedFeatures) -> None:
        """Write metrics.json, predictions.csv (lowest first) and suspected_labels.csv.

        Raises:
            DataError: a file cannot be written.
        """
        write_metrics(folder, "keep_delete", self.directory, self.metrics, self.more)
        columns = {
            "relative_path": self.paths,
            "label": [int(label) for label in self.labels],
            "probability": numbers(self.probabilities),
            "surprise": numbers(self.surprise),
            "split": np.where(self.test, "test", "train").tolist(),
        }
        order = np.argsort(self.probabilities, kind="stable")
        write_table(folder / "predictions.csv", columns, order.tolist())
        write_suspected(folder / FILE_NAME, self.suspects())

    def table(self) -> str:
        """The figures and the cuts for the console."""
        columns = {
            "auc": "AUC",
            "average_precision": "avg prec",
            "precision": "keep prec",
            "recall": "recall",
            "precision_delete": "delete prec",
            "recall_delete": "recall",
        }
        lines = [f"{'':8}{'n':>7}" + "".join(f"{head:>13}" for head in columns.values())]
        for part, m in self.metrics.items():
            cells = "".join(
                f"{'–' if m[name] is None else format(m[name], '.3f'):>13}" for name in columns
            )
            lines.append(f"{part:8}{m['n']:>7}{cells}")
        lines += ["", "If everything below a probability of keeping were deleted:"]
        lines += [
            f"  below {row['cut']:4.0%}: {row['n']:6,} images, {row['right']:,} rightly"
            f" ({row['share']:.1%}), {row['lost']:,} kept ones; {row['found']:.0%} of the delete "
            "pile"
            for row in self.cuts
            if row["n"]
        ]
        return "\n".join([*lines, f"{self.suspected} See {PAGE} in the model folder."])


def suspects(surprise: np.ndarray) -> np.ndarray:
    """Indexes of images with a surprise above one half, the greatest first."""
    order = np.argsort(-surprise, kind="stable")
    return np.asarray(order[surprise[order] > 0.5])


def evaluate_labels(
    data: RatedFeatures,
    fitted: Fitted,
    bootstrap: int,
    unknown: Sequence[str] = (),
    previous: Ancestor | None = None,
    foretold: None = None,
) -> LabelResults:
    """Measure a model on images that it has and has not seen.

    Cuts and suspected labels rest on images that were judged by a fit without them; on all of
    them where there are none, with a sentence that says so.

    Args:
        data, fitted, bootstrap, unknown, previous: as in `evaluate_scores`.

    Raises:
        ModelError: the model gives no probabilities.
    """
    predictor = fitted.predictor
    predicted = predictor.predict(data.features)
    scores, known = out_of_fold_scores(data, fitted, predicted)
    probabilities = predictor.probability(scores)
    if probabilities is None:
        raise ModelError(
            "the model gives no probabilities: train it with loss_model 'bce' on 20 images or more"
        )
    labels, test = data.holder.scores, data.test
    metrics = {
        "train": evaluate_binary(labels[~test], probabilities[~test]),
        "test": evaluate_binary(
            labels[test], probabilities[test], bootstrap=bootstrap, groups=data.groups[test]
        ),
        "all": evaluate_binary(labels, probabilities),
    }
    curve, parts = diagnosed(data, fitted)
    measured = metrics["test"]
    change = compared(previous, data, labels, predicted, bootstrap)
    notes = [
        *fitted.notes,
        *verdicts.unknown_ancestors(unknown),
        verdicts.keeping(measured["auc"], measured["auc_interval"], measured["n"])
        if measured["n"]
        else no_test(data),
        *verdicts.learning(curve, "AUC"),
        *([verdicts.compared(**change)] if change else []),
    ]
    if not known.any():
        known = np.ones(len(labels), dtype=bool)
        notes.append(verdicts.JUDGED_BY_HEART)
    elif not known.all():
        notes.append(verdicts.only_unseen(int(known.sum())))
    labels, probabilities = labels[known], probabilities[known]
    cuts = cut_table(labels, probabilities)
    surprising = suspects(np.abs(probabilities - labels))
    wrong = contradicted(labels, probabilities)
    more = {
        "head": predictor.head.kind,
        "unknown_ancestors": list(unknown),
        "cuts": cuts,
        "suspects": len(surprising),
        "learning_curve": [point._asdict() for point in curve],
        "feature_parts": {name: {"alone": a, "without": b} for name, (a, b) in parts.items()},
        "previous_model": change,
    }
    return LabelResults(
        data.holder.directory,
        [path for path, shown in zip(data.holder.paths, known, strict=True) if shown],
        labels,
        probabilities,
        test[known],
        metrics,
        cuts,
        verdicts.suspects(len(surprising), wrong, len(labels)),
        notes,
        predictor.provenance,
        parts,
        more,
    )
