"""Images as batches of bytes: decoded by threads, reduced while decoding, kept if there is room."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from PIL import Image
from torch.utils.data import Dataset, get_worker_info

from src.errors import DataError
from src.image_models.distributed import processes
from src.image_models.model import input_size
from src.images import UnreadableImage, open_image
from src.images.preprocess import Preprocessing, limit_proportions

_MOST_BYTES = 2 << 30
_SHARE_OF_MEMORY = 1 / 8  # there are two data sets, and the model needs memory too

TRAINING_MARGIN = 1.15  # how much larger training images are than the model's, to cut from

_TORCH_NAMES: dict[int, str] = {
    Image.Resampling.BILINEAR: "bilinear",
    Image.Resampling.BICUBIC: "bicubic",
}

Item = dict[str, Any]


class PixelDataset(Dataset[Item]):
    """Images of one size as bytes, with their labels; the model's own cutting, at any scale.

    Normalising and augmenting are done on whole batches by the trainer: bytes take a quarter of the
    memory and of the way to the device.

    Args:
        directory: the image folder.
        paths: relative to it.
        labels: (n,) int64, or (n, k) for several labels an image.
        preprocessing: of the model; see `with_margin`.
        exact: exactly the model's own preprocessing, as for measuring; otherwise a JPEG may be
            decoded at the size needed, not twice of it: faster, and a little less sharp.
        keep_bytes: how much memory decoded images may take, so that later epochs need not decode
            them again; by default what there is room for, at most 2 GiB.
    """

    def __init__(
        self,
        directory: Path,
        paths: Sequence[str],
        labels: np.ndarray,
        preprocessing: Preprocessing,
        *,
        exact: bool,
        keep_bytes: int | None = None,
    ) -> None:
        self._directory, self._paths, self._labels = directory, list(paths), labels
        self._preprocessing, self._exact = preprocessing, exact
        self._shape = (*input_size(preprocessing), 3)
        min_side = preprocessing.min_side
        self._min_side = min_side if exact or min_side is None else (min_side + 1) // 2
        room = room_for_pixels() if keep_bytes is None else keep_bytes
        self._room = room // int(np.prod(self._shape))
        self._kept: dict[int, np.ndarray] = {}
        self._pool: ThreadPoolExecutor | None = None

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Item:
        return {"pixel_values": self._pixels(index), "labels": self._labels[index]}

    def __getitems__(self, indexes: Sequence[int]) -> list[Item]:
        """Several items at once, which is what a DataLoader asks for where it can."""
        if get_worker_info() is not None:  # a worker process of the loader: there are several
            return [self[index] for index in indexes]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(os.cpu_count() or 1)
        return list(self._pool.map(self.__getitem__, indexes))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pool": None, "_kept": {}}

    def _pixels(self, index: int) -> np.ndarray:
        kept = self._kept.get(index)
        if kept is not None:
            return kept
        path = self._directory / self._paths[index]
        try:
            image = open_image(path, min_side=self._min_side)
            pixels = (
                self._preprocessing.pixels(image)
                if self._exact
                else fast_pixels(image, self._preprocessing)
            )
        except (UnreadableImage, OSError) as error:
            raise DataError(f"{path} could be read before and cannot be now: {error}") from None
        if get_worker_info() is None and len(self._kept) < self._room:
            self._kept[index] = pixels
        return pixels


def room_for_pixels() -> int:
    """Bytes of decoded images that one data set of one process may keep in memory."""
    import psutil

    available = psutil.virtual_memory().available
    return min(_MOST_BYTES, int(available * _SHARE_OF_MEMORY / processes()))


def with_margin(preprocessing: Preprocessing, factor: float = TRAINING_MARGIN) -> Preprocessing:
    """The same cut of an image with more pixels, so that parts of it can be cut out sharply."""

    def grow(size: int) -> int:
        return round(size * factor)

    resize, crop = preprocessing.resize, preprocessing.crop
    return replace(
        preprocessing,
        resize=(grow(resize[0]), grow(resize[1]))
        if isinstance(resize, tuple)
        else None
        if resize is None
        else grow(resize),
        crop=None if crop is None else (grow(crop[0]), grow(crop[1])),
    )


def fast_pixels(image: Image.Image, preprocessing: Preprocessing) -> np.ndarray:
    """As `preprocessing.pixels`, within two grey levels, in a third of the time.

    torch resizes bytes with the processor's vector instructions, Pillow does not.
    """
    how = _TORCH_NAMES.get(preprocessing.resample)
    if isinstance(preprocessing.resize, int):
        image = limit_proportions(image)
    width, height = image.size
    size = preprocessing.resize
    if how is None or size is None:
        return preprocessing.pixels(image)
    if isinstance(size, int):
        shorter = min(width, height)
        size = (int(size * height / shorter), int(size * width / shorter))
    # As a batch before turning: with these strides torch interpolates all channels at once.
    pixels = torch.from_numpy(np.array(image))[None].permute(0, 3, 1, 2)
    resized = functional.interpolate(pixels, size=size, mode=how, antialias=True)
    if preprocessing.crop is not None:
        rows, columns = preprocessing.crop
        if size[0] < rows or size[1] < columns:
            return preprocessing.pixels(image)
        top, left = (size[0] - rows) // 2, (size[1] - columns) // 2
        resized = resized[:, :, top : top + rows, left : left + columns]
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def collate(items: Sequence[Item]) -> dict[str, torch.Tensor]:
    """Pixels (n, height, width, 3) uint8 and labels (n,) or (n, k) of a batch."""
    return {
        "pixel_values": torch.from_numpy(np.stack([item["pixel_values"] for item in items])),
        "labels": torch.from_numpy(np.stack([item["labels"] for item in items])),
    }
