"""Writing a network as an ONNX file that takes bytes of pixels, any number of images at once."""

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from src.errors import MissingExtra, ModelError

if TYPE_CHECKING:
    import torch


def require_exporter(purpose: str) -> None:
    """Check that what `write_onnx` needs is there.

    Args:
        purpose: what the user wanted, for the message.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(package)
        except ImportError:
            raise MissingExtra(package, purpose) from None


def write_onnx(
    network: "torch.nn.Module", pixels: "torch.Tensor", file: Path, *, output: str, name: str
) -> None:
    """Write a network whose input is called "pixels", with a dynamic batch.

    Args:
        network: takes (n, height, width, 3) uint8.
        pixels: an example of two images or more.
        file: where to.
        output: what its output is called.
        name: of the model, for the message.
    """
    import torch

    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),  # the exporter's own progress lines
            torch.no_grad(),
        ):
            warnings.simplefilter("ignore")
            for talkative in ("onnxscript", "onnx_ir", "torch.onnx"):
                logging.getLogger(talkative).setLevel(logging.ERROR)
            torch.onnx.export(
                network,
                (pixels,),
                str(file),
                input_names=["pixels"],
                output_names=[output],
                dynamic_shapes={"pixels": {0: torch.export.Dim.DYNAMIC}},
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter raises whatever its parts raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"{name} cannot be exported to ONNX: {lines[0]}") from None
