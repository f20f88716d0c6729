"""The hand-made features as an extractor."""

from typing import Any

import numpy as np
from PIL import Image

from src.features import builtin


class BuiltinExtractor:
    """Colour, tone, sharpness, texture and layout; nothing to download."""

    name = "builtin"
    identity = f"builtin|v{builtin.VERSION}"
    min_side: int | None = builtin.WORKING_SIDE

    def load(self) -> None:
        """Nothing to load."""

    def prepare(self, image: Image.Image) -> np.ndarray:
        """The features themselves: they are computed image by image, in the workers."""
        return builtin.image_features(image)

    def extract(self, prepared: list[np.ndarray]) -> np.ndarray:
        return np.stack(prepared)

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "identity": self.identity}
