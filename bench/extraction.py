"""Images per second from JPEG files to features: every precision, and one image at a time.

    REAL_ASSETS=... python -m bench.extraction [MODEL ...]

MODEL is mobilenet_v2, builtin, ViT-B/32 or ViT-L/14 (these two with random weights, which take the
same time); by default all of them. Ours is `compute_features` with an empty store, start to end, at
precision "auto" and "float32". One at a time is what the old tool did with today's library: open
the file whole, run the model's own processor and the model on it. Everything runs in one process,
interleaved; loading models, probing them and exporting them is left out on all sides.

"decode only" reads and prepares the images without a model, "model only" is the model on prepared
images. Both use all processors, so together they cannot take less than the sum of their times;
"of what is possible" is the share of the rate at that sum.

    REAL_ASSETS=... python -m bench.extraction ab

measures AB at each precision instead: ridge on the rated photographs, 20 random splits.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image

from bench.needs import real_assets
from bench.photographs import write_photographs
from src.devices import one_torch_thread
from src.features import ImageExtractor, compute_features, open_extractors, open_store
from src.images import open_image, scan_images
from src.images.read_ahead import in_passes

PIXELS = {"12 MP": (4000, 3000), "0.2 MP": (516, 388)}
PICTURES, ROUNDS = 24, 5
COUNTS = {  # images in a round, and one at a time
    "mobilenet_v2": {"12 MP": (144, 24), "0.2 MP": (480, 48)},
    "builtin": {"12 MP": (144, 0), "0.2 MP": (240, 0)},
    "ViT-B/32": {"0.2 MP": (192, 24)},
    "ViT-L/14": {"0.2 MP": (24, 4)},
}
SIZES: dict[str, dict[str, Any]] = {  # of OpenAI's models
    "ViT-B/32": {"hidden_size": 768, "num_hidden_layers": 12, "patch_size": 32},
    "ViT-L/14": {"hidden_size": 1024, "num_hidden_layers": 24, "patch_size": 14},
}
MANY = 1_000_000  # images: a probe and an export pay
SPLITS, TRAINING = 20, 240


class NoModel(ImageExtractor):
    """Prepares images for another extractor, and computes nothing."""

    name = identity = "no model"

    def __init__(self, other: ImageExtractor) -> None:
        self.prepare, self.passes_at_once = other.prepare, other.passes_at_once  # type: ignore[method-assign]
        self.images_per_pass, self._min_side = other.images_per_pass, other.min_side

    @property
    def min_side(self) -> int | None:
        return self._min_side

    def prepare(self, image: Image.Image) -> np.ndarray:
        raise NotImplementedError  # the other's is used

    def extract(self, prepared: list[np.ndarray]) -> np.ndarray:
        return np.zeros((len(prepared), 1), np.float32)


def model_folder(name: str, temporary: Path) -> str:
    """A model of this name: the real one, or one of its size with random weights."""
    if name == "mobilenet_v2":
        return str(real_assets() / "backbones" / name)
    if name not in SIZES:
        return name
    folder = temporary / name.replace("/", "-")
    if not folder.exists():
        torch.manual_seed(0)
        size = SIZES[name]
        width: dict[str, Any] = {
            "intermediate_size": 4 * size["hidden_size"],
            "num_attention_heads": size["hidden_size"] // 64,
        }
        config = transformers.CLIPVisionConfig(**size, **width)
        transformers.CLIPVisionModelWithProjection(config).save_pretrained(folder)
        transformers.CLIPImageProcessorPil().save_pretrained(folder)
    return str(folder)


def opened(folder: str, precision: str) -> ImageExtractor:
    (extractor,) = open_extractors(folder, device="cpu", precision=precision)
    assert isinstance(extractor, ImageExtractor)
    extractor.load(MANY)
    extractor.load = lambda images=0: None  # type: ignore[method-assign]
    return extractor


def rate(folder: Path, extractor: ImageExtractor, count: int) -> float:
    """Of `compute_features`, images per second."""
    with tempfile.TemporaryDirectory() as store_folder:
        files = scan_images(folder)[:count]
        start = time.perf_counter()
        with open_store(folder, store_folder) as store:
            compute_features(folder, files, [extractor], store)
        return count / (time.perf_counter() - start)


def model_rate(folder: Path, extractor: ImageExtractor, count: int) -> float:
    files = [folder / file.path for file in scan_images(folder)[:PICTURES]]
    pixels = [extractor.prepare(open_image(file, min_side=extractor.min_side)) for file in files]
    passes = [pixels[at % len(pixels)] for at in range(count)]
    start = time.perf_counter()
    with one_torch_thread():
        for _ in in_passes(
            passes,
            extractor.extract,
            size=extractor.images_per_pass or 32,
            at_once=extractor.passes_at_once,
        ):
            pass
    return count / (time.perf_counter() - start)


def one_at_a_time(folder: Path, name: str, model: str, count: int) -> float:
    processor: Any = transformers.AutoImageProcessor.from_pretrained(model, backend="pil")
    kind = transformers.CLIPVisionModelWithProjection if name in SIZES else transformers.AutoModel
    network = kind.from_pretrained(model).eval()
    start = time.perf_counter()
    with torch.no_grad():
        for file in scan_images(folder)[:count]:
            image = Image.open(folder / file.path).convert("RGB")
            network(**processor(image, return_tensors="pt"))
    return count / (time.perf_counter() - start)


def write_files(folder: Path, count: int, size: tuple[int, int]) -> None:
    """So many files of different content, with fewer pictures in them."""
    files = write_photographs(folder, PICTURES, size)
    for number in range(PICTURES, count):
        content = files[number % PICTURES].read_bytes() + str(number).encode()  # past the picture
        (folder / f"{number:03d}.jpg").write_bytes(content)


def measured(name: str, label: str, images: Path, temporary: Path) -> dict[str, float]:
    count, slow = COUNTS[name][label]
    model = model_folder(name, temporary)
    auto, exact = opened(model, "auto"), opened(model, "float32")
    ways: dict[str, Callable[[], float]] = {
        "images_per_second": lambda: rate(images, auto, count),
        "at float32": lambda: rate(images, exact, count),
        "decode only": lambda: rate(images, NoModel(auto), count),
    }
    if name == "builtin":
        del ways["at float32"]
    else:
        ways["model only"] = lambda: model_rate(images, auto, count)
        ways["one at a time"] = lambda: one_at_a_time(images, name, model, slow)
    rounds = [{way: run() for way, run in ways.items()} for _ in range(ROUNDS)]
    found = {way: statistics.median(each[way] for each in rounds) for way in ways}
    for other in ("at float32", "one at a time"):
        if other in found:
            ratios = [each["images_per_second"] / each[other] for each in rounds]
            found[f"times {other}"] = statistics.median(ratios)
    if name != "builtin":
        shares = [
            each["images_per_second"] * (1 / each["decode only"] + 1 / each["model only"])
            for each in rounds
        ]
        found["of what is possible"] = statistics.median(shares)
    return {way: round(value, 2) for way, value in found.items()}


def main(*names: str) -> None:
    transformers.logging.set_verbosity_error()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        temporary = Path(place)
        for label, size in PIXELS.items():
            wanted = [name for name in names or COUNTS if label in COUNTS[name]]
            if not wanted:
                continue
            images = temporary / label
            write_files(images, max(COUNTS[name][label][0] for name in wanted), size)
            for name in wanted:
                result[f"{name}, {label}"] = measured(name, label, images, temporary)
    print(json.dumps({"bench": "extraction", "cores": os.cpu_count(), **result}))


def ab() -> None:
    """Mean AB over the same splits at each precision, and trained at one and tested at another."""
    from bench.builtin_features import ab_of_splits, rated_photographs

    files, scores = rated_photographs()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        for name in ("mobilenet_v2", "ViT-B/32"):
            model, found = model_folder(name, Path(place)), {}
            for precision in ("auto", "float32", "bfloat16"):
                extractor = opened(model, precision)
                images = [open_image(file, min_side=extractor.min_side) for file in files]
                found[precision] = extractor.extract([extractor.prepare(image) for image in images])
            means = {}
            for precision, vectors in found.items():
                means[precision] = ab_of_splits(vectors, scores, SPLITS)
            mixed = {}
            for precision in ("auto", "bfloat16"):
                tested = found["float32"], scores, SPLITS, found[precision]
                mixed[f"trained at float32, tested at {precision}"] = ab_of_splits(*tested)
            result[name] = {
                way: round(statistics.mean(values), 4) for way, values in (means | mixed).items()
            }
    print(json.dumps({"bench": "extraction ab", "splits": SPLITS, **result}))


if __name__ == "__main__":
    if sys.argv[1:] == ["ab"]:
        ab()
    else:
        main(*sys.argv[1:])
