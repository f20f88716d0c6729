"""A network on batches of pixels, run in the fastest way of this computer that agrees."""

import copy
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from src.devices import choose_device, cpu_has_bfloat16, one_torch_thread
from src.errors import ModelError, UserError
from src.features.fastest_way import HALVES, KnownWays, Way
from src.features.onnx_network import OnnxNetwork, write_onnx
from src.images.preprocess import Preprocessing
from src.text import counted

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

# Largest difference from 32 bits, as a share of the features' spread. CLIP differs by 3 % in
# bfloat16; in MobileNetV2 rounding adds up to 19 %, and such networks stay at 32 bits.
_TOLERANCE = {"bfloat16": 0.05, "float16": 0.05, "onnx": 0.001}
_UNTRIED = 4  # images per pass before anything is measured
_SIZES = (4, 8, 16)  # images per pass; of more, the activations leave the processor's cache
_LONGEST_PASS = 2.0  # seconds, which Ctrl-C has to wait for
_PROBE_IMAGES = 16  # for each processor, from which on a probe is shorter than what it saves
_PROBE_SECONDS = 2  # of work, below which nothing is sought
_EXPORT_SECONDS = 60  # of work, from which an export (10 to 20 s) pays if it halves them
# ONNX Runtime is four times as fast as torch with MobileNetV2, and 1.1 times with CLIP ViT-B/32:
# large networks multiply large matrices, which both do at the processor's speed.
_LARGEST_EXPORT = 50_000_000  # parameters


class NetworkRunner:
    """A network that takes what `Preprocessing.pixels` makes of images.

    On a processor it may be called from several threads at once, see `one_torch_thread`.
    """

    def __init__(
        self,
        # the model and (n, 3, height, width) normalised to features (n, d)
        run: "Callable[[Any, torch.Tensor], torch.Tensor]",
        model: "torch.nn.Module",
        preprocessing: Preprocessing,
        *,
        device: str,
        precision: str = "auto",
    ) -> None:
        self._preprocessing, self._precision = preprocessing, precision
        self._device = choose_device(device)
        self._on_cpu = self._device.type == "cpu"
        self.network = _taking_bytes(run, model.to(self._device).eval(), preprocessing)
        self._onnx: OnnxNetwork | None = None
        self._way = Way("float32", _UNTRIED)

    @property
    def precision(self) -> str:
        """In which the network is computed: float32, bfloat16 or float16."""
        return "float32" if self._way.name == "onnx" else self._way.name

    @property
    def images_per_pass(self) -> int | None:
        """On a processor; None on a GPU, which has memory for any number."""
        return self._way.images if self._on_cpu else None

    @property
    def passes_at_once(self) -> int:
        return os.cpu_count() or 1 if self._on_cpu else 1

    def __call__(self, prepared: list[np.ndarray]) -> np.ndarray:
        """Features of a batch of (height, width, 3) uint8, (n, d) float32."""
        size = self.images_per_pass or len(prepared)
        chunks = [np.stack(prepared[at : at + size]) for at in range(0, len(prepared), size)]
        found = np.concatenate([self._pass(chunk) for chunk in chunks])
        if self._precision in HALVES and not np.isfinite(found).all():
            raise ModelError(f"precision {self._precision!r} overflows in this model: set 'auto'")
        return found

    def choose(self, name: str, identity: str, images: int) -> None:
        """Settle on the fastest way that agrees with 32 bits, if so many images are worth it.

        What is found out is kept for the identity, on this computer.
        """
        if self._way.seconds is not None:
            return  # it is settled
        if self._precision in HALVES:
            self._take(Way(self._precision, _SIZES[1], 0.0))
            return
        known = KnownWays.read(identity, self._device.type)
        with one_torch_thread():
            if not known.ways and not self._probe(known, images):
                return
            if self._may_export(known, images):
                self._try_onnx(known, name)
            way = known.fastest(self._precision)
            if way.name == "onnx":
                self._onnx = known.open_export()
                if self._onnx is None:  # damaged: it is made again
                    self._try_onnx(known, name)
                    way = known.fastest(self._precision)
                    self._onnx = known.open_export() if way.name == "onnx" else None
        self._take(way)
        self._say(name, known)

    def _say(self, name: str, known: KnownWays) -> None:
        what = "ONNX Runtime" if self._onnx else self._way.name
        gain = (known.ways["float32"].seconds or 1.0) / (self._way.seconds or 1.0)
        faster = f", {gain:.1f} times as fast as torch in float32" if gain > 1.05 else ""
        size = self.images_per_pass
        pace = f", {counted(size, 'image')} at a time on each core" if size else ""
        logger.info("%s on this computer: %s%s%s.", name, what, pace, faster)

    def _take(self, way: Way) -> None:
        self._way = way
        if way.name in HALVES:
            self.network = _with_half_weights(self.network, way.name)

    def _probe(self, known: KnownWays, images: int) -> bool:
        """Time 32 bits, and 16 bits where this device multiplies in them, if that is worth it."""
        pixels, cores = _probe_pixels(self._preprocessing), self.passes_at_once
        if self._on_cpu and (
            images < _PROBE_IMAGES * cores
            or images * self._seconds(pixels[:1]) < _PROBE_SECONDS * cores
        ):
            return False
        exact = self._pass(pixels)
        known.add(self._best_size("float32", pixels))
        half = _half_of(self._device)
        if half:
            whole, before = self.network, self._way
            self._take(Way(half, 0))
            try:
                agrees = _difference(self._pass(pixels), exact) <= _TOLERANCE[half]
                known.add(self._best_size(half, pixels) if agrees else Way(half, 0))
            finally:
                self.network, self._way = whole, before
        known.save()
        return True

    def _may_export(self, known: KnownWays, images: int) -> bool:
        """Whether an export to ONNX is likely to pay, and was not tried yet."""
        if not self._on_cpu or "onnx" in known.ways:
            return False
        resized, seconds = self._preprocessing, known.fastest(self._precision).seconds or 0.0
        one_size = resized.crop is not None or isinstance(resized.resize, tuple)
        size = sum(weights.numel() for weights in self.network.parameters())
        pays = images * seconds / self.passes_at_once > _EXPORT_SECONDS
        return pays and one_size and size <= _LARGEST_EXPORT

    def _try_onnx(self, known: KnownWays, name: str) -> None:
        """Export the network, and keep the export if it gives the same features faster."""
        import torch

        logger.info("Preparing %s for ONNX Runtime, once for this computer.", name)
        pixels = _probe_pixels(self._preprocessing)
        exact, way = self._pass(pixels), Way("onnx", 0)
        try:
            with known.exporting() as file:
                example = torch.from_numpy(pixels[:2])
                write_onnx(self.network, example, file, output="features", name=name)
                self._onnx = OnnxNetwork(file, "ONNX Runtime", threads=1)
                if _difference(self._pass(pixels), exact) <= _TOLERANCE["onnx"]:
                    way = self._best_size("onnx", pixels)
                self._onnx = None  # an open file cannot be renamed on Windows
        except (UserError, OSError) as error:
            logger.debug("%s", error)
        finally:
            self._onnx = None
        known.add(way)
        known.save()

    def _best_size(self, name: str, pixels: np.ndarray) -> Way:
        """The number of images in one pass at which an image takes least."""
        if not self._on_cpu:  # whose units for 16 bits are always faster
            return Way(name, 0, 0.5 if name in HALVES else 1.0)
        best, least = Way(name, 0), float("inf")
        for size in _SIZES:
            seconds = self._seconds(np.resize(pixels, (size, *pixels.shape[1:])))
            if seconds < 0.97 * least:
                least = seconds
                best = Way(name, max(1, min(size, int(_LONGEST_PASS / seconds))), seconds)
            if 2 * size * seconds > _LONGEST_PASS:
                break
        return best

    def _seconds(self, pixels: np.ndarray) -> float:
        """Of one image; the first pass is not counted, unless it is a long one."""
        # This thread's own time, so that it does not count what else the computer does; Windows
        # counts it in steps that are too long.
        own = self._on_cpu and sys.platform != "win32"
        clock = time.thread_time if own else time.perf_counter
        taken = []
        for _ in range(3):
            start = clock()
            self._pass(pixels)
            taken.append(clock() - start)
            if taken[-1] > _LONGEST_PASS / 2:
                break
        return min(taken) / len(pixels)

    def _pass(self, pixels: np.ndarray) -> np.ndarray:
        if self._onnx is not None:
            return self._onnx.run(pixels)
        import torch

        half = getattr(torch, self._way.name) if self._way.name in HALVES else None
        batch = torch.from_numpy(pixels).to(self._device, non_blocking=True)
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, half or torch.float32, enabled=half is not None),
        ):
            features: np.ndarray = self.network(batch).float().cpu().numpy()
        return features


