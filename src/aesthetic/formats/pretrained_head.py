"""Heads that others published: recognised by their tensors, and fetched where they are missing."""

import hashlib
import http.client
import logging
import re
import urllib.request
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np

from src.aesthetic.heads import LinearHead, MlpHead
from src.aesthetic.heads.base import Array, Stored, take_number
from src.aesthetic.heads.mlp import PUBLISHED_DROPOUTS, check_dropouts
from src.errors import ModelError
from src.files import replacing

CLIP = "openai/clip-vit-large-patch14"
_LARGEST = 64 * 1024**2  # bytes
_TIMEOUT = 30  # seconds
_log = logging.getLogger(__name__)


# Where to fetch the published head by its name here, and the sha256 of its content.
PUBLISHED_HEAD = {
    "sac+logos+ava1-l14-linearMSE.safetensors": (
        "https://github.com/chrisgoringe/Custom-classifier-training/raw/main/models/"
        "sac%2Blogos%2Bava1-l14-linearMSE.safetensors",
        "69d9f732fe8a054622d470f13c29e629267211eef91d18056c48db0120d388ea",
    ),
    "sac+logos+ava1-l14-linearMSE.pth": (
        "https://github.com/christophschuhmann/improved-aesthetic-predictor/raw/main/"
        "sac%2Blogos%2Bava1-l14-linearMSE.pth",
        "21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0",
    ),
}


def published_head(folder: Path) -> Path:
    """The published aesthetic head in a folder, in one of several formats; fetched if need be."""
    for name in PUBLISHED_HEAD:
        if (folder / name).is_file():
            return folder / name
    problems = []
    for name, (url, sha256) in PUBLISHED_HEAD.items():
        try:
            content = _download(url)
        except (OSError, http.client.HTTPException, ValueError) as error:
            problems.append(f"{urlparse(url).hostname}: {error}")
            continue
        if hashlib.sha256(content).hexdigest() != sha256:
            problems.append(f"{url}: not the expected content")
            continue
        with replacing(folder / name) as temporary:
            temporary.write_bytes(content)
        _log.info("fetched %s", folder / name)
        return folder / name
    raise ModelError(
        f"the published head could not be fetched ({'; '.join(dict.fromkeys(problems))}): put "
        f"{next(iter(PUBLISHED_HEAD))} into the folder {folder}, or set base_model to '' to start "
        "from scratch"
    )


def read_pretrained(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a `Predictor`, from all tensors of a file and its string metadata.

    Known layouts: `layers.N.weight/bias` (improved-aesthetic-predictor and the first custom
    classifier trainers), `main_process.N.weight/bias` (the ComfyUI nodes) and a single
    `weight`/`bias` (LAION's aesthetic-predictor). Since February 2024 files name the feature
    extractor and are for features as it gives them, before for features of unit length.
    """
    _check_output_alone(metadata)
    prefix, numbers = _layers(arrays)
    if metadata.get("final_layer_bias") == "False":
        arrays = {f"{prefix}.{numbers[-1]}.bias": np.zeros(1), **arrays}
    stored, layers = Stored(arrays, {}), []
    for number in numbers:
        key = f"{prefix}.{number}." if prefix else ""
        weight = stored.array(f"{key}weight", None, None)
        layers.append((weight, stored.array(f"{key}bias", len(weight))))
    for (before, _), (after, _) in pairwise(layers):
        if after.shape[1] != len(before):
            raise ModelError("the layers of the model file do not fit together: it is damaged")
    if len(layers[-1][0]) != 1:
        raise ModelError(
            f"the model file gives {len(layers[-1][0])} numbers per image, not one score"
        )
    extractor = metadata.get("feature_extractor_model", CLIP)
    # With activations the first hidden layer is followed by ReLU and dropout, without by dropout.
    relu = prefix == "main_process" or metadata.get("relu") == "True"
    scaling = {"mean_predicted_score": 0, "stdev_predicted_score": 1, **metadata}
    return {
        "head": _head(layers, relu or (len(numbers) > 1 and numbers[1] - numbers[0] > 2)),
        "extractors": tuple({"name": part} for part in extractor.split("___")),
        "unit_length": prefix != "main_process" and "feature_extractor_model" not in metadata,
        "mean": take_number(scaling, "mean_predicted_score"),
        "std": take_number(scaling, "stdev_predicted_score", low=1e-30),
    }


def _check_output_alone(metadata: Mapping[str, str]) -> None:
    """Refuse heads for hidden layers of CLIP, each projected like its output, which is number 0."""
    for key in ("hidden_states", "hidden_states_used", "weight_n_output_layers"):
        asked = metadata.get(key, "").strip("[] ,")
        if asked not in ("", "0"):
            raise ModelError(
                f"the head was made for projected hidden layers of its extractor ({key}: {asked}), "
                "which this program does not compute: train one of your own, with hidden_states set"
            )


def _head(layers: list[tuple[Any, Any]], relu: bool) -> MlpHead | LinearHead:
    if len(layers) == 1:
        weight, bias = layers[0]
        return LinearHead(weight[0], float(bias[0]))
    weights, biases = zip(*layers, strict=True)
    hidden = [len(bias) for bias in biases[:-1]]
    dropouts = check_dropouts(PUBLISHED_DROPOUTS[: len(hidden)], hidden)
    return MlpHead(weights, biases, relu, dropouts)


def _layers(arrays: Mapping[str, Array]) -> tuple[str, list[int]]:
    if set(arrays) == {"weight", "bias"}:
        return "", [0]
    found = [re.fullmatch(r"(layers|main_process)\.(\d{1,3})\.(weight|bias)", k) for k in arrays]
    names = {match[1] for match in found if match}
    numbers = sorted({int(match[2]) for match in found if match})
    if not all(found) or len(names) != 1:
        raise ModelError(
            "this is neither a model of this program nor a published aesthetic head "
            f"(it holds {len(arrays)} tensors, such as {', '.join(sorted(arrays)[:3]) or 'none'})"
        )
    return names.pop(), numbers


def _download(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "image-taste"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        content: bytes = response.read(_LARGEST)
    return content
