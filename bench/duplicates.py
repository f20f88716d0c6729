"""Duplicates: seconds and memory on 100,000 images, and errors on altered photographs.

    [REAL_ASSETS=...] python -m bench.duplicates [IMAGES]

First find_duplicates.py as it is run by a user, on so many generated JPEGs of 96 x 72 pixels (a
tenth of them copies of others), then again with 1,280 features kept for each: seconds and the
largest memory of the process. Then grouping alone; its hashes are random, but for a tenth that are
altered copies of others. How long a larger image takes is told by `milliseconds_each`: reading,
decoding and hashing in one thread.

With REAL_ASSETS also the share of altered photographs that are missed at the default distance, the
share of pairs of different photographs that are joined, and perceptual hashes a second in one
thread; and the same of the features of mobilenet_v2 at the default similarity.
"""

import io
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from bench.needs import real_assets
from src.dataset.duplicates import DISTANCE, SIMILARITY, near_duplicate_groups
from src.features import open_extractors, open_store
from src.features.extractor import ImageExtractor
from src.images import open_image, scan_images
from src.images.perceptual_hash import HASH_BYTES, perceptual_hash

ROOT = Path(__file__).parents[1]

COUNTS = (10_000, 100_000)


def make(folder: Path, numbers: range, images: int) -> None:
    """Generated pictures; the last tenth are copies of the first, saved again at lower quality."""
    for number in numbers:
        picture = number % (images - images // 10)
        cells = np.random.default_rng(picture).integers(0, 256, (12, 16, 3), np.uint8)
        image = Image.fromarray(cells).resize((96, 72), Image.Resampling.BICUBIC)
        path = folder / f"{number // 1000:03d}" / f"{number:06d}.jpg"
        path.parent.mkdir(exist_ok=True)
        image.save(path, quality=85 if number == picture else 60)


def keep_features(folder: Path) -> None:
    """1,280 features for each image, as uneven in their directions as those of real models."""
    rng = np.random.default_rng(0)
    spread = (1 / np.arange(1, 1281) ** 0.5).astype(np.float32)
    with open_store(folder) as store:
        contents = sorted(set(store.known_files(scan_images(folder)).values()))
        for start in range(0, len(contents), 4096):
            part = contents[start : start + 4096]
            vectors = rng.standard_normal((len(part), 1280), np.float32) * spread + 0.02
            store.put(vectors={"bench": dict(zip(part, vectors, strict=True))})


def command(folder: Path, output: Path) -> dict[str, object]:
    """A run of find_duplicates.py: seconds by the clock and of processor time, memory, result."""
    program = (
        "import resource, runpy, sys\n"
        "try:\n    runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally:\n    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)"
    )
    script = str(ROOT / "find_duplicates.py")
    words = [f"--top_level_image_directory={folder}", f"--output={output}"]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.argv = sys.argv[1:]\n{program}", script, *words],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    processor, kilobytes = done.stderr.split()[-2:]
    return {
        "seconds": round(seconds, 1),
        "processor_seconds": round(float(processor), 1),
        "peak_gb": round(int(kilobytes) / 1e6, 2),
        "found": done.stdout.splitlines()[0],
    }


def whole_command(images: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as temporary:
        folder, output = Path(temporary) / "images", Path(temporary) / "out"
        folder.mkdir()
        with multiprocessing.Pool() as pool:
            parts = [range(start, min(start + 5000, images)) for start in range(0, images, 5000)]
            pool.starmap(make, [(folder, part, images) for part in parts])
        first = command(folder, output)
        keep_features(folder)
        second = command(folder, output)
    return {
        "images": images,
        "command": first,
        "again_with_features": second,
    }


def milliseconds_each() -> dict[str, float]:
    """Of one image by its size, in one thread."""
    result = {}
    rng = np.random.default_rng(0)
    cells = Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8))
    for width, height in ((96, 72), (640, 480), (2000, 1500), (6000, 4000)):
        buffer = io.BytesIO()
        cells.resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        start, count = time.process_time(), 0
        while time.process_time() - start < 1:
            perceptual_hash(open_image(buffer.getvalue(), min_side=64))
            count += 1
        result[f"{width}x{height}"] = round(1000 * (time.process_time() - start) / count, 2)
    return result


def features_of_photographs(assets: Path) -> dict[str, object]:
    """Different photographs joined, and altered ones missed, by mobilenet_v2's features."""
    files = sorted((assets / "rated-photos" / "images").iterdir())
    (extractor,) = open_extractors(str(assets / "backbones" / "mobilenet_v2"), device="cpu")
    assert isinstance(extractor, ImageExtractor)
    extractor.load()

    def unit(images: list[Image.Image]) -> np.ndarray:
        vectors = extractor.extract([extractor.prepare(image) for image in images])
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    images = [Image.open(file).convert("RGB") for file in files]
    originals = np.concatenate([unit(images[i : i + 32]) for i in range(0, len(images), 32)])
    cosines = (originals @ originals.T)[np.triu_indices(len(images), 1)]
    missed: dict[str, list[bool]] = {}
    for number in range(0, len(images), 6):
        more = {
            "mirrored": ImageOps.mirror(images[number]),
            "turned by 3 degrees": images[number].rotate(3, Image.Resampling.BICUBIC),
            "cut by 10 %": cut(images[number], 0.1),
        }
        altered = dict(alterations(images[number])) | more
        for name, vector in zip(altered, unit(list(altered.values())), strict=True):
            missed.setdefault(name, []).append(float(vector @ originals[number]) < SIMILARITY)
    return {
        "similarity": SIMILARITY,
        "features_most_alike_different_pairs": np.sort(cosines)[-3:].round(3).tolist(),
        "features_joined": int((cosines >= SIMILARITY).sum()),
        "features_missed": {name: round(float(np.mean(m)), 3) for name, m in missed.items()},
    }


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
    assets = real_assets() if "REAL_ASSETS" in os.environ else None
    images = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    result: dict[str, object] = {"bench": "duplicates", "distance": DISTANCE}
    result |= whole_command(images)
    result["milliseconds_each"] = milliseconds_each()
    for count in COUNTS:
        hashes = random_hashes(count)
        start = time.perf_counter()
        near_duplicate_groups(hashes)
        result[f"seconds_{count}"] = round(time.perf_counter() - start, 2)
    tracemalloc.start()
    near_duplicate_groups(hashes)
    result["peak_mb"] = round(tracemalloc.get_traced_memory()[1] / 1e6)
    tracemalloc.stop()
    if assets:
        result |= photographs(assets / "rated-photos" / "images")
        result |= features_of_photographs(assets)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