def _taking_bytes(
    run: "Callable[[Any, torch.Tensor], torch.Tensor]",
    model: "torch.nn.Module",
    preprocessing: Preprocessing,
) -> "torch.nn.Module":
    """(n, height, width, 3) uint8 to (n, d), with the normalisation inside."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            device = next(model.parameters()).device
            self.scale = torch.nn.Buffer(torch.tensor(preprocessing.scale, device=device))
            self.offset = torch.nn.Buffer(torch.tensor(preprocessing.offset, device=device))

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            # (n, h, w, 3) seen as (n, 3, h, w) is already in channels-last order.
            values = (pixels.float() * self.scale + self.offset).permute(0, 3, 1, 2)
            return run(self.model, values)

    return Network().eval()


def _with_half_weights(network: "torch.nn.Module", precision: str) -> "torch.nn.Module":
    """The same network with weights in 16 bits where autocast would make them so at every pass.

    The given one keeps its own; the two share the others.
    """
    import torch

    shared: dict[int, Any] = {id(x): x for x in (*network.parameters(), *network.buffers())}
    copied = copy.deepcopy(network, shared)
    for layer in copied.modules():
        if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)):
            for name, weights in layer.named_parameters(recurse=False):
                half = weights.detach().to(getattr(torch, precision))
                setattr(layer, name, torch.nn.Parameter(half, requires_grad=False))
    return copied


def _half_of(device: "torch.device") -> str:
    """The 16 bits that a device multiplies in faster, if there are such."""
    import torch

    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0):
        return "float16"
    return "bfloat16" if device.type == "cpu" and cpu_has_bfloat16() else ""


def _probe_pixels(preprocessing: Preprocessing) -> np.ndarray:
    """Noise of several sizes, whose features differ as those of images do: (5, h, w, 3) uint8."""
    rng = np.random.default_rng(0)
    noise = [
        Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).resize((512, 512))
        for side in (2, 5, 16, 64, 200)
    ]
    return np.stack([preprocessing.pixels(image) for image in noise])


def _difference(found: np.ndarray, exact: np.ndarray) -> float:
    """As a share of the spread."""
    spread = float(np.linalg.norm(exact - exact.mean(axis=0))) or 1.0
    return float(np.linalg.norm(found - exact)) / spread
