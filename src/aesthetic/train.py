"""Training one predictor on rated features, whatever its head."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from src.aesthetic.calibration import Calibration
from src.aesthetic.choice_test import Fit, ForetoldChoices, foretell
from src.aesthetic.choices import ChoiceData, training_choices
from src.aesthetic.heads import EnsembleHead, Head, fit_head
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.pairwise import fit_pairwise
from src.aesthetic.lineage import check_extractors
from src.aesthetic.mlp.fitting import fit_mlp, mlp_out_of_fold
from src.aesthetic.mlp.small_networks import NETWORKS, fit_automatic
from src.aesthetic.predictor import Predictor, prepared
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.select import CANDIDATES, FEWEST, fit_auto
from src.errors import ModelError
from src.evaluation import verdicts
from src.evaluation.rank_metrics import pairwise_accuracy
from src.rating.models.scoring import Answer, as_choices
from src.settings.mlp import Mlp

_SMALL = 2_000  # images


@dataclass(frozen=True)
class Fitted:
    """A trained predictor."""

    predictor: Predictor  # ready to be saved
    method: str = ""  # the head that came to be used: of `FITS`, "networks", "pairwise" or "mlp"
    start: Predictor | None = None  # the model corrected, or whose weights were trained further
    history: Sequence[Mapping[str, float]] = ()  # while training; none of a fit in one step
    notes: tuple[str, ...] = ()  # for the user: which head and why, what went wrong
    # Of each training image the score given by a fit without it, NaN where an ancestor has seen
    # it; None where the head was not cross-validated.
    out_of_fold: FloatArray | None = None
    interrupted: bool = False  # by Ctrl-C; the predictor is the one reached by then
    foretold: ForetoldChoices | None = None  # by fits that knew neither them nor their images


def fit_predictor(
    data: RatedFeatures,
    head: str,
    *,
    extractors: Sequence[Mapping[str, Any]],
    mlp: Mlp,
    prior: Predictor | None = None,
    afresh: Predictor | None = None,
    choices: ChoiceData | None = None,
    seed: int = 42,
    provenance: Mapping[str, Any] | None = None,
) -> Fitted:
    """Train on the training images of a data set.

    Args:
        head: "auto", "ridge", "kernel", "logistic", "pairwise" or "mlp".
        extractors: what the extractors say of themselves, for the model file.
        mlp: for the head of that name.
        prior: a model whose scores are corrected, or with "mlp" whose weights are trained on.
            Labels of kept and deleted images are learnt without one, except by "mlp".
        afresh: what to start from instead where the prior has seen training images.
        choices: behind the scores: they are foretold as the test.
        provenance: words for the model file and the report on how it was made.

    Raises:
        DataError: the choice log is damaged, or open in a rating window.
        ModelError: nothing can be learnt, or the prior is for other features or another head.
        SettingsError: training diverged.
    """
    for model in (prior, afresh):
        if model is not None:
            check_extractors(model, extractors)
    if data.binary and head != "mlp":
        prior = afresh = None
    if head == "mlp":
        fit = _fit_mlp(data, mlp, prior)
    elif head == "pairwise":
        fit = _fit_pairwise(data)
    elif prior is None or not (data.seen & data.train).any():
        fit = _fit_auto(data, head, data.train, prior, seed)
    else:
        fit = _fit_after_seen(data, head, prior, afresh, seed)
    fitted = _finished(data, fit, extractors, provenance or {})
    if choices is None or fitted.interrupted:
        return fitted
    seen = data.seen_by_features | (data.seen if prior and fitted.start is prior else False)
    foretold = foretell(data, choices, _refit(data, fitted, mlp, seed), ~seen, seed=seed)
    return replace(fitted, foretold=foretold)


def _refit(data: RatedFeatures, fitted: Fitted, mlp: Mlp, seed: int) -> Fit:
    """How the head of a trained predictor is fitted again, to other scores of some images.

    The kernel head stands in for small networks, which are level with it or a little above: eight
    times ten of them would take two minutes.
    """
    features = _features(data, fitted.start)
    start = fitted.start.head if fitted.start else None
    method = fitted.method
    closed_form = "kernel" if method == NETWORKS else method

    def fit(rows: np.ndarray, scores: FloatArray, answers: Sequence[Answer]) -> FloatArray:
        if method == "pairwise":
            used = [a for a in answers if max(a[:2]) < len(rows) and rows[[*a[:2]]].all()]
            with few_threads(len(rows)):
                return fit_pairwise(features, as_choices(used)).predict(features)
        if rows.sum() < 2:
            raise ModelError("too few images are left to learn from")
        y = (scores - scores[rows].mean()) / (float(scores[rows].std()) or 1.0)
        if method == "mlp":
            part = replace(data, test=~rows)
            return fit_mlp(part, features, y, mlp, start).head.predict(features)
        x, y, groups = features[rows], y[rows], data.groups[rows]
        with few_threads(len(y)):
            options: dict[str, Any] = {"seed": seed, "blocks": data.blocks, "prior": start}
            return fit_head(closed_form, x, y, groups=groups, **options).predict(features)

    return fit


def targets(data: RatedFeatures) -> FloatArray:
    """What a head is fitted to, (n,): labels, or scores with mean 0 and deviation 1."""
    return data.holder.scores if data.binary else data.scaled_scores()


def _fit_mlp(data: RatedFeatures, mlp: Mlp, prior: Predictor | None) -> Fitted:
    features, scores = _features(data, prior), targets(data)
    start = prior.head if prior else None
    fit = fit_mlp(data, features, scores, mlp, start)
    head, out_of_fold = fit.head, fit.out_of_fold
    seen = data.seen[data.train]
    if start is not None and seen.any():
        if out_of_fold is not None:
            out_of_fold = np.where(seen, np.nan, out_of_fold)
        if isinstance(head, EnsembleHead):  # its errors were measured on images it knew
            head = replace(head, residual_std=None)
        start = None
    if data.binary and not fit.interrupted and fit.out_of_fold is None:
        out_of_fold = mlp_out_of_fold(data, features, scores, mlp, start)
    notes = (fit.problem,) if fit.problem else ()
    predictor = _unscaled(head, prior)
    return Fitted(predictor, "mlp", prior, fit.history, notes, out_of_fold, fit.interrupted)


def _fit_pairwise(data: RatedFeatures) -> Fitted:
    choices = training_choices(data.holder.directory, data.holder.paths, data.train)
    if choices is None:
        raise ModelError(
            "head 'pairwise' learns from choices in the A/B window, and this folder has none: "
            "rate with aesthetic_ab_scorer, or set head to 'auto'"
        )
    with few_threads(int(data.train.sum())):
        return Fitted(_unscaled(fit_pairwise(_features(data, None), choices)), "pairwise")


def _fit_auto(
    data: RatedFeatures, head: str, rows: np.ndarray, prior: Predictor | None, seed: int
) -> Fitted:
    """Choose among the candidates, or fit one of them; on some images, (n,) bool."""
    x, y = _features(data, prior)[rows], targets(data)[rows]
    options: dict[str, Any] = {
        "weights": data.holder.weights[rows],
        "seed": seed,
        "blocks": data.blocks,
        "prior": prior.head if prior else None,
        "groups": data.groups[rows],
    }
    with few_threads(len(y)):
        if head != "auto":
            auto = fit_auto(x, y, candidates=(head,), **options)
        elif data.binary:
            auto = fit_auto(x, y, candidates=("logistic", *CANDIDATES), **options)
        else:
            auto = fit_automatic(x, y, **options)
    chosen = verdicts.head_chosen(auto.method, auto.accuracies, auto.clearly_worse)
    return Fitted(
        _unscaled(auto.head, prior),
        auto.method,
        prior,
        notes=(chosen,) if head == "auto" else (),
        out_of_fold=auto.out_of_fold,
    )


def _fit_after_seen(
    data: RatedFeatures, head: str, prior: Predictor, afresh: Predictor | None, seed: int
) -> Fitted:
    """Fit where the prior has seen training images, so that its scores of them are no evidence.

    Either a fit to all images without the prior, or the prior corrected by the images that are
    new to it, if that orders these better.
    """
    started = _fit_auto(data, head, data.train, afresh, seed)
    new = data.train & ~data.seen
    if new.sum() >= FEWEST and started.out_of_fold is not None:
        corrected = _fit_auto(data, head, new, prior, seed)
        if corrected.out_of_fold is not None:
            y, of_new = targets(data)[new], new[data.train]
            ours = pairwise_accuracy(y, started.out_of_fold[of_new])
            theirs = pairwise_accuracy(y, corrected.out_of_fold)
            if ours is not None and theirs is not None and theirs > ours:
                out_of_fold = np.full(len(of_new), np.nan)
                out_of_fold[of_new] = corrected.out_of_fold
                notes = (*corrected.notes, verdicts.corrected_by_new_images(int(new.sum())))
                return replace(corrected, notes=notes, out_of_fold=out_of_fold)
    seen = int((data.train & data.seen).sum())
    return replace(started, notes=(*started.notes, verdicts.started_afresh(seen)))


def _finished(
    data: RatedFeatures,
    fit: Fitted,
    extractors: Sequence[Mapping[str, Any]],
    provenance: Mapping[str, Any],
) -> Fitted:
    """Bring the scores to mean 0 and deviation 1, and add what is known of their errors."""
    train, out_of_fold, notes = data.train, fit.out_of_fold, fit.notes
    y = targets(data)[train]
    known = np.zeros(len(y), dtype=bool)
    if out_of_fold is not None:
        out_of_fold = np.where(data.seen_by_features[train], np.nan, out_of_fold)
        known = np.isfinite(out_of_fold)
        out_of_fold = out_of_fold if known.any() else None
    forecast_std = None
    if out_of_fold is not None and not data.binary and fit.method != "mlp":
        forecast_std = float(np.sqrt(np.mean((out_of_fold[known] - y[known]) ** 2)))
    images = f"{int(train.sum())} for training, {int(data.test.sum())} for testing"
    predictor = Predictor.from_training(
        fit.predictor.head,
        data.features[train],
        extractors=extractors,
        unit_length=fit.predictor.unit_length,
        forecast_std=forecast_std,
        provenance={"images": images, **provenance},
    )
    if out_of_fold is not None:
        out_of_fold = (out_of_fold - predictor.mean) / predictor.std
    if data.binary:
        if out_of_fold is not None and len(np.unique(y[known])) == 2:
            weights = data.holder.weights[train][known]
            calibration = Calibration.fit(out_of_fold[known], y[known], weights=weights)
            predictor = replace(predictor, calibration=calibration)
        else:
            notes += (verdicts.NO_PROBABILITIES,)
    return replace(fit, predictor=predictor, notes=notes, out_of_fold=out_of_fold)


@contextmanager
def few_threads(images: int) -> Iterator[None]:
    """One thread for small matrices.

    Several gain nothing there and wait for each other: on a busy machine the decomposition of a
    250 x 250 matrix takes twenty times as long with two threads as with one.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1 if images < _SMALL else None, "blas"):
        yield


def _unscaled(head: Head, prior: Predictor | None = None) -> Predictor:
    return Predictor(head, unit_length=prior is not None and prior.unit_length)


def _features(data: RatedFeatures, prior: Predictor | None) -> FloatArray:
    return prepared(data.features, unit_length=prior is not None and prior.unit_length)
