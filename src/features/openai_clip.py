"""Features through OpenAI's own clip package, where it is installed."""

import urllib.request
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from src.devices import choose_device
from src.errors import MissingExtra, ModelError, loading
from src.features.extractor import PixelExtractor
from src.features.hub import say_download
from src.features.network_runner import NetworkRunner
from src.images.preprocess import Preprocessing

# The package's `_transform`: resize the shorter side (bicubic), crop, normalise.
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
_STD = np.array([0.26862954, 0.26130258, 0.27577711])


class OpenAIClipExtractor(PixelExtractor):
    """Image embeddings of a CLIP model loaded by `clip.load` (not scaled to unit length)."""

    def __init__(self, name: str, *, device: str, precision: str = "auto") -> None:
        try:
            import clip
        except ImportError:
            raise MissingExtra("clip-anytorch", f"feature_extractor 'clip:{name}'") from None
        if name not in clip.available_models():
            known = ", ".join(clip.available_models())
            raise ModelError(f"feature_extractor 'clip:{name}' is unknown to clip; it has {known}")
        self.name = f"clip:{name}"
        self.identity = f"clip|{name}|v1"
        self._clip_name, self._device, self._precision = name, device, precision

    def load(self, images: int = 0) -> None:
        """Load the weights; the clip package fetches them and checks their sha256."""
        import clip

        url, folder = clip.clip._MODELS[self._clip_name], Path("~/.cache/clip").expanduser()
        if not (folder / url.rpartition("/")[2]).is_file():
            with suppress(OSError, ValueError), urllib.request.urlopen(url, timeout=9) as answer:
                say_download(self.name, int(answer.headers["Content-Length"]), folder)
        with loading(self.name):
            model, _ = clip.load(self._clip_name, device=choose_device(self._device))
        side = int(model.visual.input_resolution)
        scale, offset = (1 / (255 * _STD)).tolist(), (-_MEAN / _STD).tolist()
        bicubic = int(Image.Resampling.BICUBIC)
        self.preprocessing = Preprocessing(side, (side, side), bicubic, tuple(scale), tuple(offset))
        self._run = NetworkRunner(
            lambda network, pixels: network.encode_image(pixels),
            model,
            self.preprocessing,
            device=self._device,
            precision=self._precision,
        )
        if images:
            self._run.choose(self.name, self.identity, images)
