"""Features through OpenAI's own clip package, where it is installed."""

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from src.devices import choose_device
from src.errors import MissingExtra, ModelError
from src.images.preprocess import Preprocessing

if TYPE_CHECKING:
    import torch

# The package's `_transform`: resize the shorter side (bicubic), crop, normalise.
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
_STD = np.array([0.26862954, 0.26130258, 0.27577711])


class OpenAIClipExtractor:
    """Image embeddings of a CLIP model loaded by `clip.load` (not scaled to unit length).

    Args:
        name: one of `clip.available_models()`, such as `RN50` or `ViT-L/14`.
        device: see `src.devices.choose_device`.

    Raises:
        MissingExtra: the clip package is not installed.
        ModelError: the package knows no such model.
    """

    def __init__(self, name: str, *, device: str) -> None:
        try:
            import clip
        except ImportError:
            raise MissingExtra("clip-anytorch", f"feature_extractor 'clip:{name}'") from None
        if name not in clip.available_models():
            known = ", ".join(clip.available_models())
            raise ModelError(f"feature_extractor 'clip:{name}' is unknown to clip; it has {known}")
        self.name = f"clip:{name}"
        self.identity = f"clip|{name}|v1"
        self._clip_name = name
        self._device_name = device
        self._preprocessing: Preprocessing | None = None
        self._model: torch.nn.Module

    @property
    def at_least(self) -> int | None:
        """The shorter side, in pixels, that images are shrunk to."""
        return None if self._preprocessing is None else self._preprocessing.at_least

    def load(self) -> None:
        """Load the weights; the clip package fetches them and checks their sha256.

        Raises:
            ModelError: they cannot be fetched.
        """
        import clip

        device = choose_device(self._device_name)
        try:
            self._model, _ = clip.load(self._clip_name, device=device)
        except (OSError, RuntimeError) as error:
            raise ModelError(f"{self.name} cannot be loaded: {error}") from None
        self._model.eval()
        self._device = device
        side = int(self._model.visual.input_resolution)  # type: ignore[union-attr, arg-type]
        scale, offset = 1 / (255 * _STD), -_MEAN / _STD
        self._preprocessing = Preprocessing.from_json(
            {
                "resize": side,
                "crop": (side, side),
                "resample": int(Image.Resampling.BICUBIC),
                "scale": scale.tolist(),
                "offset": offset.tolist(),
            }
        )

    def prepare(self, image: Image.Image) -> np.ndarray:
        """The resized and cropped image, (height, width, 3) uint8."""
        assert self._preprocessing is not None
        return self._preprocessing.pixels(image)

    def extract(self, prepared: list[np.ndarray]) -> np.ndarray:
        """Features of a batch, (n, d) float32."""
        import torch

        assert self._preprocessing is not None
        pixels = torch.from_numpy(self._preprocessing.normalise(np.stack(prepared)))
        with torch.inference_mode():
            features = self._model.encode_image(pixels.to(self._device))  # type: ignore[operator]
        return features.float().cpu().numpy()  # type: ignore[no-any-return]

    def describe(self) -> dict[str, Any]:
        """Name and identity."""
        return {"name": self.name, "identity": self.identity}
