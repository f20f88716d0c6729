"""The tagging server's decisions, without a network."""

import io

import pytest
from PIL import Image

from src.images import UnreadableImage
from src.tagging.server.app import MAX_PIXELS, TooLarge, decode


def encoded(size, kind="PNG", mode="1"):
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind)
    return buffer.getvalue()


def test_an_image_is_decoded_from_its_bytes():
    assert decode(encoded((30, 20), "JPEG", "RGB"), None).size == (30, 20)


def test_too_many_pixels_are_refused_before_they_are_decoded():
    side = int(MAX_PIXELS**0.5) + 1
    with pytest.raises(TooLarge, match="more than 64 million"):
        decode(encoded((side, side)), 32)


@pytest.mark.parametrize("content", [b"", b"text", b"../../etc/passwd", encoded((9, 9))[:30]])
def test_what_is_no_image(content):
    with pytest.raises(UnreadableImage):
        decode(content, None)
