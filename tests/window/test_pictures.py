"""Decoding ahead: sizes, orientation, colours, changed and missing files, memory."""

import os
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from src.window.layout import Frame, Rect
from src.window.pictures import Pictures, Unavailable, to_srgb

FRAME = Frame(Rect(0, 0, 820, 400), 0, 20, 0)


@pytest.fixture
def pictures(tmp_path):
    opened = Pictures(tmp_path)
    yield opened
    opened.close()


def save(folder, name, size, colour="red", **options):
    Image.new("RGB", size, colour).save(folder / name, **options)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_images_have_the_sizes_of_their_places(tmp_path, pictures, suffix):
    save(tmp_path, f"a.{suffix}", (3000, 2000))
    save(tmp_path, f"b.{suffix}", (2000, 3000), "blue")
    prepared = pictures.prepare((f"a.{suffix}", f"b.{suffix}"), FRAME).result()
    assert prepared.full == ((3000, 2000), (2000, 3000))
    assert [image.size for image in prepared.images] == [place.size for place in prepared.layout]
    assert prepared.images[0].size == (400, 267)  # (820 - 20) / 5000 is larger than 400 / 3000
    red, blue = (np.asarray(image)[100, 100] for image in prepared.images)
    assert np.abs(red.astype(int) - [255, 0, 0]).max() < 4
    assert np.abs(blue.astype(int) - [0, 0, 255]).max() < 4


def test_a_turned_photograph_is_upright(tmp_path, pictures):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    save(tmp_path, "a.jpg", (1200, 800), exif=exif)
    save(tmp_path, "b.jpg", (800, 1200))
    prepared = pictures.prepare(("a.jpg", "b.jpg"), FRAME).result()
    assert prepared.full == ((800, 1200), (800, 1200))
    assert prepared.layout[0].size == prepared.layout[1].size == (267, 400)


def test_a_large_jpeg_is_not_decoded_in_full_until_it_is_zoomed(tmp_path, pictures):
    save(tmp_path, "a.jpg", (4000, 3000))
    save(tmp_path, "b.jpg", (4000, 3000))
    pictures.prepare(("a.jpg", "b.jpg"), FRAME).result()
    assert pictures._cache["a.jpg"].image.size == (500, 375)  # an eighth; shown are 400
    assert pictures.full("a.jpg").result().image.size == (4000, 3000)


def test_a_pair_is_made_ready_once(tmp_path, pictures):
    save(tmp_path, "a.png", (60, 40))
    save(tmp_path, "b.png", (60, 40))
    first = pictures.prepare(("a.png", "b.png"), FRAME)
    first.result()
    assert pictures.prepare(("a.png", "b.png"), FRAME) is first


def test_a_replaced_file_is_read_again(tmp_path, pictures):
    save(tmp_path, "a.png", (60, 40))
    save(tmp_path, "b.png", (60, 40))
    pictures.prepare(("a.png", "b.png"), FRAME).result()
    save(tmp_path, "b.png", (60, 40), "lime")
    os.utime(tmp_path / "b.png", ns=(1, 1))
    again = pictures.prepare(("a.png", "b.png"), FRAME).result()
    assert again.images[1].getpixel((9, 9)) == (0, 255, 0)


def test_missing_and_damaged_files_are_named(tmp_path, pictures):
    save(tmp_path, "a.png", (60, 40))
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(Unavailable) as gone:
        pictures.prepare(("a.png", "gone.png"), FRAME).result()
    assert (gone.value.path, gone.value.reason) == ("gone.png", "is no longer there")
    with pytest.raises(Unavailable) as broken:
        pictures.prepare(("broken.jpg", "a.png"), FRAME).result()
    assert broken.value.path == "broken.jpg"
    assert "cannot be read" in broken.value.reason


def test_a_file_that_comes_back_is_shown(tmp_path, pictures):
    save(tmp_path, "a.png", (60, 40))
    with pytest.raises(Unavailable):
        pictures.prepare(("a.png", "b.png"), FRAME).result()
    save(tmp_path, "b.png", (60, 40))
    assert pictures.prepare(("a.png", "b.png"), FRAME).result().full[1] == (60, 40)


def test_old_pictures_make_room(tmp_path):
    names = [f"{number}.png" for number in range(6)]
    for name in names:
        save(tmp_path, name, (100, 100))
    pictures = Pictures(tmp_path, budget=3 * 100 * 100 * 3)
    for left, right in zip(names[::2], names[1::2], strict=True):
        pictures.prepare((left, right), FRAME).result()
    pictures.close()
    assert list(pictures._cache) == names[3:]


def linear_light_profile() -> bytes:
    """An ICC profile (version 2) with the primaries of sRGB, adapted to D50, and a gamma of 1."""

    def xyz(*values):
        return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in values))

    text = b"linear\0"
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, 256) + bytes(2)
    description = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {
        b"desc": description + bytes(-len(description) % 4),
        b"cprt": b"text" + bytes(4) + b"none\0\0\0\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.43607, 0.22249, 0.01392),
        b"gXYZ": xyz(0.38515, 0.71687, 0.09708),
        b"bXYZ": xyz(0.14307, 0.06061, 0.71410),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    table, body, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    kinds, d50 = (b"mntr", b"RGB ", b"XYZ ", bytes(12), b"acsp"), (63190, 65536, 54061)
    first = offset + len(body), bytes(4), 0x02100000
    header = struct.pack(">I4sI4s4s4s12s4s28x3i48x", *first, *kinds, *d50)
    return header + struct.pack(">I", len(tags)) + table + body


def test_embedded_profiles_are_brought_to_srgb():
    image = Image.new("RGB", (4, 4), (100, 150, 200))
    image.info["icc_profile"] = linear_light_profile()
    light = np.array([100, 150, 200]) / 255
    expected = 255 * (1.055 * light ** (1 / 2.4) - 0.055)  # IEC 61966-2-1
    assert np.asarray(to_srgb(image))[0, 0] == pytest.approx(expected, abs=1.5)


@pytest.mark.parametrize("profile", [None, b"damaged", "sRGB"])
def test_images_that_are_srgb_already_stay_as_they_are(profile):
    image = Image.new("RGB", (4, 4), (100, 150, 200))
    if profile == "sRGB":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if profile is not None:
        image.info["icc_profile"] = profile
    assert to_srgb(image) is image
