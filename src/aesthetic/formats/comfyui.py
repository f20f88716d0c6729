"""Writing a model as the ComfyUI nodes "Custom classifier nodes" read it.

They build, per hidden layer, Dropout, Linear and ReLU, then Dropout and Linear, as one sequence
named `main_process`, load it strictly, and feed it CLIP features as they come. So only heads that
are such a network can be written as they are; others are written as the linear head that imitates
them best on the training images.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.formats.tensors import write_tensors
from src.aesthetic.heads import EnsembleHead, Head, LinearHead, MlpHead, ResidualHead, fit_head
from src.aesthetic.heads.base import Array, FloatArray
from src.aesthetic.predictor import Predictor
from src.errors import ModelError
from src.evaluation.rank_metrics import pairwise_accuracy
from src.files import replacing

Layers = list[tuple[FloatArray, FloatArray]]  # weight (outputs, inputs), bias (outputs,)


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        path: of the file.
        agreement: share of pairs of training images that it orders as the model does; 1 if it
            is the same function.
    """

    path: Path
    agreement: float


def export(
    predictor: Predictor, path: Path, *, clip_models: list[str], features: ArrayLike
) -> Export:
    """Write the model for the ComfyUI nodes.

    Args:
        predictor: a model on features of CLIP models, without hidden states.
        path: the .safetensors file to write.
        clip_models: hub names of the CLIP models whose features are joined, in order.
        features: (n, d) of training images as extracted; used where the model must be imitated.

    Raises:
        ModelError: no CLIP model is named.
        DataError: the file cannot be written.
    """
    if not clip_models:
        raise ModelError("the ComfyUI nodes need CLIP features: name the CLIP model")
    layers, agreement = _layers(predictor, features)
    hidden = [len(bias) for _, bias in layers[:-1]]
    metadata = {
        "feature_extractor_model": "___".join(clip_models),
        "layers": str(hidden),
        "number_of_features": str(predictor.n_features),
        "output_channels": "1",
        "final_layer_bias": "True",
        "hidden_states": "[]",
        "weight_n_output_layers": "0",
        "agreement_with_model": f"{agreement:.4f}",
    }
    arrays: dict[str, Array] = {}
    for number, (weight, bias) in enumerate(layers):
        arrays[f"main_process.{3 * number + 1}.weight"] = weight.astype(np.float32)
        arrays[f"main_process.{3 * number + 1}.bias"] = bias.astype(np.float32)
    with replacing(path) as temporary:
        write_tensors(temporary, arrays, metadata)
    return Export(path, agreement)


def _layers(predictor: Predictor, features: ArrayLike) -> tuple[Layers, float]:
    """The layers in the units of the predictor's scores, and how well they agree with it."""
    if not predictor.unit_length:
        exact = _exact(predictor.head)
        if exact is not None:
            (weight, bias) = exact[-1]
            last = (weight / predictor.std, (bias - predictor.mean) / predictor.std)
            return [*exact[:-1], last], 1.0
    scores = predictor.predict(features)
    if np.ptp(scores) == 0:
        constant = LinearHead(np.zeros(predictor.n_features), float(scores[0]))
        return _of_linear(constant), 1.0
    imitation = fit_head("ridge", features, scores)
    assert isinstance(imitation, LinearHead)
    return _of_linear(imitation), pairwise_accuracy(scores, imitation.predict(features)) or 0.5


def _exact(head: Head) -> Layers | None:
    """The head as ComfyUI layers, or None if it is no such network."""
    if isinstance(head, MlpHead) and (head.relu and len(head.weights) > 1):
        return list(zip(head.weights, head.biases, strict=True))
    linear = as_linear(head)
    return None if linear is None else _of_linear(linear)


def as_linear(head: Head) -> LinearHead | None:
    """The same function as one linear layer, or None if it is not linear."""
    if isinstance(head, LinearHead):
        return head
    if isinstance(head, MlpHead):
        return None if head.relu and len(head.weights) > 1 else head.collapsed()
    if isinstance(head, EnsembleHead):
        members = [as_linear(member) for member in head.members]
        linear = [member for member in members if member is not None]
        return (
            _sum(linear, [1 / len(members)] * len(linear)) if len(linear) == len(members) else None
        )
    if isinstance(head, ResidualHead):
        prior, residual = as_linear(head.prior), as_linear(head.residual)
        return _sum([prior, residual], [head.share, 1.0]) if prior and residual else None
    return None


def _sum(heads: list[LinearHead], shares: list[float]) -> LinearHead:
    weight = np.sum([s * head.weight for head, s in zip(heads, shares, strict=True)], axis=0)
    bias = sum(s * head.bias for head, s in zip(heads, shares, strict=True))
    return LinearHead(weight, float(bias))


def _of_linear(head: LinearHead) -> Layers:
    return [(head.weight[None, :], np.array([head.bias]))]
