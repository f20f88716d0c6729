"""Images per second from JPEG files to varied, normalised training batches: ours and the usual way.

The usual way is that of transformers' image-classification example: each item is opened with PIL
and decoded in full, cut at random, resized, mirrored, made a float tensor and normalised on its
own. (The example does the last steps with torchvision; here they are the same operations of PIL
and torch.) Ours decodes a reduced JPEG in threads, keeps bytes, and varies and normalises the
batch at once. Both load through a DataLoader, in this process and with worker processes; ours
without its memory of decoded images, as in a first epoch, and once more with it, as in later ones.
"for a GPU" leaves out the varying, which happens on the GPU then and costs the processor nothing.
Rounds are interleaved; the medians are printed as one JSON line, and the processor time that one
image costs, which says more on a machine that does other things meanwhile.

    python -m bench.input_pipeline
"""

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from bench.photographs import MEGAPIXELS, write_photographs
from src.classifier.augment import Augmentation, augment
from src.classifier.dataset import PixelDataset, collate, enlarged
from src.images.preprocess import Preprocessing

SIDE, BATCH, ROUNDS = 224, 16, 3
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
        enlarged(MODEL),
        exact=False,
        keep_bytes=keep_bytes,
    )


def ours(images: PixelDataset, workers: int, vary: bool = True) -> float:
    scale, offset = (torch.tensor(values).view(3, 1, 1) for values in (SCALE, MODEL.offset))
    how = Augmentation(rotation=0.0, colour=0.0)  # the same variations as the other way
    start = time.perf_counter()
    for batch in DataLoader(images, BATCH, num_workers=workers, collate_fn=collate):
        if vary:
            pixels = augment(batch["pixel_values"].permute(0, 3, 1, 2), (SIDE, SIDE), how)
            pixels.mul_(scale).add_(offset)
    return len(images) / (time.perf_counter() - start)


def main() -> None:
    result: dict[str, object] = {"batch": BATCH, "threads": torch.get_num_threads()}
    with tempfile.TemporaryDirectory() as temporary:
        for label, size in MEGAPIXELS.items():
            count = next(count for name, count in COUNTS.items() if name in label)
            files = write_photographs(Path(temporary) / label.replace(" ", "_"), count, size)
            files, count = files * REPEATS, count * REPEATS
            kept = dataset(files, 2 << 30)
            ours(kept, 0)
            rates: dict[str, list[float]] = {}
            for _ in range(ROUNDS):
                for name, measure in {
                    "usual": lambda files=files: usual(files, 0),
                    "ours": lambda files=files: ours(dataset(files, 0), 0),
                    "usual, 2 workers": lambda files=files: usual(files, 2),
                    "ours, 2 workers": lambda files=files: ours(dataset(files, 0), 2),
                    "ours, 2 workers, for a GPU": lambda files=files: ours(
                        dataset(files, 0), 2, vary=False
                    ),
                    "ours, later epochs": lambda kept=kept: ours(kept, 0),
                }.items():
                    rates.setdefault(name, []).append(measure())
            figures: dict[str, float] = {
                name: round(statistics.median(values), 1) for name, values in rates.items()
            }
            before = time.process_time()
            usual(files, 0)
            between = time.process_time()
            ours(dataset(files, 0), 0)
            after = time.process_time()
            figures["usual, processor ms"] = round(1000 * (between - before) / count, 2)
            figures["ours, processor ms"] = round(1000 * (after - between) / count, 2)
            for name, other in (
                ("ours", "usual"),
                ("ours, 2 workers", "usual, 2 workers"),
                ("ours, 2 workers, for a GPU", "usual, 2 workers"),
            ):
                pairs = zip(rates[name], rates[other], strict=True)
                ratio = statistics.median(fast / slow for fast, slow in pairs)
                figures[name.replace("ours", "ratio")] = round(ratio, 2)
            result[label] = figures
    print(json.dumps(result))


if __name__ == "__main__":
    main()
