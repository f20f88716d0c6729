"""Images per second from 12-megapixel JPEG files to features: ours, and one image at a time.

    REAL_ASSETS=... python -m bench.extraction

Ours is `compute_features` with an empty store, start to end. The other way is what the old tool
did with today's library: open the file whole, run the model's own processor and the model on it,
one after the other. Both run in one process, interleaved, model loading left out on both sides.
"""

import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
import transformers
from PIL import Image

from bench.needs import real_assets
from bench.photographs import MEGAPIXELS, write_photographs
from src.features import Extractor, compute_features, open_extractors, open_store
from src.images import scan_images

COUNT, ROUNDS = 24, 5


def one_at_a_time(files: list[Path], model: torch.nn.Module, processor: object) -> float:
    start = time.perf_counter()
    with torch.no_grad():
        for file in files:
            inputs = processor(Image.open(file).convert("RGB"), return_tensors="pt")  # type: ignore[operator]
            model(**inputs).pooler_output.numpy()
    return len(files) / (time.perf_counter() - start)


def ours(folder: Path, extractors: list[Extractor], store_folder: Path) -> float:
    start = time.perf_counter()
    with open_store(folder, store_folder) as store:
        compute_features(folder, scan_images(folder), extractors, store)
    return COUNT / (time.perf_counter() - start)


def main() -> None:
    backbone = real_assets() / "backbones" / "mobilenet_v2"
    transformers.logging.set_verbosity_error()
    processor = transformers.AutoImageProcessor.from_pretrained(backbone, backend="pil")
    model = transformers.AutoModel.from_pretrained(backbone).eval()
    extractors = open_extractors(str(backbone), device="cpu")
    extractors[0].load()
    result = {}
    with tempfile.TemporaryDirectory() as temporary:
        for label, size in MEGAPIXELS.items():
            folder = Path(temporary) / label
            files = write_photographs(folder, COUNT, size)
            ratios, rates = [], []
            for round_number in range(ROUNDS):
                slow = one_at_a_time(files, model, processor)
                fast = ours(folder, extractors, Path(temporary) / f"{label} {round_number}")
                rates.append((fast, slow))
                ratios.append(fast / slow)
            result[label] = {
                "images_per_second": round(statistics.median(rate[0] for rate in rates), 1),
                "one_at_a_time": round(statistics.median(rate[1] for rate in rates), 1),
                "ratio": round(statistics.median(ratios), 2),
            }
    print(json.dumps({"bench": "extraction", "cores": os.cpu_count(), **result}))


if __name__ == "__main__":
    main()
