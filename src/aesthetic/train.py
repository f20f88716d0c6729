"""Training one predictor on rated features, whatever its head."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from src.aesthetic.calibration import Calibration
from src.aesthetic.choice_test import Fit, ForetoldChoices, foretell
from src.aesthetic.choices import ChoiceData, training_choices
from src.aesthetic.heads import EnsembleHead, fit_head
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.pairwise import fit_pairwise
from src.aesthetic.lineage import check_extractors
from src.aesthetic.mlp.fitting import fit_ensemble, fit_mlp, mlp_out_of_fold, mlp_start
from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.select import CANDIDATES, FEWEST, NETWORKS, fit_auto
from src.errors import ModelError
from src.evaluation import verdicts
from src.evaluation.rank_metrics import pairwise_accuracy
from src.rating.models.answer import Answer, as_choices
from src.settings.mlp import Mlp

_SMALL = 2_000  # images


@dataclass(frozen=True)
class Fitted:
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
    provenance: Mapping[str, Any] | None = None,
) -> Fitted:
    """Train on the training images of a data set.

    The scores of `prior` are corrected, or with head "mlp" its weights trained further; labels of
    kept and deleted images are learnt without one, except by "mlp". `afresh` is what to start from
    instead where the prior has seen training images. The seed of the mlp is that of every head.
    `extractors` and `provenance` are for the model file; `choices` are foretold as the test.
    """
    from threadpoolctl import threadpool_limits

    for model in (prior, afresh):
        if model is not None:
            check_extractors(model, extractors)
    if data.binary and head != "mlp":
        prior = afresh = None
    seed, images = mlp.training_args.seed, int(data.train.sum())
    # Several threads gain nothing with small matrices and wait for each other: on a busy machine
    # the decomposition of a 250 x 250 matrix takes twenty times as long with two as with one.
    with threadpool_limits(1 if images < _SMALL else None, "blas"):
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
        foretold = foretell(data, choices, _refit(data, fitted, mlp), ~seen, seed=seed)
        return replace(fitted, foretold=foretold)


def _refit(data: RatedFeatures, fitted: Fitted, mlp: Mlp) -> Fit:
    """Fit the head again, to other scores of some images; the kernel stands in for networks."""
    method = "kernel" if fitted.method == NETWORKS else fitted.method
    start, seed, features = fitted.start, mlp.training_args.seed, data.inputs(fitted.start)
    prior = start.head if start else None

    def fit(rows: np.ndarray, scores: FloatArray, answers: Sequence[Answer]) -> FloatArray:
        if method == "pairwise":
            used = [kept for answer in answers if (kept := answer.among(rows))]
            return fit_pairwise(features, as_choices(used)).predict(features)
        part = replace(data, test=~rows, holder=replace(data.holder, scores=scores))
        if method == "mlp":
            found = fit_ensemble(part.training_set(rows, start), mlp, start=mlp_start(prior))
            return found.head.predict(features)
        images = part.training_set(rows, start)
        head = fit_head(method, *images, seed=seed, blocks=data.blocks, prior=prior)
        return head.predict(features)

    return fit


def _fit_mlp(data: RatedFeatures, mlp: Mlp, prior: Predictor | None) -> Fitted:
    fit = fit_mlp(data, mlp, prior)
    head, out_of_fold, start = fit.head, fit.out_of_fold, prior.head if prior else None
    seen = data.seen[data.train]
    if start is not None and seen.any():
        if out_of_fold is not None:
            out_of_fold = np.where(seen, np.nan, out_of_fold)
        if isinstance(head, EnsembleHead):  # its errors were measured on images it knew
            head = replace(head, residual_std=None)
        start = None
    if data.binary and not fit.interrupted and fit.out_of_fold is None:
        out_of_fold = mlp_out_of_fold(data.training_set(data.train, prior), mlp, start)
    notes = (fit.problem,) if fit.problem else ()
    return Fitted(Predictor(head), "mlp", prior, fit.history, notes, out_of_fold, fit.interrupted)


def _fit_pairwise(data: RatedFeatures) -> Fitted:
    choices = training_choices(data.holder.directory, data.holder.paths, data.train)
    if choices is None:
        raise ModelError(
            "head 'pairwise' learns from choices in the A/B window, and this folder has none: "
            "rate with aesthetic_ab_scorer, or set head to 'auto'"
        )
    return Fitted(Predictor(fit_pairwise(data.features, choices)), "pairwise")


def _fit_auto(
    data: RatedFeatures, head: str, rows: np.ndarray, prior: Predictor | None, seed: int
) -> Fitted:
    """Choose among the candidates, or fit one of them; on some images, (n,) bool."""
    candidates = ("logistic", *CANDIDATES) if data.binary else CANDIDATES
    auto = fit_auto(
        data.training_set(rows, prior),
        seed=seed,
        blocks=data.blocks,
        prior=prior.head if prior else None,
        candidates=candidates if head == "auto" else (head,),
        networks=head == "auto" and not data.binary,
    )
    chosen = verdicts.head_chosen(auto.method, auto.accuracies, auto.clearly_worse)
    notes = (chosen,) if head == "auto" else ()
    return Fitted(Predictor(auto.head), auto.method, prior, (), notes, auto.out_of_fold)


def _fit_after_seen(
    data: RatedFeatures, head: str, prior: Predictor, afresh: Predictor | None, seed: int
) -> Fitted:
    """Fit to all images afresh, or the prior corrected by new ones if that orders them better."""
    started = _fit_auto(data, head, data.train, afresh, seed)
    new = data.train & ~data.seen
    if new.sum() >= FEWEST and started.out_of_fold is not None:
        corrected = _fit_auto(data, head, new, prior, seed)
        if corrected.out_of_fold is not None:
            y, of_new = data.targets[new], new[data.train]
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
    train, notes = data.train, fit.notes
    y = data.targets[train]
    out_of_fold = np.full(len(y), np.nan) if fit.out_of_fold is None else fit.out_of_fold
    out_of_fold = np.where(data.seen_by_features[train], np.nan, out_of_fold)
    known = np.isfinite(out_of_fold)
    forecast_std = None
    if known.any() and not data.binary and fit.method != "mlp":
        forecast_std = float(np.sqrt(np.mean((out_of_fold[known] - y[known]) ** 2)))
    made = {"images": f"{int(train.sum())} for training, {int(data.test.sum())} for testing"}
    if fit.start is not None:
        made["starts from"] = str(fit.start.provenance.get("published_as", "an earlier model"))
    predictor = Predictor.from_training(
        fit.predictor.head,
        data.features[train],
        extractors=extractors,
        unit_length=fit.start is not None and fit.start.unit_length,
        forecast_std=forecast_std,
        provenance={**made, **provenance},
    )
    out_of_fold = (out_of_fold - predictor.mean) / predictor.std
    if data.binary:
        if len(np.unique(y[known])) == 2:
            weights = data.holder.weights[train][known]
            calibration = Calibration.fit(out_of_fold[known], y[known], weights=weights)
            predictor = replace(predictor, calibration=calibration)
        else:
            notes += (verdicts.NO_PROBABILITIES,)
    unseen = out_of_fold if known.any() else None
    return replace(fit, predictor=predictor, notes=notes, out_of_fold=unseen)
