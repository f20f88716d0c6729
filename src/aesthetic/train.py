"""Training one predictor on rated features, whatever its head."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.calibration import Calibration
from src.aesthetic.choices import training_choices
from src.aesthetic.heads import Head
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.pairwise import fit_pairwise
from src.aesthetic.mlp.fitting import MlpSettings, fit_mlp, mlp_left_out
from src.aesthetic.mlp.small_networks import fit_automatic
from src.aesthetic.name_features import compare, without_names
from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.select import CANDIDATES, AutoFit, fit_auto
from src.errors import ModelError
from src.evaluation import verdicts

_SMALL = 2_000  # images
_MLP_FOLDS = 3  # trainings more, for the probabilities of kept and deleted images


@dataclass(frozen=True)
class Fitted:
    """A trained predictor.

    Attributes:
        predictor: ready to be saved.
        history: measurements during training; empty for heads fitted in one step.
        notes: sentences for the user: which head and why, what went wrong.
        left_out: of each training image the score given by a fit without it; None where the head
            was not cross-validated.
        interrupted: training was stopped by Ctrl-C; the predictor is the one reached by then.
        previous: the model that it replaces, if it is there and was made for the same features and
            without the test images.
    """

    predictor: Predictor
    history: Sequence[Mapping[str, float]] = ()
    notes: tuple[str, ...] = ()
    left_out: FloatArray | None = None
    interrupted: bool = False
    previous: Predictor | None = None


def fit_predictor(
    data: RatedFeatures,
    head: str,
    *,
    extractors: Sequence[Mapping[str, Any]],
    mlp: MlpSettings,
    prior: Predictor | None = None,
    seed: int = 42,
    provenance: Mapping[str, Any] | None = None,
) -> Fitted:
    """Train on the training images of a data set.

    Args:
        data: features, scores and split.
        head: "auto", "ridge", "kernel", "gp", "logistic", "pairwise" or "mlp".
        extractors: what the extractors say of themselves, for the model file.
        mlp: for the head of that name.
        prior: a model whose scores are corrected, or with "mlp" whose weights are trained on.
            Labels of kept and deleted images are learnt without one, except by "mlp".
        seed: of everything random.
        provenance: words for the model file and the report on how it was made.

    Raises:
        DataError: the choice log is damaged, or open in a rating window.
        ModelError: nothing can be learnt, or the prior is for other features or another head.
        SettingsError: training settings that contradict each other, or training diverged.
    """
    if prior is not None:
        check_extractors(prior, extractors)
    if data.binary and head != "mlp":
        prior = None
    unit_length = prior is not None and prior.unit_length
    features = _prepared(data.features, unit_length)
    scores, train = data.holder.scores if data.binary else data.scaled_scores(), data.train
    start = prior.head if prior is not None else None
    history: Sequence[Mapping[str, float]] = ()
    notes: tuple[str, ...] = ()
    forecast_std: float | None = None
    left_out: FloatArray | None = None
    interrupted = False
    fitted: Head
    if head == "mlp":
        fit = fit_mlp(data, features, scores, mlp, start)
        fitted, history, interrupted = fit.head, fit.history, fit.interrupted
        notes, left_out = (fit.problem,) if fit.problem else (), fit.left_out
        if data.binary and left_out is None and not interrupted:
            left_out = mlp_left_out(data, features, scores, mlp, start, seed)
    elif head == "pairwise":
        choices = training_choices(data.holder.directory, data.holder.paths, train)
        if choices is None:
            raise ModelError(
                "head 'pairwise' learns from choices in the A/B window, and this folder has none: "
                "rate with aesthetic_ab_scorer, or set head to 'auto'"
            )
        fitted = fit_pairwise(features, choices)
    else:
        fit_it: Callable[..., AutoFit] = fit_automatic
        if head != "auto":
            fit_it = partial(fit_auto, candidates=(head,))
        elif data.binary:
            fit_it = partial(fit_auto, candidates=("logistic", *CANDIDATES))
        with few_threads(int(train.sum())):
            auto = fit_it(
                features[train],
                scores[train],
                weights=data.holder.weights[train],
                seed=seed,
                blocks=data.blocks,
                prior=start,
                groups=data.groups[train],
            )
        fitted, left_out = auto.head, auto.out_of_fold
        if head == "auto":
            notes = (verdicts.head_chosen(auto.method, auto.accuracies, auto.clearly_worse),)
        if left_out is not None and not data.binary:
            forecast_std = float(np.sqrt(np.mean((left_out - scores[train]) ** 2)))
    predictor = Predictor.from_training(
        fitted,
        data.features[train],
        extractors=extractors,
        unit_length=unit_length,
        forecast_std=forecast_std,
        provenance={
            "images": f"{int(train.sum())} for training, {int(data.test.sum())} for testing"
        }
        | dict(provenance or {}),
    )
    if left_out is not None:
        left_out = (left_out - predictor.mean) / predictor.std
    if data.binary and left_out is not None:
        calibration = Calibration.fit(left_out, scores[train], weights=data.holder.weights[train])
        predictor = replace(predictor, calibration=calibration)
    elif data.binary:
        notes += ("Too few images to tell probabilities: only their order is known.",)
    pair = without_names(data, extractors)
    if pair is not None and not interrupted:
        plain, images_only = pair
        other = fit_predictor(plain, head, extractors=images_only, mlp=mlp, seed=seed).predictor
        notes += (compare(data, predictor, plain, other),)
    return Fitted(predictor, history, notes, left_out, interrupted)


@contextmanager
def few_threads(images: int) -> Iterator[None]:
    """One thread for small matrices.

    Several gain nothing there and wait for each other: on a busy machine the decomposition of a
    250 x 250 matrix takes twenty times as long with two threads as with one.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1 if images < _SMALL else None, "blas"):
        yield


def check_extractors(predictor: Predictor, extractors: Sequence[Mapping[str, Any]]) -> None:
    """Make sure that a model was made for the features at hand.

    The published heads do not say which copy of CLIP they were made for: any CLIP will do that
    has their number of features.

    Raises:
        ModelError: it was made with other extractors.
    """
    made_for, at_hand = predictor.extractors, extractors
    fits = len(made_for) == len(at_hand) and all(
        made.get("identity") == given.get("identity")
        if made.get("identity")
        else given.get("model_type") == "clip" and not given.get("hidden_states")
        for made, given in zip(made_for, at_hand, strict=True)
    )
    if not fits:
        wanted = "+".join(str(extractor.get("name", "?")) for extractor in made_for)
        given = "+".join(str(extractor.get("name", "?")) for extractor in at_hand)
        raise ModelError(
            f"the model was made for features of {wanted!r}, not of {given!r}: set "
            f"feature_extractor to {wanted!r}, with the same hidden_states and model files"
        )


def _prepared(features: ArrayLike, unit_length: bool) -> FloatArray:
    array = np.asarray(features, dtype=np.float64)
    if unit_length:
        array = array / np.maximum(np.linalg.norm(array, axis=1, keepdims=True), 1e-12)
    return array
