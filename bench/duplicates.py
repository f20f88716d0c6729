"""Duplicates: seconds to group many hashes, memory, and errors on altered photographs.

    [REAL_ASSETS=...] python -m bench.duplicates

The hashes are random, but for a tenth that are altered copies of others. With REAL_ASSETS also
the share of altered photographs that are missed at the default distance, the share of pairs of
different photographs that are joined, and perceptual hashes a second in one thread.
"""

import io
import json
import os
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from src.duplicates import DISTANCE, near_duplicate_groups
from src.images.perceptual_hash import HASH_BYTES, perceptual_hash

COUNTS = (10_000, 100_000)


def random_hashes(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (count, HASH_BYTES), dtype=np.uint8)
    copies = count // 10
    changed = rng.random((copies, 8 * HASH_BYTES)) < rng.uniform(0, 0.25, (copies, 1))
    hashes[:copies] = hashes[-copies:] ^ np.packbits(changed, axis=1)
    return hashes


def saved(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def cut(image: Image.Image, share: float) -> Image.Image:
    """Less by this share of width and height, at the four edges together."""
    x, y = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((x, y, image.width - x, image.height - y))


def alterations(image: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    yield "quality 50", saved(image, 50)
    yield "quality 20", saved(image, 20)
    yield "half size", half
    yield "brightness +5 %", image.point(lambda value: round(value * 1.05))
    yield "brightness -5 %", image.point(lambda value: round(value * 0.95))
    yield "brightness +20 %", image.point(lambda value: round(value * 1.2))
    yield "grey", image.convert("L").convert("RGB")
    yield "cut by 2 %", cut(image, 0.02)
    yield "cut by 2 %, half size, quality 50", saved(cut(half, 0.02), 50)
    yield "cut by 4 %", cut(image, 0.04)


def photographs(folder: Path) -> dict[str, object]:
    images = [Image.open(file).convert("RGB") for file in sorted(folder.iterdir())]
    start = time.perf_counter()
    hashes = np.array([bits(image) for image in images])
    seconds = time.perf_counter() - start
    apart = (hashes[:, None] != hashes).sum(axis=2)[np.triu_indices(len(images), 1)]
    missed: dict[str, int] = {}
    for image, original in zip(images, hashes, strict=True):
        for name, altered in alterations(image):
            far = int((bits(altered) != original).sum()) > DISTANCE
            missed[name] = missed.get(name, 0) + far
    return {
        "hashes_per_second": round(len(images) / seconds),
        "different_pairs": len(apart),
        "wrongly_joined": int((apart <= DISTANCE).sum()),
        "nearest_different": int(apart.min()),
        "missed": {name: round(count / len(images), 4) for name, count in missed.items()},
    }


def bits(image: Image.Image) -> np.ndarray:
    return np.unpackbits(np.frombuffer(perceptual_hash(image), np.uint8))


def main() -> None:
    result: dict[str, object] = {"bench": "duplicates", "distance": DISTANCE}
    for count in COUNTS:
        hashes = random_hashes(count)
        start = time.perf_counter()
        near_duplicate_groups(hashes)
        result[f"seconds_{count}"] = round(time.perf_counter() - start, 2)
    tracemalloc.start()
    near_duplicate_groups(hashes)
    result["peak_mb"] = round(tracemalloc.get_traced_memory()[1] / 1e6)
    tracemalloc.stop()
    if assets := os.environ.get("REAL_ASSETS"):
        result |= photographs(Path(assets) / "rated-photos" / "images")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
