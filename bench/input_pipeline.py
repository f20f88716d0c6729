"""Images per second from JPEG files to varied, normalised training batches: ours and the usual way.

The usual way is that of transformers' image-classification example: each item is opened with PIL
and decoded in full, cut at random, resized, mirrored, made a float tensor and normalised on its
own. (The example does the last steps with torchvision; here they are the same operations of PIL
and torch.) Ours decodes a reduced JPEG in threads, keeps bytes, and varies and normalises the
batch at once. Both load through a DataLoader, in this process and with worker processes; ours
without its memory of decoded images, as in a first epoch, and once more with it, as in later ones.
"for a GPU" leaves out the varying, which happens on the GPU then and costs the processor nothing.
Every measurement has a process of its own, for torch's threads, once started, are in each other's
way; rounds are interleaved. The medians are printed as one JSON line, and the processor time that
one image costs, which says more on a machine that does other things meanwhile.

    python -m bench.input_pipeline
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from bench.photographs import MEGAPIXELS, write_photographs
from src.image_models.augment import augment
from src.image_models.batches import PixelDataset, collate, with_margin
from src.images.preprocess import Preprocessing
from src.settings.classifier import Augmenting

SIDE, BATCH, ROUNDS = 224, 16, 5
COUNTS = {"12": 16, "0.4": 128}
REPEATS = 4  # of the files, so that every worker has several batches
SCALE = (1 / 127.5,) * 3
MODEL = Preprocessing((SIDE, SIDE), None, Image.Resampling.BILINEAR, SCALE, (-1.0,) * 3)


class OneAtATime(Dataset[Any]):
    """The example's way: everything is done to each image on its own."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        with Image.open(self.files[index]) as file:
            image = file.convert("RGB")
        rng = np.random.default_rng()
        area = image.width * image.height * rng.uniform(0.6, 1.0)
        ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        width = min(round(np.sqrt(area * ratio)), image.width)
        height = min(round(np.sqrt(area / ratio)), image.height)
        left = int(rng.integers(0, image.width - width + 1))
        top = int(rng.integers(0, image.height - height + 1))
        image = image.crop((left, top, left + width, top + height))
        image = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        if rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        tensor = pixels.to(torch.float32).div(255)
        mean = torch.tensor([0.5, 0.5, 0.5]).view(3, 1, 1)
        return {"pixel_values": tensor.sub_(mean).div_(mean), "labels": torch.tensor(0)}


def usual(files: list[Path], workers: int) -> float:
    loader = DataLoader(
        OneAtATime(files),
        BATCH,
        num_workers=workers,
        collate_fn=lambda items: {
            "pixel_values": torch.stack([item["pixel_values"] for item in items]),
            "labels": torch.stack([item["labels"] for item in items]),
        },
    )
    start = time.perf_counter()
    for _ in loader:
        pass
    return len(files) / (time.perf_counter() - start)


def dataset(files: list[Path], keep_bytes: int) -> PixelDataset:
    names = [file.name for file in files]
    return PixelDataset(
        files[0].parent,
        names,
        np.zeros(len(files), np.int64),
        with_margin(MODEL),
        exact=False,
        keep_bytes=keep_bytes,
    )


def ours(images: PixelDataset, workers: int, vary: bool = True) -> float:
    scale, offset = (torch.tensor(values).view(3, 1, 1) for values in (SCALE, MODEL.offset))
    how = Augmenting(
        augment_rotation=0.0, augment_colour=0.0
    )  # the same variations as the other way
    start = time.perf_counter()
    for batch in DataLoader(images, BATCH, num_workers=workers, collate_fn=collate):
        if vary:
            pixels = augment(batch["pixel_values"].permute(0, 3, 1, 2), (SIDE, SIDE), how)
            pixels.mul_(scale).add_(offset)
    return len(images) / (time.perf_counter() - start)


WAYS: dict[str, Callable[[list[Path]], float]] = {
    "usual": lambda files: usual(files, 0),
    "ours": lambda files: ours(dataset(files, 0), 0),
    "usual, 2 workers": lambda files: usual(files, 2),
    "ours, 2 workers": lambda files: ours(dataset(files, 0), 2),
    "ours, 2 workers, for a GPU": lambda files: ours(dataset(files, 0), 2, vary=False),
    "ours, later epochs": lambda files: later(dataset(files, 2 << 30)),
}


def later(images: PixelDataset) -> float:
    ours(images, 0)
    return ours(images, 0)


def measure(way: str, folder: Path) -> None:
    """Print images per second and the processor's ms an image, after a round to warm up."""
    files = sorted(folder.glob("*.jpg"))
    WAYS[way](files)
    files *= REPEATS
    start = time.process_time()
    rate = WAYS[way](files)
    print(rate, 1000 * (time.process_time() - start) / len(files))


def measured(way: str, folder: Path) -> tuple[float, float]:
    command = [sys.executable, "-m", "bench.input_pipeline", way, str(folder)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(printed[0]), float(printed[1])


def main() -> None:
    result: dict[str, object] = {
        "bench": "input_pipeline",
        "batch": BATCH,
        "threads": torch.get_num_threads(),
    }
    with tempfile.TemporaryDirectory() as temporary:
        for label, size in MEGAPIXELS.items():
            count = next(count for name, count in COUNTS.items() if name in label)
            folder = Path(temporary) / label.replace(" ", "_")
            write_photographs(folder, count, size)
            runs: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
            for _ in range(ROUNDS):
                for way, figures in runs.items():
                    figures.append(measured(way, folder))
            medians = {way: statistics.median(rate for rate, _ in runs[way]) for way in WAYS}
            summary = {way: round(rate, 1) for way, rate in medians.items()}
            for way in ("usual", "ours"):  # workers' time is not this process's
                cost = statistics.median(cost for _, cost in runs[way])
                summary[f"{way}, processor ms"] = round(cost, 2)
            for way, other in (
                ("ours", "usual"),
                ("ours, 2 workers", "usual, 2 workers"),
                ("ours, 2 workers, for a GPU", "usual, 2 workers"),
            ):
                pairs = zip(runs[way], runs[other], strict=True)
                ratio = statistics.median(fast / slow for (fast, _), (slow, _) in pairs)
                summary[way.replace("ours", "ratio")] = round(ratio, 2)
            result[label] = summary
    print(json.dumps(result))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
