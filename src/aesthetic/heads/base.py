"""What every head is: numbers of an image in, a score out.

A head is fitted once (some need torch or scipy for that) and is immutable afterwards. Predicting
needs numpy alone, so that scoring images never waits for a training library.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from src.errors import ModelError

Array = NDArray[Any]
FloatArray = NDArray[np.float64]
T = TypeVar("T")

_ROWS_AT_ONCE = 4_096
_ABSURD = 1e30  # no weight, and nothing else in a model file, is as large


class Stored(NamedTuple):
    """A head as it is in a model file, foreign until checked."""

    arrays: Mapping[str, Array]
    config: Mapping[str, Any]  # JSON values

    def array(self, name: str, *shape: int | None) -> FloatArray:
        """One array, of this shape (None: any length)."""
        if name not in self.arrays:
            raise ModelError(
                f"the model file lacks the tensor {name!r}: it is damaged, or from elsewhere"
            )
        array = np.asarray(self.arrays[name])
        fits = array.ndim == len(shape) and all(
            want is None or want == have for want, have in zip(shape, array.shape, strict=True)
        )
        if not fits or array.dtype.kind not in "fiu":
            wanted = " × ".join("any" if want is None else str(want) for want in shape)
            raise ModelError(
                f"the tensor {name!r} of the model file has the shape {array.shape} "
                f"where ({wanted}) is needed: it is damaged, or from elsewhere"
            )
        array = array.astype(np.float64)
        if not (np.abs(array) < _ABSURD).all():
            raise ModelError(f"the tensor {name!r} of the model file holds impossible values")
        return array

    def std(self) -> float | None:
        if self.config.get("residual_std") is None:
            return None
        return take_number(self.config, "residual_std", low=0)


def take_value(config: Mapping[str, Any], name: str, kind: Callable[[Any], T]) -> T:
    """One value of a model file's configuration, converted; a ModelError if that fails."""
    try:
        return kind(config[name])
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        raise ModelError(
            f"the model file has no usable setting {name!r}: it is damaged, or from elsewhere"
        ) from None


def take_number(config: Mapping[str, Any], name: str, *, low: float = -_ABSURD) -> float:
    """A number not below `low`, and not absurdly large."""
    number = take_value(config, name, float)
    if not low <= number < _ABSURD:
        raise ModelError(f"the model file has an impossible {name}, {number:g}: it is damaged")
    return number


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
    def store(self) -> Stored: ...

    @classmethod
    @abstractmethod
    def restore(cls, stored: Stored) -> Self:
        """ModelError where something is missing or cannot be."""

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
