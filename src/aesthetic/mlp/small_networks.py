"""The head "auto": small networks against the heads in closed form."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads import EnsembleHead, Head
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.scaling import group_numbers
from src.aesthetic.select import FOLDS, AutoFit, Candidate, assign_folds, comparable, fit_auto

NETWORKS = "networks"
_MANY = 500  # images: above, one round of networks is enough, and each takes long
_MOST_STEPS = 2_400  # optimizer steps; with more than 320 images there are fewer epochs


def fit_automatic(
    features: ArrayLike, scores: ArrayLike, *, prior: Head | None = None, **options: Any
) -> AutoFit:
    """`fit_auto` with small networks as a further candidate, the one to beat.

    With few images, or a generic model to correct, there are no networks.

    Raises:
        ModelError: nothing can be learnt from these images.
        KeyboardInterrupt: stopped.
    """
    others = {NETWORKS: fit_networks} if prior is None else None
    return fit_auto(features, scores, prior=prior, others=others, **options)


def fit_networks(
    features: FloatArray,
    scores: FloatArray,
    *,
    weights: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> Candidate:
    """Small networks, each trained on pairs without a fifth of the images; their mean.

    64 and 32 units with ReLU and dropout, on standardised features, margin ranking loss, AdamW.
    There are two rounds of five with different fifths, so that two networks know nothing of an
    image; their mean is its prediction. With many images there is one round.

    Raises:
        ModelError: nothing can be learnt from these images.
        KeyboardInterrupt: stopped.
    """
    from src.aesthetic.mlp.ensemble import fit_ensemble
    from src.aesthetic.mlp.trainer import total_steps
    from src.settings.mlp import Mlp, PredictorTrainingArgs

    args = PredictorTrainingArgs(
        num_train_epochs=60,
        learning_rate=1e-3,
        lr_scheduler_type="cosine",
        warmup_ratio=0.1,
        weight_decay=0.01,
    )
    mlp = Mlp(
        aesthetic_model_hidden=(64, 32),
        aesthetic_model_dropouts=(0.3, 0.2),
        aesthetic_model_relu=True,
        aesthetic_model_standardise=True,
        mlp_members=FOLDS,
        training_args=args,
        device="cpu",
    )
    if total_steps(mlp, len(scores)) > _MOST_STEPS:
        args = args.model_copy(update={"max_steps": _MOST_STEPS})
    members: list[Head] = []
    out_of_fold, variances = [], []
    g = group_numbers(groups, len(scores))
    for number in (seed, seed + FOLDS) if len(scores) <= _MANY else (seed,):
        if members and not comparable(scores, assign_folds(g, FOLDS, number)):
            continue
        seeded = args.model_copy(update={"seed": number})
        round_of = mlp.model_copy(update={"training_args": seeded})
        fit = fit_ensemble(features, scores, round_of, weights=weights, groups=g)
        assert isinstance(fit.head, EnsembleHead)
        if fit.interrupted or fit.out_of_fold is None or fit.head.residual_std is None:
            raise KeyboardInterrupt
        members += fit.head.members
        out_of_fold.append(fit.out_of_fold)
        variances.append(fit.head.residual_std**2)
    head = EnsembleHead(tuple(members), float(np.sqrt(np.mean(variances))))
    return Candidate(head, np.mean(out_of_fold, axis=0))
