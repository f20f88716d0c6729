"""Networks as ONNX files that take bytes of pixels, any number of images at once."""

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.errors import MissingExtra, ModelError, first_line, loading

if TYPE_CHECKING:
    import torch

IMAGES_PER_PASS = 8  # the activations of a few images stay in the processor's cache


class OnnxNetwork:
    """A network as `write_onnx` exports it: pixels (n, height, width, 3) uint8 to (n, d) float32.

    ONNX Runtime takes a GPU unless the device is `cpu`; on a processor one call takes so many
    `threads`, 0 for all; with one, several calls may run at once. The purpose is what the user
    wanted, for the message where onnxruntime is missing. `convert` makes of such pixels what
    networks from elsewhere take.
    """

    convert: Callable[[np.ndarray], np.ndarray] = staticmethod(lambda pixels: pixels)

    def __init__(self, file: Path, purpose: str, *, device: str = "cpu", threads: int = 0) -> None:
        self._file = file
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtra("onnxruntime", purpose) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or int(os.environ.get("OMP_NUM_THREADS") or 0)
        # Threads that spin while they wait take the processor from those that decode images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = onnxruntime.get_available_providers()
        self._on_gpu = device != "cpu" and "CUDAExecutionProvider" in providers
        if not self._on_gpu:
            providers = ["CPUExecutionProvider"]
        with loading(str(file)):
            self._session = onnxruntime.InferenceSession(str(file), options, providers=providers)
            self.input, self.output = self._session.get_inputs()[0], self._session.get_outputs()[0]
        self.images_per_pass = None if self._on_gpu else IMAGES_PER_PASS
        if self.input.shape[:1] == [1]:  # the network takes no more at once
            self.images_per_pass = 1
        one_each = threads == 1 and not self._on_gpu
        self.passes_at_once = (os.cpu_count() or 1) if one_each else 1
        self.notes: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map

    def __call__(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        size = self.images_per_pass or len(prepared)
        chunks = [np.stack(prepared[i : i + size]) for i in range(0, len(prepared), size)]
        return np.concatenate([self.run(chunk) for chunk in chunks])

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """One pass, of any number of images."""
        try:
            given = {self.input.name: self.convert(pixels)}
            found = np.asarray(self._session.run([self.output.name], given)[0], np.float32)
        except Exception as error:  # onnxruntime's own classes have no common one
            raise ModelError(f"{self._file} cannot process images: {first_line(error)}") from None
        if not np.isfinite(found).all():
            raise ModelError(f"{self._file} gives values that are no numbers: it is damaged")
        return found


def require_exporter(purpose: str) -> None:
    """Check that what `write_onnx` needs is there, for a purpose that the message names."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(package)
        except ImportError:
            raise MissingExtra(package, purpose) from None


def write_onnx(
    network: "torch.nn.Module",
    pixels: "torch.Tensor",
    file: Path,
    *,
    output: str,
    name: str,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write a network that takes "pixels", (n, height, width, 3) uint8, with a dynamic batch.

    The example must hold two images or more. The notes become metadata; the name is for messages.
    """
    import torch

    for talkative in ("onnxscript", "onnx_ir", "torch.onnx"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            contextlib.redirect_stdout(io.StringIO()),  # the exporter's own progress lines
            torch.no_grad(),
        ):
            program: Any = torch.onnx.export(
                network,
                (pixels,),
                input_names=["pixels"],
                output_names=[output],
                dynamic_shapes={"pixels": {0: torch.export.Dim.DYNAMIC}},
                verbose=False,
            )
            program.model.metadata_props.update(notes or {})
            program.save(str(file), external_data=False)
    except Exception as error:  # the exporter raises whatever its parts raise
        raise ModelError(f"{name} cannot be exported to ONNX: {first_line(error)}") from None
