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

Draw = dict[str, torch.Tensor]
"""What is drawn for each image, 0 to 1: (n, 1, 1, 1) each."""


def augment(pixels: torch.Tensor, size: tuple[int, int], how: Augmenting) -> torch.Tensor:
    """Augment each image of a batch on its own.

    Args:
        pixels: (n, 3, height, width) uint8.
        size: (height, width) of the result.
        how: how strongly.

    Returns:
        (n, 3, *size) float32, 0 to 255; a tensor of its own.
    """
    draws = torch.rand(len(_DRAWS), len(pixels), 1, 1, 1)
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
    """As many threads as torch has, in which torch has one each.

    Torch's own wait for more work at full speed when a batch is done, and so take the processor
    from the threads that decode the next one.
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


def blend(
    pixels: torch.Tensor, labels: torch.Tensor, classes: int, how: Augmenting
) -> tuple[torch.Tensor, torch.Tensor]:
    """MixUp or CutMix: each image with another of the batch, and the labels in the same shares.

    Args:
        pixels: (n, 3, height, width) float.
        labels: (n,) int, or (n, classes) of zeros and ones, which stay right: a tag of either
            image is there in that image's share.
        classes: how many there are.
        how: the alphas.

    Returns:
        The images, and labels as shares, (n, classes) float32.
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
        top, bottom = _window(height, math.sqrt(1 - share))
        left, right = _window(width, math.sqrt(1 - share))
        mixed = pixels.clone()
        mixed[:, :, top:bottom, left:right] = pixels[other, :, top:bottom, left:right]
        share = 1 - (bottom - top) * (right - left) / (height * width)
    else:
        mixed = torch.lerp(pixels[other], pixels, share)
    return mixed, torch.lerp(shares[other], shares, share)


def _cut(images: torch.Tensor, size: tuple[int, int], how: Augmenting, draw: Draw) -> torch.Tensor:
    """Cut out, turn, mirror and resize, in one bilinear interpolation."""
    n, _, height, width = images.shape
    area = how.augment_crop + (1 - how.augment_crop) * draw["area"]
    slack = (
        torch.ones_like(area) if how.augment_crop == 1 else _ASPECT ** _either_way(draw["aspect"])
    )
    across = (area * slack).sqrt().clamp(max=1)  # shares of the width and of the height
    down = (area / slack).sqrt().clamp(max=1)
    x = (1 - across) * _either_way(draw["x"])  # centres, in -1 ... 1
    y = (1 - down) * _either_way(draw["y"])
    angle = math.radians(how.augment_rotation) * _either_way(draw["angle"])
    mirror = 1 - 2.0 * (draw["mirror"] < 0.5) if how.augment_flip else torch.ones_like(area)
    # From places in the result to places in the image, both in -1 ... 1; the turn is one of
    # pixels, so the sides' ratio goes in and out again.
    ratio = width / height
    to_x = torch.stack([mirror * across * angle.cos(), -down * angle.sin() / ratio, x])
    to_y = torch.stack([mirror * across * angle.sin() * ratio, down * angle.cos(), y])
    grid = torch.empty(n, *size, 2, device=images.device)
    for index, line in enumerate((to_x, to_y)):
        _places(line.view(3, n), grid[..., index])
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _either_way(draw: torch.Tensor) -> torch.Tensor:
    """-1 to 1 from 0 to 1."""
    return 2 * draw - 1


def _places(line: torch.Tensor, places: torch.Tensor) -> None:
    """Fill in one coordinate of the places to look at: a u + b v + c for pixel centres (u, v).

    As `functional.affine_grid` does, in a sixth of its time on a processor.

    Args:
        line: a, b and c of each image, (3, n).
        places: what is filled, (n, height, width).
    """
    a, b, c = line[:, :, None, None]
    v, u = (
        (2 * torch.arange(length, device=line.device) + 1) / length - 1
        for length in places.shape[1:]
    )
    torch.add(a * u, b * v[:, None] + c, out=places)


def _recolour(images: torch.Tensor, strength: float, draw: Draw) -> torch.Tensor:
    """Brightness, contrast and saturation, each by a factor of its own for each image."""
    brightness, contrast, saturation = (
        1 + strength * _either_way(draw[name]) for name in ("brightness", "contrast", "saturation")
    )
    images = images * brightness
    images = torch.lerp(images.mean(dim=(1, 2, 3), keepdim=True), images, contrast)
    images = torch.lerp(images.mean(dim=1, keepdim=True), images, saturation)
    return images.clamp(0, 255)


def _blank(images: torch.Tensor, share: float, draw: Draw) -> torch.Tensor:
    """A square of the image's mean colour, its centre anywhere."""
    height, width = images.shape[2:]
    half = share * min(height, width) / 2
    rows, columns = (torch.arange(side, device=images.device) + 0.5 for side in (height, width))
    inside = ((rows[:, None] - draw["hole_y"] * height).abs() < half) & (
        (columns - draw["hole_x"] * width).abs() < half
    )
    return torch.where(inside, images.mean(dim=(2, 3), keepdim=True), images)


def _window(length: int, share: float) -> tuple[int, int]:
    """Part of a side around a random centre, cut off at the edges."""
    centre = torch.rand(()).item() * length
    half = share * length / 2
    return max(round(centre - half), 0), min(round(centre + half), length)
