"""The head "auto": small networks against the heads in closed form."""

from typing import Any

from numpy.typing import ArrayLike

from src.aesthetic.heads import Head
from src.aesthetic.heads.training_set import TrainingSet
from src.aesthetic.mlp.fitting import fit_ensemble
from src.aesthetic.select import FOLDS, AutoFit, Candidate, assign_folds, comparable, fit_auto
from src.settings.mlp import Mlp, PredictorTrainingArgs

NETWORKS = "networks"
_MANY = 500  # images: above, one round of networks is enough, and each takes long
_EPOCHS = 60
_MOST_STEPS = 2_400  # optimizer steps; with more than 320 images there are fewer epochs


def fit_automatic(
    features: ArrayLike, scores: ArrayLike, *, prior: Head | None = None, **options: Any
) -> AutoFit:
    """`fit_auto` with small networks as a further candidate, the one to beat.

    With few images, or a generic model to correct, there are no networks.
    """
    others = {NETWORKS: fit_networks} if prior is None else None
    return fit_auto(features, scores, prior=prior, others=others, **options)


def fit_networks(data: TrainingSet, seed: int = 0) -> Candidate:
    """Small networks, each trained on pairs without a fifth of the images; their mean.

    64 and 32 units with ReLU and dropout, on standardised features, margin ranking loss, AdamW.
    There are two rounds of five with different fifths, so that two networks know nothing of an
    image; their mean is its prediction. With many images there is one round.
    """
    images = len(data.scores)
    mlp = Mlp(
        aesthetic_model_hidden=(64, 32),
        aesthetic_model_dropouts=(0.3, 0.2),
        aesthetic_model_relu=True,
        aesthetic_model_standardise=True,
        mlp_members=FOLDS,
        training_args=PredictorTrainingArgs(
            num_train_epochs=_EPOCHS,
            max_steps=_MOST_STEPS if _EPOCHS * (images // 8) > _MOST_STEPS else -1,
            learning_rate=1e-3,
            lr_scheduler_type="cosine",
            warmup_ratio=0.1,
            weight_decay=0.01,
            seed=seed,
        ),
        device="cpu",
    )
    again = images <= _MANY and comparable(
        data.scores, assign_folds(data.groups, FOLDS, seed + FOLDS)
    )
    fit = fit_ensemble(data, mlp, rounds=2 if again else 1)
    if fit.interrupted or fit.out_of_fold is None:
        raise KeyboardInterrupt
    return Candidate(fit.head, fit.out_of_fold)
