"""What turns images, or the names of their files, into feature vectors."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from PIL import Image

from src.images.preprocess import Preprocessing


class _Named:
    """The identity changes whenever the vectors would: with the weights, the preprocessing, the
    chosen hidden states or our own code.
    """

    name: str  # as written by the user
    identity: str

    def load(self, images: int = 0) -> None:
        """Bring the model into memory: once, where there are features to compute.

        For so many `images`; the more there are, the longer it may take to find out how they are
        computed fastest.
        """

    def describe(self) -> dict[str, Any]:
        """What a saved model must know to open this extractor again: JSON values."""
        return {"name": self.name, "identity": self.identity}


class ImageExtractor(_Named, ABC):
    """Looks at images."""

    images_per_pass: int | None = None  # None: any number that the user sets
    passes_at_once: int = 1  # calls of `extract` that may run in threads of their own

    @property
    def min_side(self) -> int | None:
        """The shorter side, in pixels, that `prepare` shrinks images to; None: full size."""
        return None

    @abstractmethod
    def prepare(self, image: Image.Image) -> np.ndarray:
        """What `extract` needs of one RGB image; called from several threads at once."""

    @abstractmethod
    def extract(self, prepared: list[np.ndarray]) -> np.ndarray:
        """Features of a batch, (n, d) float32."""


class Run(Protocol):
    """A network: a batch of (height, width, 3) uint8 to (n, d) float32."""

    @property
    def images_per_pass(self) -> int | None: ...

    @property
    def passes_at_once(self) -> int: ...

    def __call__(self, prepared: list[np.ndarray], /) -> np.ndarray: ...


class PixelExtractor(ImageExtractor):
    """Puts an image's pixels through a network; the preprocessing is known once that is loaded."""

    preprocessing: Preprocessing | None = None
    _run: Run

    @property
    def images_per_pass(self) -> int | None:  # type: ignore[override]
        return self._run.images_per_pass

    @property
    def passes_at_once(self) -> int:  # type: ignore[override]
        return self._run.passes_at_once

    @property
    def min_side(self) -> int | None:
        return None if self.preprocessing is None else self.preprocessing.min_side

    def prepare(self, image: Image.Image) -> np.ndarray:
        assert self.preprocessing is not None
        return self.preprocessing.pixels(image)

    def extract(self, prepared: list[np.ndarray]) -> np.ndarray:
        return self._run(prepared)


class FileNameExtractor(_Named, ABC):
    """Looks at no image."""

    @abstractmethod
    def features(self, paths: Sequence[str]) -> np.ndarray:
        """Features (n, d) float32 of the file names of these paths."""


Extractor: TypeAlias = ImageExtractor | FileNameExtractor
