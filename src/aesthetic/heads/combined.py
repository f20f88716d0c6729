"""Heads made of heads: the mean of several, and a personal correction on top of a generic one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads.base import Arrays, Config, FloatArray, Head, take_std, take_value
from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.heads.training_set import TrainingSet
from src.errors import ModelError


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

    def to_arrays(self) -> Arrays:
        return _arrays({str(i): head for i, head in enumerate(self.members)})

    def config(self) -> Config:
        members = _configs({str(i): head for i, head in enumerate(self.members)})
        return {"members": members, "residual_std": self.residual_std}

    @classmethod
    def from_arrays(cls, arrays: Arrays, config: Config) -> Self:
        members = _restored(arrays, take_value(config, "members", dict))
        heads = tuple(members[str(i)] for i in range(len(members)) if str(i) in members)
        if not heads or len({head.n_features for head in heads}) != 1:
            raise ModelError("the ensemble in the model file is empty or its members do not agree")
        return cls(heads, take_std(config))


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

    def to_arrays(self) -> Arrays:
        return _arrays({"prior": self.prior, "residual": self.residual})

    def config(self) -> Config:
        heads = _configs({"prior": self.prior, "residual": self.residual})
        return {"heads": heads, "share": self.share}

    @classmethod
    def from_arrays(cls, arrays: Arrays, config: Config) -> Self:
        heads = _restored(arrays, take_value(config, "heads", dict))
        if set(heads) != {"prior", "residual"}:
            raise ModelError("the model file lacks the prior or the residual: it is damaged")
        share = take_value(config, "share", float)
        if heads["prior"].n_features != heads["residual"].n_features or not np.isfinite(share):
            raise ModelError("prior and residual of the model file do not fit together")
        return cls(heads["prior"], share, heads["residual"])


def fit_residual(
    prior: Head, data: TrainingSet, fit: Callable[[TrainingSet], Head]
) -> ResidualHead:
    """Scale a prior head to the scores, then fit another to the rest.

    The scale is never negative: a prior that says the opposite is ignored.
    """
    expected = prior.predict(data.features)
    deviation = expected - np.average(expected, weights=data.weights)
    variance = float(data.weights @ deviation**2)
    slope = float((data.weights * deviation) @ data.scores) / (variance or 1.0)
    share = max(slope, 0.0)
    rest = data.scores - share * expected
    if np.ptp(rest) == 0:  # the prior explains everything
        head: Head = LinearHead(np.zeros(prior.n_features), float(rest[0]), residual_std=0.0)
    else:
        head = fit(data._replace(scores=rest))
    return ResidualHead(prior, share, head)


def _arrays(heads: Mapping[str, Head]) -> Arrays:
    return {
        f"{name}/{key}": array
        for name, head in heads.items()
        for key, array in head.to_arrays().items()
    }


def _configs(heads: Mapping[str, Head]) -> Config:
    return {name: {"kind": head.kind, "config": head.config()} for name, head in heads.items()}


def _restored(arrays: Arrays, configs: Config) -> dict[str, Head]:
    from src.aesthetic.heads import restore

    heads: dict[str, Head] = {}
    for name, entry in configs.items():
        kind, config = take_value(entry, "kind", str), take_value(entry, "config", dict)
        prefix = f"{name}/"
        mine = {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}
        heads[name] = restore(kind, mine, config)
    return heads
