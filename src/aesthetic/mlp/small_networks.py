"""The head "auto": small networks against the heads in closed form."""

from collections.abc import Sequence
from dataclasses import replace

from numpy.typing import ArrayLike

from src.aesthetic.heads import Head
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.scaling import training_data
from src.aesthetic.select import AutoFit, Rival, assign_folds, comparable, fit_auto

NETWORKS = "networks"
_MEMBERS = 10
_MEMBERS_OF_MANY = 5  # where each takes long and has seen enough
_MANY = 500  # images
_MOST_STEPS = 2_400  # optimizer steps; with more than 320 images there are fewer epochs


def fit_automatic(
    features: ArrayLike,
    scores: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    seed: int = 0,
    blocks: Sequence[int] | None = None,
    prior: Head | None = None,
    groups: ArrayLike | None = None,
) -> AutoFit:
    """`fit_auto` with small networks as a further candidate, the one to beat.

    With few images, or a generic model to correct, there are no networks.

    Args:
        features, scores, weights, seed, blocks, prior, groups: as in `fit_auto`.

    Raises:
        ModelError: nothing can be learnt from these images.
        KeyboardInterrupt: stopped.
    """
    x, y, w = training_data(features, scores, weights)
    fold = assign_folds(len(y) if groups is None else groups, _MEMBERS, seed)
    rivals: dict[str, Rival] = {}
    if prior is None and comparable(y, fold):
        rivals[NETWORKS] = fit_networks(x, y, weights=w, groups=groups, seed=seed)
    return fit_auto(
        x, y, weights=w, seed=seed, blocks=blocks, prior=prior, groups=groups, rivals=rivals
    )


def fit_networks(
    features: FloatArray,
    scores: FloatArray,
    *,
    weights: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> Rival:
    """Ten small networks, each trained on pairs without a tenth of the images; their mean.

    64 and 32 units with ReLU and dropout, on standardised features, margin ranking loss, AdamW.
    With many images there are five.

    Args:
        features: (n, d).
        scores: (n,).
        weights: (n,) or None.
        groups: (n,) images with the same number are left out together, or None.
        seed: of the folds and the networks.

    Raises:
        ModelError: nothing can be learnt from these images.
        KeyboardInterrupt: stopped.
    """
    from src.aesthetic.mlp.ensemble import fit_ensemble
    from src.aesthetic.mlp.training_options import TrainingOptions
    from src.aesthetic.mlp.trainings import MlpShape
    from src.aesthetic.search.trials import Trial

    options = TrainingOptions(
        num_train_epochs=60,
        learning_rate=1e-3,
        lr_scheduler_type="cosine",
        warmup_ratio=0.1,
        weight_decay=0.01,
        seed=seed,
    )
    steps = options.total_steps(len(scores) // options.per_device_train_batch_size)
    if steps > _MOST_STEPS:
        options = replace(options, max_steps=_MOST_STEPS)
    shape = MlpShape((64, 32), (0.3, 0.2), relu=True, standardise=True)
    members = _MEMBERS if len(scores) <= _MANY else _MEMBERS_OF_MANY
    fit = fit_ensemble(
        features, scores, Trial(options, shape), members=members, weights=weights, groups=groups
    )
    if fit.interrupted or fit.left_out is None:
        raise KeyboardInterrupt
    return Rival(fit.head, fit.left_out)
