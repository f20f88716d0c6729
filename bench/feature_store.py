"""Seconds to load the kept features of 10,000 images: scan, check for change, read.

python -m bench.feature_store
"""

import hashlib
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from src.features import compute_features, open_store
from src.images import scan_images

COUNT, SIZE, ROUNDS = 10_000, 768, 5


class Kept:
    """An extractor whose features are all in the store."""

    name = identity = "kept"
    min_side = None


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for index in range(COUNT):
            file = folder / f"{index // 1000}" / f"{index}.jpg"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(b"never read")
        files = scan_images(folder)
        sha256s = [hashlib.sha256(file.path.encode()).digest() for file in files]
        vectors = np.random.default_rng(0).normal(size=(COUNT, SIZE)).astype(np.float32)
        with open_store(folder) as store:
            store.put(
                files=zip(files, sha256s, strict=True),
                perceptual_hashes={sha256: bytes(32) for sha256 in sha256s},
                vectors={"kept": dict(zip(sha256s, vectors, strict=True))},
            )
        seconds = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            with open_store(folder) as store:
                table = compute_features(folder, scan_images(folder), [Kept()], store)  # type: ignore[list-item]
            seconds.append(time.perf_counter() - start)
        assert (table.vectors == vectors).all()
    print(
        json.dumps(
            {
                "bench": "feature_store",
                "images": COUNT,
                "features": SIZE,
                "seconds": round(statistics.median(seconds), 3),
            }
        )
    )


if __name__ == "__main__":
    main()
