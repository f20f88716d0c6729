"""A network of torch on batches of pixels."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from src.devices import choose_device, cpu_has_bfloat16
from src.images.preprocess import Preprocessing

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

# Of a few images the activations stay in a processor's cache; the memory for those of many is
# fetched from the system, and given back, at every layer: five times slower.
_CPU_BATCH = 4
_LARGE = 20_000_000  # parameters from which a network, not decoding, takes the time
_DISAGREEMENT = 0.05  # largest error of 16 bits, as a share of the features' spread


class TorchRunner:
    """Computes in 16 bits where that is faster and agrees.

    On a processor that multiplies in bfloat16, a large network is asked twice about its first
    images. CLIP ViT-B/32 runs 3.4 times as fast so, and errs by 2 % of the features' spread with
    random weights; in MobileNetV2 errors add up to 19 %, and such networks stay at 32 bits.
    """

    def __init__(
        self,
        network: "Callable[[torch.Tensor], torch.Tensor]",  # (n, 3, h, w) normalised to (n, d)
        model: "torch.nn.Module",  # what is moved to the device
        preprocessing: Preprocessing,
        device: str,
    ) -> None:
        import torch

        self._network = network
        self._device = choose_device(device)
        model.to(self._device).eval()
        self.scale = torch.tensor(preprocessing.scale, device=self._device)
        self.offset = torch.tensor(preprocessing.offset, device=self._device)
        self._half: torch.dtype | None = None
        if self._device.type == "cuda" and torch.cuda.get_device_capability(self._device) >= (7, 0):
            self._half = torch.float16  # there are half-precision matrix units
        large = sum(weights.numel() for weights in model.parameters()) >= _LARGE
        self._unsure = self._device.type == "cpu" and large and cpu_has_bfloat16()
        if self._unsure:
            self._half = torch.bfloat16

    def __call__(self, prepared: list[np.ndarray]) -> np.ndarray:
        """Features of a batch of (height, width, 3) uint8, (n, d) float32."""
        size = _CPU_BATCH if self._device.type == "cpu" else len(prepared)
        chunks = [np.stack(prepared[at : at + size]) for at in range(0, len(prepared), size)]
        if self._unsure and len(chunks[0]) > 1:
            self._decide(chunks[0])
        half = None if self._unsure else self._half
        return np.concatenate([self._run(chunk, half) for chunk in chunks])

    def _decide(self, images: np.ndarray) -> None:
        whole, half = self._run(images, None), self._run(images, self._half)
        spread = float(np.linalg.norm(whole - whole.mean(axis=0)))
        if not spread:  # the same image several times
            return
        error = float(np.linalg.norm(half - whole)) / spread
        self._unsure = False
        if error > _DISAGREEMENT:
            self._half = None
        else:
            logger.info("Computing in 16 bits: faster, and at most %.1f%% off", 100 * error)

    def _run(self, images: np.ndarray, half: "torch.dtype | None") -> np.ndarray:
        import torch

        batch = torch.from_numpy(images).to(self._device, non_blocking=True)
        # (n, h, w, 3) seen as (n, 3, h, w) is already in channels-last order.
        pixels = (batch * self.scale + self.offset).permute(0, 3, 1, 2)
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, half or torch.float32, enabled=half is not None),
        ):
            return self._network(pixels).float().cpu().numpy()
