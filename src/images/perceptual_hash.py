"""A short fingerprint of how an image looks, for finding near duplicates."""

import hashlib

import numpy as np
from PIL import Image

HASH_BYTES = 32
HASHED_SIDE = 64  # pixels of the square that is transformed
_FREQUENCIES = 24  # more than any that is chosen below
_QUARTER = 8 * HASH_BYTES // 4 - 1  # place of the last of the weakest quarter
_AUDIBLE = 1.0  # grey levels; 8-bit rounding alone gives coefficients of about 0.3


def perceptual_hash(image: Image.Image) -> bytes:
    """256 bits that change little when an image is resized, recompressed or brightened a little.

    The image is shrunk to 64 x 64 greys; the bits are the signs of the 256 lowest frequencies of
    its discrete cosine transform, the mean left out (after Zauner, "Implementation and
    benchmarking of perceptual image hash functions", 2010). Two hashes are compared by the
    number of bits that differ, about 128 for unrelated images.

    Where a quarter or more of those frequencies are weaker than a grey level (flat areas, plain
    gradients, an almost empty page), rounding and compression would decide the bits. Such an
    image gets a digest of its pixels instead, which equals that of identical pixels only.
    """
    square = image.convert("L").resize(
        (HASHED_SIDE, HASHED_SIDE), Image.Resampling.BOX, reducing_gap=3
    )
    spectrum = _COSINES @ np.asarray(square, np.float64) @ _COSINES.T
    chosen = spectrum[_CHOSEN]
    if np.partition(np.abs(chosen), _QUARTER)[_QUARTER] < _AUDIBLE:
        pixels = hashlib.sha256(repr((image.mode, image.size)).encode())
        pixels.update(image.tobytes())
        return pixels.digest()
    return np.packbits(chosen > 0).tobytes()


# The first rows of the orthonormal DCT-II, (frequencies, pixels).
_COSINES = np.sqrt(2 / HASHED_SIDE) * np.cos(
    np.pi * np.outer(np.arange(_FREQUENCIES), np.arange(HASHED_SIDE) + 0.5) / HASHED_SIDE
)
_COSINES[0] /= np.sqrt(2)

# Places in the spectrum of the lowest frequencies, by the sum of both, the mean left out.
_DOWN, _ACROSS = np.indices((_FREQUENCIES, _FREQUENCIES)).reshape(2, -1)
_ORDER = np.lexsort((_DOWN, _DOWN + _ACROSS))[1 : 8 * HASH_BYTES + 1]
_CHOSEN = _DOWN[_ORDER], _ACROSS[_ORDER]
