"""Hand-made features of any image: finite, of fixed length, blind to what must not matter."""

import numpy as np
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image

from src.features import builtin
from tests.feature_names import names

SIDES = st.one_of(st.integers(1, 40), st.integers(1, 300), st.just(6000))


@st.composite
def images(draw: st.DrawFn) -> Image.Image:
    """Noise, flat colour, stripes, gradients and blots, of any size, often degenerate."""
    width, height = draw(SIDES), draw(SIDES)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low, high = sorted(draw(st.tuples(st.integers(0, 255), st.integers(0, 255))))
    shape = {
        "noise": (height, width, 3),
        "grey noise": (height, width, 1),
        "flat": (1, 1, 3),
        "stripes": (1, width, 3),
        "rows": (height, 1, 1),
    }[draw(st.sampled_from(["noise", "grey noise", "flat", "stripes", "rows"]))]
    pixels = rng.integers(low, high, shape, dtype=np.uint8, endpoint=True)
    return Image.fromarray(np.broadcast_to(pixels, (height, width, 3)).copy())


@examples(max_examples=25)
@given(images())
def test_finite_and_repeatable(image):
    values = builtin.image_features(image)
    assert values.shape == (builtin.SIZE,)
    assert np.isfinite(values).all()
    assert np.abs(values).max() < 100  # nothing that would swamp a linear head
    assert np.array_equal(values, builtin.image_features(image))


@examples(max_examples=15)
@given(images())
def test_mirroring_keeps_colour_and_tone(image):
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    before, after = builtin.image_features(image), builtin.image_features(mirrored)
    kept = ("colour:", "chroma:", "colourfulness", "lightness:", "clipped", "width to height")
    for name, one, other in zip(names(), before, after, strict=True):
        if name.startswith(kept):
            assert abs(one - other) < 0.02, name
