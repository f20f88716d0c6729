"""Writing a model as the ComfyUI nodes "Custom classifier nodes" read it.

They build, per hidden layer, Dropout, Linear and ReLU, then Dropout and Linear, as one sequence,
load it strictly, and feed it CLIP features as they come. Linear heads, ReLU networks, and sums of
both are one such network: side by side, block by block. Others are written as the linear head that
imitates them best.
"""

from collections.abc import Sequence
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import block_diag

from src.aesthetic.heads import EnsembleHead, Head, LinearHead, MlpHead, ResidualHead, fit_head
from src.aesthetic.heads.base import Array, FloatArray
from src.aesthetic.heads.training_set import assign_folds
from src.aesthetic.predictor import Predictor
from src.evaluation.rank_metrics import pairwise_accuracy
from src.files import write_safetensors

STOCK_SUFFIX = "_stock"
_FOLDS = 5
Layer = tuple[FloatArray, FloatArray]  # weight (outputs, inputs), bias (outputs,)
Layers = list[Layer]


def export(
    predictor: Predictor,
    path: Path,
    *,
    clip_models: Sequence[str],
    features: ArrayLike,
    held_out: ArrayLike,
) -> float | None:
    """Write the model twice: for the newer nodes, and with `_stock` in its name for the older.

    The model is on features of CLIP models, named as on the hub, in order. Where it must be
    imitated, that is done on the `features` of training images, (n, d) as extracted. Returned is 1
    if what is written is the same function; otherwise the share of pairs that it orders as the
    model does, of held-out images, or without any of training images that such an imitation was
    not fitted to; None with too few of them.
    """
    agreement: float | None = 1.0
    layers = _exact(predictor)
    if layers is None:
        layers, agreement = _imitation(predictor, features, held_out)
    extractor = "___".join(clip_models)
    newer = {
        "number_of_features": str(predictor.n_features),
        "output_channels": "1",
        "final_layer_bias": "True",
        "hidden_states": "[]",
        "weight_n_output_layers": "0",
        "agreement_with_model": "unknown" if agreement is None else f"{agreement:.4f}",
    }
    older = {"mean_predicted_score": "0", "stdev_predicted_score": "1"}
    _write(path, "main_process", layers, newer | {"feature_extractor_model": extractor})
    stock = path.with_stem(path.stem + STOCK_SUFFIX)
    older |= {"feature_extractor_model": extractor}
    _write(stock, "layers", _deepened(layers, 2), older)  # those need a hidden layer
    return agreement


def _write(path: Path, name: str, layers: Layers, metadata: dict[str, str]) -> None:
    arrays: dict[str, Array] = {}
    for number, (weight, bias) in enumerate(layers):
        arrays[f"{name}.{3 * number + 1}.weight"] = weight.astype(np.float32)
        arrays[f"{name}.{3 * number + 1}.bias"] = bias.astype(np.float32)
    hidden = [len(bias) for _, bias in layers[:-1]]
    write_safetensors(path, arrays, metadata | {"layers": str(hidden)})


def _exact(predictor: Predictor) -> Layers | None:
    """The same function in the units of the predictor's scores, or None if there is none."""
    if predictor.unit_length or (layers := _network(predictor.head)) is None:
        return None
    weight, bias = layers[-1]
    return [*layers[:-1], (weight / predictor.std, (bias - predictor.mean) / predictor.std)]


def _imitation(
    predictor: Predictor, features: ArrayLike, held_out: ArrayLike
) -> tuple[Layers, float | None]:
    scores = predictor.predict(features)
    if np.ptp(scores) == 0:
        return _of_linear(LinearHead(np.zeros(predictor.n_features), float(scores[0]))), 1.0
    head, new = fit_head("ridge", features, scores), np.asarray(held_out)
    assert isinstance(head, LinearHead)
    if len(new) > 1:
        return _of_linear(head), pairwise_accuracy(predictor.predict(new), head.predict(new))
    images, fold = np.asarray(features), assign_folds(np.arange(len(scores)), _FOLDS, 0)
    if len(scores) < 2 * _FOLDS:
        return _of_linear(head), None
    found = np.empty(len(scores))
    for left_out in (fold == number for number in range(_FOLDS)):
        partly = fit_head("ridge", images[~left_out], scores[~left_out])
        found[left_out] = partly.predict(images[left_out])
    return _of_linear(head), pairwise_accuracy(scores, found)


def _network(head: Head) -> Layers | None:
    """The head as layers with ReLU between them, or None if it is no such network."""
    match head:
        case LinearHead():
            return _of_linear(head)
        case MlpHead():
            layers = list(zip(head.weights, head.biases, strict=True))
            return layers if head.relu else [reduce(_joined, layers)]
        case EnsembleHead():
            return _sum(head.members, [1 / len(head.members)] * len(head.members))
        case ResidualHead():
            return _sum((head.prior, head.residual), (head.share, 1.0))
    return None


def _sum(heads: Sequence[Head], factors: Sequence[float]) -> Layers | None:
    found = [_network(head) for head in heads]
    depth = max(len(layers or ()) for layers in found)
    networks = [_deepened(layers, depth) for layers in found if layers is not None]
    if len(networks) < len(heads):
        return None
    *hidden, last = zip(*networks, strict=True)
    joined: Layers = []
    for layer in hidden:
        weights = [weight for weight, _ in layer]
        weight = block_diag(*weights) if joined else np.vstack(weights)
        joined.append((weight, np.concatenate([bias for _, bias in layer])))
    outputs = [factor * weight for factor, (weight, _) in zip(factors, last, strict=True)]
    bias = np.sum([factor * bias for factor, (_, bias) in zip(factors, last, strict=True)], axis=0)
    joined.append((np.hstack(outputs) if hidden else np.sum(outputs, axis=0), bias))
    return joined


def _deepened(layers: Layers, depth: int) -> Layers:
    """The same function in at least so many layers: x = relu(x) - relu(-x)."""
    while len(layers) < depth:
        weight, bias = layers[-1]
        both = np.vstack([weight, -weight]), np.concatenate([bias, -bias])
        layers = [*layers[:-1], both, (np.array([[1.0, -1.0]]), np.zeros(1))]
    return layers


def _joined(first: Layer, second: Layer) -> Layer:
    """Two layers without ReLU between them as one."""
    return second[0] @ first[0], second[0] @ first[1] + second[1]


def _of_linear(head: LinearHead) -> Layers:
    return [(head.weight[None, :], np.array([head.bias]))]
