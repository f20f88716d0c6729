"""Reading a transformers model's preprocessing into our own, faster form."""

import json
import math
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from src.errors import ModelError, loading
from src.images.preprocess import MAX_SIDE, Preprocessing

FILE_NAME = "preprocessor_config.json"
TAG_LIST = "selected_tags.csv"  # beside the weights of a tagger: the names of its outputs
_OURS = "image_taste"  # our part of preprocessor_config.json
_WD_TAGGER = {"wd_tagger": True}

_TOLERANCE = 0.02  # of the range of values; rounding in the resampling stays well below


def load_preprocessing(folder: Path) -> Preprocessing:
    """The preprocessing that a model folder's preprocessor_config.json describes.

    It is checked against the model's own image processor on a probe image; a ModelError says where
    that does something else than resize, crop and normalise. What wd taggers do besides, no image
    processor of transformers does.
    """
    import transformers

    described = timm_processor(folder)
    if described is not None:
        with TemporaryDirectory() as name:
            (Path(name) / FILE_NAME).write_text(json.dumps(described), encoding="utf-8")
            return load_preprocessing(Path(name))
    with loading(f"the image processor in {folder}"), np.errstate(all="ignore"):
        loader: Any = transformers.AutoImageProcessor
        processor = loader.from_pretrained(folder, backend="pil", trust_remote_code=False)
        preprocessing = _translate(processor)
        agrees = _agrees(preprocessing, processor)
    if not agrees:
        raise ModelError(
            f"{folder}: {type(processor).__name__} does more than resize, crop and normalise, "
            "and is not supported: choose another model"
        )
    return replace(preprocessing, wd_tagger=is_wd_tagger(folder))


def is_wd_tagger(folder: Path) -> bool:
    """Whether preprocessor_config.json says so, as `timm_processor` writes it."""
    try:
        described = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
        return bool(described.get(_OURS) == _WD_TAGGER)
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def is_timm(folder: Path) -> bool:
    """Whether a model's config.json is one of timm's."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return "architecture" in config and isinstance(config["pretrained_cfg"], dict)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def timm_processor(folder: Path) -> dict[str, Any] | None:
    """The preprocessing of a model of timm, as other models have it in preprocessor_config.json.

    Read from its config.json as timm.data.resolve_data_config and transforms_imagenet_eval do, or
    from a preprocessor_config.json of our own. None if the folder holds another kind of model.
    """
    if not is_timm(folder):
        return None
    try:
        if (folder / FILE_NAME).is_file():
            known: dict[str, Any] = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
            return known
        own = json.loads((folder / "config.json").read_text(encoding="utf-8"))["pretrained_cfg"]
        _, height, width = own.get("input_size", (3, 224, 224))
        share = own.get("crop_pct") or 0.875
        way = own.get("crop_mode") or "center"
        resized = [math.floor(side / share) for side in (height, width)]
        size: dict[str, int]
        if is_wd_tagger := (folder / TAG_LIST).is_file():
            if (folder / "preprocess.json").is_file() or own.get("mean") != [0.5] * 3:
                raise ModelError(f"{folder} holds no tagger of the wd family: choose another model")
            size = {"height": height, "width": width}
        elif way == "center" and height == width:
            size = {"shortest_edge": resized[0]}
        elif way == "squash":
            size = {"height": resized[0], "width": resized[1]}
        else:
            raise ModelError(
                f"{folder}: the model wants its images prepared in a way that is not supported "
                f"(crop_mode {way!r}, {height} x {width}): choose another model"
            )
        return {
            "image_processor_type": "BitImageProcessor",
            "do_resize": True,
            "size": size,
            "resample": int(Image.Resampling[(own.get("interpolation") or "bicubic").upper()]),
            "do_center_crop": not is_wd_tagger,
            "crop_size": {"height": height, "width": width},
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": list(own.get("mean") or (0.485, 0.456, 0.406)),
            "image_std": list(own.get("std") or (0.229, 0.224, 0.225)),
            **({_OURS: _WD_TAGGER} if is_wd_tagger else {}),
        }
    except (AttributeError, KeyError, TypeError, ValueError, OSError, RecursionError):
        raise ModelError(
            f"the description of the preprocessing in {folder} is damaged: fetch the model again"
        ) from None


def _translate(processor: Any) -> Preprocessing:
    resize, crop = None, None
    if getattr(processor, "do_resize", False):
        resize = _wanted_size(processor.size)
        if isinstance(resize, int) and getattr(processor, "crop_pct", None):
            # ConvNeXt's way: small sizes are cut out of a larger resize, large ones are squeezed.
            if resize < 384:
                crop = (resize, resize)
                resize = int(resize / processor.crop_pct)
            else:
                resize = (resize, resize)
    if getattr(processor, "do_center_crop", False):
        crop = (int(processor.crop_size["height"]), int(processor.crop_size["width"]))
    resample = int(getattr(processor, "resample", None) or Image.Resampling.BILINEAR)
    plain = Preprocessing(resize, crop, resample, (1.0,) * 3, (0.0,) * 3)  # refuses absurd sizes
    black, white = (_values(processor, byte) for byte in (0, 255))
    return replace(
        plain, scale=tuple(((white - black) / 255).tolist()), offset=tuple(black.tolist())
    )


def _wanted_size(size: Any) -> int | tuple[int, int] | None:
    longest = max((side for side in dict(size).values() if isinstance(side, int)), default=0)
    if longest > MAX_SIDE:
        raise ValueError(f"images with a side of {longest} pixels")
    if size.get("shortest_edge") and not size.get("longest_edge"):
        return int(size["shortest_edge"])
    if size.get("height") and size.get("width"):
        return int(size["height"]), int(size["width"])
    return None


def _values(processor: Any, byte: int) -> np.ndarray:
    """What the processor makes of an even grey: one value for each channel."""
    grey = Image.new("RGB", (512, 512), (byte, byte, byte))
    pixels = np.asarray(processor(grey, return_tensors="np")["pixel_values"])
    return pixels[0].mean(axis=(1, 2))  # type: ignore[no-any-return]


def _agrees(preprocessing: Preprocessing, processor: Any) -> bool:
    ramp = np.add.outer(np.linspace(0, 110, 300), np.linspace(0, 120, 400))
    probe = np.stack([ramp, 230 - ramp, ramp / 2 + 40], axis=2).astype(np.uint8)
    image = Image.fromarray(probe)
    theirs = np.asarray(processor(image, return_tensors="np")["pixel_values"])
    ours = preprocessing.normalise(preprocessing.pixels(image)[None])
    span = max(float(np.ptp(theirs)), 1e-6)
    return ours.shape == theirs.shape and np.abs(ours - theirs).mean() / span < _TOLERANCE
