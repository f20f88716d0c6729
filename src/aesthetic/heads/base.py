"""What every head is: numbers of an image in, a score out.

A head is fitted once (some need torch or scipy for that) and is immutable afterwards. Predicting
needs numpy alone, so that scoring images never waits for a training library.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from src.errors import ModelError

Array = NDArray[Any]
FloatArray = NDArray[np.float64]
Arrays = Mapping[str, Array]
Config = Mapping[str, Any]
T = TypeVar("T")

_ROWS_AT_ONCE = 4_096


class Head(ABC):
    """A fitted function from features (n, d) to scores (n,)."""

    kind: ClassVar[str]  # the name under which model files know it
    # Of a person's score around the prediction, measured on images left out of the fit.
    residual_std: float | None = None

    @property
    @abstractmethod
    def n_features(self) -> int: ...

    @abstractmethod
    def _scores(self, x: FloatArray) -> FloatArray:
        """Of checked features, not very many at once."""

    def predict(self, features: ArrayLike) -> FloatArray:
        """Scores (n,) of features (n, d), in the units of the scores it was fitted to."""
        x = self.check(features)
        starts = range(0, len(x), _ROWS_AT_ONCE)
        batches = [self._scores(x[start : start + _ROWS_AT_ONCE]) for start in starts]
        return np.concatenate([np.empty(0), *batches])

    def predict_std(self, features: ArrayLike) -> FloatArray | None:
        """Standard deviation (n,) of each score as a forecast of what the person would give."""
        if self.residual_std is None:
            return None
        return np.full(len(self.check(features)), self.residual_std)

    @abstractmethod
    def to_arrays(self) -> Arrays:
        """The numbers to save; with `config` they restore the head."""

    @abstractmethod
    def config(self) -> Config:
        """What is not an array: plain values that JSON can hold."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Arrays, config: Config) -> Self:
        """Restore a head; ModelError where something is missing or cannot be."""

    def check(self, features: ArrayLike) -> FloatArray:
        """The features as float64 (n, d), or a ModelError that says what does not fit."""
        array = np.asarray(features, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != self.n_features:
            raise ModelError(
                f"the model was made for {self.n_features} features per image, but it was given "
                f"an array of shape {array.shape}: use the extractor that it was trained with"
            )
        if not np.isfinite(array).all():
            bad = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
            raise ModelError(
                f"the features of image number {bad} hold values that are not finite: "
                "extract them again"
            )
        return array


def take(arrays: Arrays, name: str, *shape: int | None) -> FloatArray:
    """One array of a model file, checked: finite, and of this shape (None: any length)."""
    if name not in arrays:
        raise ModelError(f"the model file lacks the tensor {name!r}: it is damaged or foreign")
    array = np.asarray(arrays[name])
    fits = array.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in "fiu":
        wanted = " × ".join("any" if want is None else str(want) for want in shape)
        raise ModelError(
            f"the tensor {name!r} of the model file has the shape {array.shape} "
            f"where ({wanted}) is needed: it is damaged or foreign"
        )
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ModelError(f"the tensor {name!r} of the model file holds values that are not finite")
    return array


def take_value(config: Config, name: str, kind: Callable[[Any], T]) -> T:
    """One value of a model file's configuration, converted; a ModelError if that fails."""
    try:
        return kind(config[name])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"the configuration of the model file has no usable {name!r}: it is damaged or foreign"
        ) from error


def take_std(config: Config) -> float | None:
    """`residual_std` of a configuration: a finite number not below zero, or None."""
    std = None if config.get("residual_std") is None else take_value(config, "residual_std", float)
    if std is not None and not 0 <= std < np.inf:
        raise ModelError(f"the model file has an impossible residual_std, {std}")
    return std
