"""What turns images into feature vectors."""

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from src.images.preprocess import Preprocessing


class Extractor:
    """Turns images into feature vectors.

    The identity changes whenever the vectors would: with the weights, the preprocessing, the
    chosen hidden states or our own code. `load` is called once before the first `prepare`, so
    that an extractor whose features are all in the store costs nothing.
    """

    name: str  # as written by the user
    identity: str

    @property
    def min_side(self) -> int | None:
        """The shorter side, in pixels, that `prepare` shrinks images to; None: full size."""
        return None

    def load(self) -> None:
        """Bring the model into memory."""

    def prepare(self, image: Image.Image) -> np.ndarray:
        """What `extract` needs of one RGB image; called from several threads at once."""
        raise NotImplementedError

    def extract(self, prepared: list[np.ndarray]) -> np.ndarray:
        """Features of a batch, (n, d) float32."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """What a saved model must know to open this extractor again: JSON values."""
        return {"name": self.name, "identity": self.identity}


class PixelExtractor(Extractor):
    """Puts an image's pixels through a network; the preprocessing is known once that is loaded."""

    preprocessing: Preprocessing | None = None
    _run: Callable[[list[np.ndarray]], np.ndarray]

    @property
    def min_side(self) -> int | None:
        return None if self.preprocessing is None else self.preprocessing.min_side

    def prepare(self, image: Image.Image) -> np.ndarray:
        assert self.preprocessing is not None
        return self.preprocessing.pixels(image)

    def extract(self, prepared: list[np.ndarray]) -> np.ndarray:
        return self._run(prepared)
