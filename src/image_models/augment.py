"""Augmenting whole batches of training images on the device they are trained on.

Cutting, turning and mirroring are one interpolation for the whole batch; colour, cut-out, MixUp
and CutMix are a few operations on it. Everything random comes from torch's own generator, which
the trainer saves with its checkpoints.
"""

import functools
import math
import threading
from concurrent.futures import ThreadPoolExecutor

import torch
import torch.nn.functional as functional

from src.settings.classifier import Augmenting

_ASPECT = 4 / 3  # widest and narrowest part that is cut out, as in RandomResizedCrop
_CPU_BATCH = 4  # images whose intermediate results stay in a processor's cache
_DRAWS = (
    *("area", "aspect", "x", "y", "angle", "mirror"),
    *("brightness", "contrast", "saturation", "hole_x", "hole_y"),
)

Draw = dict[str, torch.Tensor]  # what is drawn for each image, -1 to 1: (n, 1, 1, 1) each


def augment(pixels: torch.Tensor, size: tuple[int, int], how: Augmenting) -> torch.Tensor:
    """Augment each of some images (n, 3, height, width) uint8: (n, 3, *size) float32, 0 to 255."""
    draws = 2 * torch.rand(len(_DRAWS), len(pixels), 1, 1, 1) - 1
    if pixels.device.type != "cpu":
        return _augmented(pixels, size, how, draws.to(pixels.device))
    result = torch.empty(*pixels.shape[:2], *size)

    def fill(start: int) -> None:
        part = slice(start, start + _CPU_BATCH)
        result[part] = _augmented(pixels[part], size, how, draws[:, part])

    list(_threads().map(fill, range(0, len(pixels), _CPU_BATCH)))
    return result


@functools.cache
def _threads() -> ThreadPoolExecutor:
    """As many threads as torch has, with one of its own in each.

    Torch's, when idle, would take the processor from the threads that decode the next batch.
    """
    count = torch.get_num_threads()
    threads = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
    all_there = threading.Barrier(count)
    list(threads.map(lambda _: all_there.wait(), range(count)))
    torch.set_num_threads(count)  # for threads that others start
    return threads


def _augmented(
    pixels: torch.Tensor, size: tuple[int, int], how: Augmenting, draws: torch.Tensor
) -> torch.Tensor:
    draw = dict(zip(_DRAWS, draws, strict=True))
    # Interpolating is faster with whole channels one after the other.
    images = _cut(pixels.contiguous().float(), size, how, draw)
    if how.augment_colour:
        images = _recolour(images, how.augment_colour, draw)
    if how.augment_cutout:
        images = _blank(images, how.augment_cutout, draw)
    return images


def _cut(images: torch.Tensor, size: tuple[int, int], how: Augmenting, draw: Draw) -> torch.Tensor:
    """Cut out, turn, mirror and resize, in one bilinear interpolation."""
    n, _, height, width = images.shape
    area = how.augment_crop + (1 - how.augment_crop) * (1 + draw["area"]) / 2
    slack = _ASPECT ** draw["aspect"] if how.augment_crop < 1 else torch.ones_like(area)
    across = (area * slack).sqrt().clamp(max=1)  # shares of the width and of the height
    down = (area / slack).sqrt().clamp(max=1)
    x, y = (1 - across) * draw["x"], (1 - down) * draw["y"]  # centres, in -1 ... 1
    angle = math.radians(how.augment_rotation) * draw["angle"]
    mirror = 1 - 2.0 * (draw["mirror"] < 0) if how.augment_flip else torch.ones_like(area)
    # From places in the result to places in the image, both in -1 ... 1; the turn is one of
    # pixels, so the sides' ratio goes in and out again.
    ratio = width / height
    to_x = (mirror * across * angle.cos(), -down * angle.sin() / ratio, x)
    to_y = (mirror * across * angle.sin() * ratio, down * angle.cos(), y)
    # As functional.affine_grid does, in a sixth of its time on a processor.
    grid = torch.empty(n, *size, 2, device=images.device)
    v, u = ((2 * torch.arange(side, device=images.device) + 1) / side - 1 for side in size)
    for index, line in enumerate((to_x, to_y)):
        a, b, c = (each.view(n, 1, 1) for each in line)
        torch.add(a * u, b * v[:, None] + c, out=grid[..., index])
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _recolour(images: torch.Tensor, strength: float, draw: Draw) -> torch.Tensor:
    """Brightness, contrast and saturation, each by a factor of its own for each image."""
    images = images * (1 + strength * draw["brightness"])
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = torch.lerp(mean, images, 1 + strength * draw["contrast"])
    grey = images.mean(dim=1, keepdim=True)
    return torch.lerp(grey, images, 1 + strength * draw["saturation"]).clamp(0, 255)


def _blank(images: torch.Tensor, share: float, draw: Draw) -> torch.Tensor:
    """A square of the image's mean colour, its centre anywhere."""
    height, width = images.shape[2:]
    rows, columns = (
        (torch.arange(side, device=images.device) + 0.5 - (1 + draw[name]) / 2 * side).abs()
        for side, name in ((height, "hole_y"), (width, "hole_x"))
    )
    inside = torch.maximum(rows.mT, columns) < share * min(height, width) / 2
    return torch.where(inside, images.mean(dim=(2, 3), keepdim=True), images)


def blend(
    pixels: torch.Tensor, labels: torch.Tensor, classes: int, how: Augmenting
) -> tuple[torch.Tensor, torch.Tensor]:
    """MixUp or CutMix: each image with another of the batch, and the labels in the same shares.

    Pixels are (n, 3, height, width) float. Labels, (n,) int or (n, classes) of zeros and ones,
    become shares, (n, classes) float32.
    """
    shares = labels.float() if labels.ndim == 2 else functional.one_hot(labels, classes).float()
    if not how.blends or len(pixels) < 2:
        return pixels, shares
    pasting = how.augment_cutmix > 0 and (how.augment_mixup == 0 or torch.rand(()).item() < 0.5)
    alpha = how.augment_cutmix if pasting else how.augment_mixup
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(pixels), device="cpu").to(pixels.device)
    if pasting:
        height, width = pixels.shape[2:]
        rows, columns = (_window(side, math.sqrt(1 - share)) for side in (height, width))
        mixed = pixels.clone()
        mixed[:, :, rows, columns] = pixels[other, :, rows, columns]
        share = 1 - mixed[0, 0, rows, columns].numel() / (height * width)
    else:
        mixed = torch.lerp(pixels[other], pixels, share)
    return mixed, torch.lerp(shares[other], shares, share)


def _window(length: int, share: float) -> slice:
    centre = torch.rand(()).item() * length
    half = share * length / 2
    return slice(max(round(centre - half), 0), min(round(centre + half), length))
