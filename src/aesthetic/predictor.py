"""The saved model: a head with everything that is needed to use it, and nothing that is not."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.calibration import Calibration
from src.aesthetic.formats.tensors import read_tensors
from src.aesthetic.heads import Head, restore
from src.aesthetic.heads.base import Array, FloatArray, take_number, take_value
from src.errors import ModelError
from src.files import write_safetensors

FORMAT = "image-taste aesthetic predictor"
VERSION = 1
FILE_NAME = "model.safetensors"
_LEAST_STD = 1e-30
_PERCENTILES = np.linspace(0, 100, 101)


@dataclass(frozen=True)
class Predictor:
    """From features to scores with mean 0 and deviation 1 over the training images."""

    head: Head  # gives raw scores
    # What each joined feature extractor says of itself: JSON values that only the caller knows.
    extractors: tuple[Mapping[str, Any], ...] = ()
    unit_length: bool = False  # features are scaled to length 1 first, as published heads expect
    mean: float = 0.0  # of the raw scores of the training images
    std: float = 1.0  # their standard deviation, positive
    percentiles: tuple[float, ...] = ()  # (101,) of the training images' scores, or empty
    # Of a person's score around the prediction, for heads that do not know it themselves:
    forecast_std: float | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)  # for people: JSON values
    # To the probability that a person keeps the image, for models of keep and delete:
    calibration: Calibration | None = None

    @classmethod
    def from_training(
        cls,
        head: Head,
        features: ArrayLike,
        *,
        extractors: Sequence[Mapping[str, Any]],
        unit_length: bool = False,
        forecast_std: float | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Self:
        """Scale a fitted head so that its scores have mean 0 and deviation 1.

        `features` (n, d) are those of the training images as extracted, to which the head was
        fitted, after scaling to unit length if asked for; `forecast_std` is in the head's units.
        """
        raw = head.predict(prepared(features, unit_length=unit_length))
        mean, std = float(raw.mean()), float(raw.std())
        std = std if std > 1e-12 * max(1.0, abs(mean)) else 1.0  # a constant head stays constant
        percentiles = np.percentile((raw - mean) / std, _PERCENTILES)
        return cls(
            head,
            tuple(extractors),
            unit_length,
            mean,
            std,
            tuple(float(p) for p in percentiles),
            None if forecast_std is None else forecast_std / std,
            provenance or {},
        )

    @property
    def n_features(self) -> int:
        return self.head.n_features

    def predict(self, features: ArrayLike) -> FloatArray:
        """Scores (n,) of features (n, d) as extracted."""
        raw = self.head.predict(prepared(features, unit_length=self.unit_length))
        scores = (raw - self.mean) / self.std
        if not np.isfinite(scores).all():
            raise ModelError("the model gives scores that are not finite: it is damaged")
        return scores

    def predict_std(self, features: ArrayLike) -> FloatArray | None:
        """Standard deviation (n,) of a person's own score around each prediction, if known."""
        std = self.head.predict_std(prepared(features, unit_length=self.unit_length))
        if std is not None:
            return std / self.std
        if self.forecast_std is None:
            return None
        return np.full(len(np.asarray(features)), self.forecast_std)

    def percentile(self, scores: ArrayLike) -> FloatArray | None:
        """The share in percent of training images that score lower (n,), if known."""
        if not self.percentiles:
            return None
        return np.interp(np.asarray(scores, dtype=np.float64), self.percentiles, _PERCENTILES)

    def probability(self, scores: ArrayLike) -> FloatArray | None:
        """That a person keeps images of these scores (n,), for models of keep and delete."""
        return None if self.calibration is None else self.calibration(scores)

    def save(self, folder: Path) -> Path:
        """Write `model.safetensors` into a folder, as a whole; returns its path."""
        path, stored = folder / FILE_NAME, self.head.store()
        scaling = {
            "unit_length": self.unit_length,
            "mean": self.mean,
            "std": self.std,
            "forecast_std": self.forecast_std,
            "percentiles": self.percentiles,
            "calibration": self.calibration and asdict(self.calibration),
        }
        metadata = {
            "format": FORMAT,
            "version": str(VERSION),
            "head": json.dumps({"kind": self.head.kind, "config": stored.config}),
            "extractors": json.dumps(self.extractors),
            "scaling": json.dumps(scaling),
            "provenance": json.dumps(dict(self.provenance)),
        }
        write_safetensors(path, stored.arrays, metadata)
        return path

    @classmethod
    def load(cls, path: Path) -> "Predictor":
        """Read a model folder, a model file, or a published head (.safetensors or .pth)."""
        if path.is_dir():
            path = path / FILE_NAME
        arrays, metadata = read_tensors(path)
        try:
            if metadata.get("format") == FORMAT:
                return cls._restore(arrays, metadata)
            from src.aesthetic.formats.pretrained_head import read_pretrained

            found = read_pretrained(arrays, metadata)
            return cls(**found, provenance={"published_as": path.name})
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None

    @classmethod
    def _restore(cls, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> "Predictor":
        version = take_value(metadata, "version", int)
        if version > VERSION:
            raise ModelError(f"the model is of version {version}, newer than this program")
        scaling = _json(metadata, "scaling", dict)
        percentiles = take_value(scaling, "percentiles", lambda given: np.array(given, float))
        extractors = _json(metadata, "extractors", list)
        shaped = percentiles.shape in ((0,), (101,)) and np.isfinite(percentiles).all()
        if not shaped or (np.diff(percentiles) < 0).any():
            raise ModelError("the percentiles of the model file are impossible: it is damaged")
        if not all(_is_description(extractor) for extractor in extractors):
            raise ModelError("the extractors of the model file are impossible: it is damaged")
        forecast = scaling.get("forecast_std")
        calibration = scaling.get("calibration")
        return cls(
            restore(_json(metadata, "head", dict), arrays),
            tuple(extractors),
            take_value(scaling, "unit_length", bool),
            take_number(scaling, "mean"),
            take_number(scaling, "std", low=_LEAST_STD),
            tuple(percentiles.tolist()),
            None if forecast is None else take_number(scaling, "forecast_std", low=0),
            _json(metadata, "provenance", dict),
            None if calibration is None else Calibration.restore(calibration),
        )


def prepared(features: ArrayLike, *, unit_length: bool) -> FloatArray:
    """Features as float64, the vectors scaled to length 1 if that is asked for."""
    array = np.asarray(features, dtype=np.float64)
    if unit_length and array.ndim == 2:
        array = array / np.maximum(np.linalg.norm(array, axis=1, keepdims=True), 1e-12)
    return array


def _is_description(extractor: Any) -> bool:
    """Whether that can be what an extractor says of itself, as far as it is read."""
    known: dict[str, Any] = {"name": str, "identity": (str, type(None)), "hidden_states": list}
    return (
        isinstance(extractor, dict)
        and all(isinstance(extractor[key], kind) for key, kind in known.items() if key in extractor)
        and all(type(layer) is int for layer in extractor.get("hidden_states", ()))
    )


def _json(metadata: Mapping[str, str], name: str, kind: type[Any]) -> Any:
    value = take_value(metadata, name, json.loads)
    if not isinstance(value, kind):
        raise ModelError(f"the model file has no usable {name!r}: it is damaged, or from elsewhere")
    return value
