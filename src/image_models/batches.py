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
from src.image_models.model import input_size
from src.images import UnreadableImage, open_image
from src.images.preprocess import Preprocessing, limit_proportions

_MOST_BYTES = 2 << 30
_SHARE_OF_MEMORY = 1 / 8  # there are two data sets, and the model needs memory too
_MARGIN = 1.15  # how much larger training images are than the model's, to cut from
_TORCH_NAMES: dict[int, str] = {
    Image.Resampling.BILINEAR: "bilinear",
    Image.Resampling.BICUBIC: "bicubic",
}

Item = dict[str, Any]


class PixelDataset(Dataset[Item]):
    """Images of one size as bytes, with their labels; the model's own cutting, at any scale.

    Normalising and augmenting are done on whole batches by the trainer. Unless the pixels must be
    `exact`, as for measuring, a JPEG may be decoded at the size needed, not twice of it: faster,
    and a little less sharp. Up to `keep_bytes` of decoded images are kept for later epochs.
    """

    def __init__(
        self,
        directory: Path,
        paths: Sequence[str],
        labels: Any,  # (n,) int64, or sparse (n, k) for several labels an image
        preprocessing: Preprocessing,
        *,
        exact: bool,
        keep_bytes: int | None = None,
    ) -> None:
        self._directory, self._paths, self._labels = directory, list(paths), labels
        self._preprocessing, self._exact = preprocessing, exact
        min_side = preprocessing.min_side
        self._min_side = min_side if exact or min_side is None else (min_side + 1) // 2
        room = _room_for_pixels() if keep_bytes is None else keep_bytes
        self._room = room // (3 * int(np.prod(input_size(preprocessing))))
        self._kept: dict[int, np.ndarray] = {}
        self._pool: ThreadPoolExecutor | None = None

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Item:
        labels = self._labels[index]
        if self._labels.ndim == 2:
            labels = labels.toarray().astype(np.float32)
        return {"pixel_values": self._pixels(index), "labels": labels}

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
        prepare = self._preprocessing
        try:
            image = open_image(path, min_side=self._min_side)
            pixels = prepare.pixels(image) if self._exact else fast_pixels(image, prepare)
        except (UnreadableImage, OSError) as error:
            raise DataError(f"{path} was readable before and is not now: {error}") from None
        if get_worker_info() is None and len(self._kept) < self._room:
            self._kept[index] = pixels
        return pixels


def _room_for_pixels() -> int:
    """Bytes of decoded images that one data set of one process may keep in memory."""
    import psutil

    processes = int(os.environ.get("WORLD_SIZE", "1"))
    available = psutil.virtual_memory().available
    return min(_MOST_BYTES, int(available * _SHARE_OF_MEMORY / processes))


def with_margin(preprocessing: Preprocessing, factor: float = _MARGIN) -> Preprocessing:
    """The same cut of an image with more pixels, so that parts of it can be cut out sharply."""

    def grow(size: Any) -> Any:
        if isinstance(size, tuple):
            return tuple(map(grow, size))
        return None if size is None else round(size * factor)

    return replace(preprocessing, resize=grow(preprocessing.resize), crop=grow(preprocessing.crop))


def fast_pixels(image: Image.Image, preprocessing: Preprocessing) -> np.ndarray:
    """As `preprocessing.pixels`, within two grey levels, in a third of the time.

    torch resizes bytes with the processor's vector instructions, Pillow does not.
    """
    how, size = _TORCH_NAMES.get(preprocessing.resample), preprocessing.resize
    how = None if preprocessing.wd_tagger else how
    if isinstance(size, int):
        image = limit_proportions(image)
        shorter = min(image.size)
        size = int(size * image.height / shorter), int(size * image.width / shorter)
    crop = preprocessing.crop or size
    if how is None or size is None or crop is None or size[0] < crop[0] or size[1] < crop[1]:
        return preprocessing.pixels(image)
    # As a batch before turning: with these strides torch interpolates all channels at once.
    pixels = torch.from_numpy(np.array(image))[None].permute(0, 3, 1, 2)
    resized = functional.interpolate(pixels, size=size, mode=how, antialias=True)
    top, left = (size[0] - crop[0]) // 2, (size[1] - crop[1]) // 2
    cut = resized[0, :, top : top + crop[0], left : left + crop[1]]
    return np.ascontiguousarray(cut.permute(1, 2, 0).numpy())


def collate(items: Sequence[Item]) -> dict[str, torch.Tensor]:
    """Pixels (n, height, width, 3) uint8 and labels (n,) or (n, k) of a batch."""
    return {
        name: torch.from_numpy(np.stack([item[name] for item in items]))
        for name in ("pixel_values", "labels")
    }
