"""Large photographs for the measurements, made from those inside scikit-image and scikit-learn."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from examples.demo_images import PHOTOGRAPHS, load_photograph

MEGAPIXELS = {"12 MP": (4000, 3000), "0.4 MP": (730, 548)}


def write_photographs(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """Write different JPEGs of one size, with grain so that they weigh what cameras' files do.

    Args:
        folder: where to.
        count: how many.
        size: (width, height) in pixels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    sources = [load_photograph(name).convert("RGB") for name in PHOTOGRAPHS]
    files = []
    for index in range(count):
        image = sources[index % len(sources)].resize(size, Image.Resampling.BICUBIC)
        grain = rng.normal(0, 4, (size[1] // 2, size[0] // 2, 1))
        full = np.kron(grain, np.ones((2, 2, 1)))[: size[1], : size[0]]
        pixels = np.clip(np.asarray(image, np.float32) + full + index, 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=92)
        file = folder / f"{index:03d}.jpg"
        file.write_bytes(buffer.getvalue())
        files.append(file)
    return files
