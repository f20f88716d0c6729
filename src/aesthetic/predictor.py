"""The saved model: a head with everything that is needed to use it, and nothing that is not."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.calibration import Calibration
from src.aesthetic.formats.tensors import read_tensors, write_tensors
from src.aesthetic.heads import Head, restore
from src.aesthetic.heads.base import Array, FloatArray, take_value
from src.errors import ModelError
from src.files import replacing

FORMAT = "image-taste aesthetic predictor"
VERSION = 1
FILE_NAME = "model.safetensors"
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

        Args:
            head: fitted on `features`, after scaling to unit length if that is asked for.
            features: (n, d) of the training images, as extracted.
            forecast_std: in the head's own units.
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
        return (
            self.head.predict(prepared(features, unit_length=self.unit_length)) - self.mean
        ) / self.std

    def predict_std(self, features: ArrayLike) -> FloatArray | None:
        """Standard deviation (n,) of a person's own score around each prediction, if known.

        In the units of `predict`, whatever the head: the person's scores are brought there by the
        line on which the head predicts them.
        """
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
        path = folder / FILE_NAME
        scaling = {
            "unit_length": self.unit_length,
            "mean": self.mean,
            "std": self.std,
            "forecast_std": self.forecast_std,
            "percentiles": list(self.percentiles),
            "calibration": self.calibration and self.calibration.to_json(),
        }
        metadata = {
            "format": FORMAT,
            "version": str(VERSION),
            "head": json.dumps({"kind": self.head.kind, "config": self.head.config()}),
            "extractors": json.dumps(list(self.extractors)),
            "scaling": json.dumps(scaling),
            "provenance": json.dumps(dict(self.provenance)),
        }
        with replacing(path) as temporary:
            write_tensors(temporary, self.head.to_arrays(), metadata)
        return path

    @classmethod
    def load(cls, path: Path) -> "Predictor":
        """Read a model folder, a model file, or a published head (.safetensors or .pth).

        Raises:
            ModelError: nothing there, or a damaged or foreign file.
        """
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
        head, scaling = _json(metadata, "head", dict), _json(metadata, "scaling", dict)
        extractors = _json(metadata, "extractors", list)
        if not all(isinstance(extractor, dict) for extractor in extractors):
            raise ModelError("the extractors of the model file are impossible: it is damaged")
        mean, std = take_value(scaling, "mean", float), take_value(scaling, "std", float)
        forecast_std = scaling.get("forecast_std")
        if forecast_std is not None:
            forecast_std = take_value(scaling, "forecast_std", float)
        percentiles = take_value(scaling, "percentiles", lambda given: np.array(given, float))
        shaped = percentiles.shape in ((0,), (101,)) and not (np.diff(percentiles) < 0).any()
        finite = np.isfinite([mean, std, forecast_std or 0.0, *percentiles.ravel()]).all()
        if not (shaped and finite and std > 0):
            raise ModelError("the scaling of the model file is impossible: it is damaged")
        calibration = scaling.get("calibration")
        if calibration is not None:
            calibration = Calibration.from_json(take_value(scaling, "calibration", dict))
        return cls(
            restore(take_value(head, "kind", str), arrays, take_value(head, "config", dict)),
            tuple(extractors),
            take_value(scaling, "unit_length", bool),
            mean,
            std,
            tuple(percentiles.tolist()),
            forecast_std,
            _json(metadata, "provenance", dict),
            calibration,
        )


def prepared(features: ArrayLike, *, unit_length: bool) -> FloatArray:
    """Features as float64, the vectors scaled to length 1 if that is asked for."""
    array = np.asarray(features, dtype=np.float64)
    if unit_length and array.ndim == 2:
        array = array / np.maximum(np.linalg.norm(array, axis=1, keepdims=True), 1e-12)
    return array


def _json(metadata: Mapping[str, str], name: str, kind: type[Any]) -> Any:
    """A JSON entry of the metadata, of the given kind."""
    try:
        value = take_value(metadata, name, json.loads)
    except RecursionError:
        raise ModelError(
            f"the metadata {name!r} is nested too deeply: the file is foreign"
        ) from None
    if not isinstance(value, kind):
        raise ModelError(f"the model file has no usable {name!r}: it is damaged or foreign")
    return value
