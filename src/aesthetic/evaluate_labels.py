"""Measuring a model of kept and deleted images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.aesthetic.evaluate import (
    Results,
    no_test,
    out_of_fold_scores,
    table,
    what_would_help,
)
from src.aesthetic.lineage import Ancestor
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.train import Fitted
from src.dataset.suspected_labels import SuspectedLabel
from src.errors import ModelError
from src.evaluation import verdicts
from src.evaluation.binary_metrics import cut_table, evaluate_binary
from src.evaluation.label_errors import wrong_probabilities
from src.text import counted

_COLUMNS = {
    "auc": "AUC",
    "average_precision": "avg prec",
    "precision": "keep prec",
    "recall": "recall",
    "precision_delete": "delete prec",
    "recall_delete": "recall",
}


def evaluate_labels(
    data: RatedFeatures,
    fitted: Fitted,
    bootstrap: int,
    unknown: Sequence[str] = (),
    previous: Ancestor | None = None,
) -> Results:
    """Measure a model on images that it has and has not seen; arguments as for `evaluate_scores`.

    Cuts and suspected labels rest on images that were judged by a fit without them; on all of
    them where there are none, with a sentence that says so.
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
    entries, sentences = what_would_help(data, fitted, predicted, bootstrap, unknown, previous)
    tested = metrics["test"]
    notes = [
        *fitted.notes,
        *verdicts.unknown_ancestors(unknown),
        verdicts.keeping(tested["auc"], tested["auc_interval"], tested["n"])
        if tested["n"]
        else no_test(data),
        *sentences,
    ]
    if not known.any():
        known = np.ones(len(labels), dtype=bool)
        notes.append(verdicts.JUDGED_BY_HEART)
    elif not known.all():
        notes.append(verdicts.only_unseen(int(known.sum())))
    labels, probabilities, test = labels[known], probabilities[known], test[known]
    paths = [path for path, shown in zip(data.holder.paths, known, strict=True) if shown]
    cuts = cut_table(labels, probabilities)
    suspects = suspected_labels(paths, labels, probabilities)
    wrong = wrong_probabilities(labels.astype(int), np.stack([1 - probabilities, probabilities], 1))
    expected = float(wrong[np.abs(probabilities - labels) > 0.5].sum())
    suspected = "".join(verdicts.suspected(len(suspects), expected))
    order = np.argsort(probabilities, kind="stable")
    columns = {
        "relative_path": [paths[row] for row in order],
        "label": labels[order].astype(int),
        "probability": probabilities[order],
        "surprise": np.abs(probabilities - labels)[order],
        "split": np.where(test, "test", "train")[order],
    }
    found = {"n": len(suspects), "expected_wrong": expected}
    entries |= {"cuts": cuts, "suspected_labels": found}
    return Results(
        data.holder.directory,
        paths,
        labels,
        probabilities,
        test,
        entries | {"task": "keep_delete"} | metrics,
        columns,
        "\n".join([table(metrics, _COLUMNS), *_cuts(cuts), suspected]),
        notes,
        predictor.provenance,
        suspects=suspects,
        suspected=suspected,
    )


def suspected_labels(
    paths: Sequence[str], labels: np.ndarray, probabilities: np.ndarray
) -> list[SuspectedLabel]:
    """Labels that are the less likely ones, the greatest surprise first."""
    surprise = np.abs(probabilities - labels)
    order = np.argsort(-surprise, kind="stable")
    return [
        SuspectedLabel(
            paths[row],
            "keep_delete",
            "keep" if labels[row] else "delete",
            "delete" if labels[row] else "keep",
            1 - float(surprise[row]),
            float(surprise[row]),
        )
        for row in order[surprise[order] > 0.5].tolist()
    ]


def _cuts(cuts: Sequence[Mapping[str, Any]]) -> list[str]:
    return ["", "If everything below a probability of keeping were deleted:"] + [
        f"  below {row['cut']:4.0%}: {counted(row['n'], 'image'):>13}, {row['right']:,} that you "
        f"deleted ({row['share']:.1%}), {row['lost']:,} that you kept; {row['found']:.0%} of all "
        "deleted"
        for row in cuts
        if row["n"]
    ]
