"""Heads made of heads: the mean of several, and a personal correction on top of a generic one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads.base import FloatArray, Head, Stored, take_number, take_value
from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.heads.training_set import TrainingSet
from src.errors import ModelError

_AGREEMENT = (0.5, 0.2)
"""correlation of one person's ratings with a model of other people's: mean, standard deviation"""


@dataclass(frozen=True)
class EnsembleHead(Head):
    """The mean of several heads; where they disagree, it is less sure."""

    members: tuple[Head, ...]  # at least one, all for the same features
    residual_std: float | None = None  # without the disagreement of the members

    kind: ClassVar[str] = "ensemble"

    @property
    def n_features(self) -> int:
        return self.members[0].n_features

    def _scores(self, x: FloatArray) -> FloatArray:
        return np.asarray(np.mean([member.predict(x) for member in self.members], axis=0))

    def predict_std(self, features: ArrayLike) -> FloatArray | None:
        if self.residual_std is None:
            return None
        disagreement = np.var([member.predict(features) for member in self.members], axis=0)
        return np.asarray(np.sqrt(disagreement + self.residual_std**2))

    def store(self) -> Stored:
        members = {str(i): head for i, head in enumerate(self.members)}
        return _stored("members", members, {"residual_std": self.residual_std})

    @classmethod
    def restore(cls, stored: Stored) -> Self:
        members = _restored(stored, "members")
        heads = tuple(members[str(i)] for i in range(len(members)) if str(i) in members)
        if not heads or len({head.n_features for head in heads}) != 1:
            raise ModelError("the ensemble in the model file is empty or its members do not agree")
        return cls(heads, stored.std())


@dataclass(frozen=True)
class ResidualHead(Head):
    """share · prior + residual: generic taste, corrected for one person."""

    prior: Head  # in its own units
    share: float  # brings the prior's scores to the person's units
    residual: Head  # fitted to what the prior leaves unexplained; holds the offset too

    kind: ClassVar[str] = "residual"

    @property
    def n_features(self) -> int:
        return self.residual.n_features

    def _scores(self, x: FloatArray) -> FloatArray:
        return self.share * self.prior.predict(x) + self.residual.predict(x)

    def predict_std(self, features: ArrayLike) -> FloatArray | None:
        return self.residual.predict_std(features)

    def store(self) -> Stored:
        heads = {"prior": self.prior, "residual": self.residual}
        return _stored("heads", heads, {"share": self.share})

    @classmethod
    def restore(cls, stored: Stored) -> Self:
        heads = _restored(stored, "heads")
        if heads.keys() != {"prior", "residual"} or len({h.n_features for h in heads.values()}) > 1:
            raise ModelError("prior and residual of the model file do not fit together")
        return cls(heads["prior"], take_number(stored.config, "share"), heads["residual"])


def fit_residual(
    prior: Head, data: TrainingSet, fit: Callable[[TrainingSet], Head]
) -> ResidualHead:
    """Scale a prior head to the scores, then fit another to the rest; never with a minus.

    The scale is the posterior mean of a regression in units of standard deviations, whose slope
    is, before any rating, what it was for the people of docs/heads.md: `_AGREEMENT`.
    """
    expected = prior.predict(data.features)
    deviation, own = (v - np.average(v, weights=data.weights) for v in (expected, data.scores))
    spread, own_spread = (float(np.sqrt(data.weights @ v**2)) for v in (deviation, own))
    varies = spread > 1e-9 * np.abs(expected).max()
    correlation = float((data.weights * deviation) @ own) / (spread * own_spread or 1.0)
    usual, doubt = _AGREEMENT
    precision, usual_precision = len(own) / max(1 - correlation**2, 1e-9), 1 / doubt**2
    slope = (precision * correlation + usual_precision * usual) / (precision + usual_precision)
    share = max(slope, 0.0) * own_spread / spread if varies else 0.0
    rest = data.scores - share * expected
    if np.ptp(rest) == 0:  # the prior explains everything
        head: Head = LinearHead(np.zeros(prior.n_features), float(rest[0]), residual_std=0.0)
    else:
        head = fit(data._replace(scores=rest))
    return ResidualHead(prior, share, head)


def _stored(name: str, heads: Mapping[str, Head], config: Mapping[str, Any]) -> Stored:
    parts = {key: head.store() for key, head in heads.items()}
    arrays = {
        f"{key}/{k}": array for key, part in parts.items() for k, array in part.arrays.items()
    }
    configs = {key: {"kind": heads[key].kind, "config": parts[key].config} for key in heads}
    return Stored(arrays, {name: configs, **config})


def _restored(stored: Stored, name: str) -> dict[str, Head]:
    from src.aesthetic.heads import restore

    heads: dict[str, Head] = {}
    for key, entry in take_value(stored.config, name, dict).items():
        prefix = f"{key}/"
        mine = {k.removeprefix(prefix): a for k, a in stored.arrays.items() if k.startswith(prefix)}
        heads[key] = restore(entry, mine)
    return heads
