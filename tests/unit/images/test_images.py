"""Finding and opening image files."""

import io
import json
import os
import struct
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from src.errors import DataError, ModelError
from src.image_models.batches import fast_pixels
from src.images import UnreadableImage, decode, find_images, open_image
from src.images.preprocess import Preprocessing
from src.images.processors import load_preprocessing
from tests import tiny_models

ROOT = Path(__file__).parents[3]


def save(path: Path, colour="red", size=(8, 6), **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)
    return path


def test_finds_every_kind_in_any_letter_case_and_passes_over_dot_names(tmp_path):
    wanted = ["a.PNG", "b.jpg", "c/d.JPEG", "c/e.webp", "f.bmp", "g.gif", "h.tif", "i.TIFF"]
    for name in wanted:
        save(tmp_path / name)
    for name in [".hidden.png", ".folder/x.png"]:
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image", encoding="utf-8")
    (tmp_path / "folder.png").mkdir()
    assert find_images(tmp_path) == sorted(wanted)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_are_followed_but_not_in_circles(tmp_path, caplog):
    save(tmp_path / "images" / "a.png")
    save(tmp_path / "elsewhere" / "b.png")
    (tmp_path / "images" / "circle").symlink_to(tmp_path / "images")
    (tmp_path / "images" / "0").mkdir()
    (tmp_path / "images" / "0" / "again").symlink_to(tmp_path / "images" / "real")
    save(tmp_path / "images" / "real" / "c.png")
    for name in ("other", "twice"):
        (tmp_path / "images" / name).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "images" / "nowhere.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "images" / "itself.png").symlink_to("itself.png")
    for _ in range(2):
        assert find_images(tmp_path / "images") == ["a.png", "other/b.png", "real/c.png"]
    assert caplog.text.count("broken links (2): ") == 1
    assert "'itself.png', 'nowhere.png'" in caplog.text


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path):
    with pytest.raises(DataError, match="top_level_image_directory"):
        find_images(tmp_path / "gone")


def test_exif_orientation_turns_the_image_upright(tmp_path):
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30] = (255, 0, 0)  # left half red
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise: left becomes top
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95)
    image = open_image(tmp_path / "a.jpg")
    assert image.size == (40, 60)
    assert image.getpixel((20, 10))[0] > 200 and image.getpixel((20, 50))[0] < 50


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_become_white(tmp_path, mode):
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    if mode == "P":
        palette = Image.new("P", (4, 4), 0)
        palette.putpalette([255, 0, 0])
        palette.save(tmp_path / "a.png", transparency=0)
    else:
        image.convert(mode).save(tmp_path / "a.png")
    assert open_image(tmp_path / "a.png").getpixel((1, 1)) == (255, 255, 255)


def test_sixteen_bits_and_fractions_keep_their_place_between_black_and_white(tmp_path):
    values = np.array([[0, 65535 // 2, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray(np.array([[0, 0.5, 1]], np.float32)).save(tmp_path / "a.tiff")
    for name in ("a.png", "a.tiff"):
        grey = np.asarray(open_image(tmp_path / name))[0, :, 0]
        assert grey.tolist() in ([0, 127, 255], [0, 128, 255])


def test_cmyk_and_grey_and_animations_become_rgb(tmp_path):
    Image.new("CMYK", (20, 20), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg", quality=95)
    red, green, blue = open_image(tmp_path / "cmyk.jpg").getpixel((5, 5))
    assert red > 200 and green < 60 and blue < 60
    frames = [Image.new("RGB", (5, 5), colour) for colour in ("lime", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert open_image(tmp_path / "a.gif").getpixel((2, 2)) == (0, 255, 0)


def test_jpegs_are_decoded_small_but_at_least_twice_what_is_wanted(tmp_path):
    save(tmp_path / "a.jpg", size=(4000, 3000))
    image = open_image(tmp_path / "a.jpg", min_side=224)
    assert image.size == (1000, 750)  # a quarter: an eighth would be 375 < 448
    assert open_image(tmp_path / "a.jpg").size == (4000, 3000)


def test_pictures_of_phones_with_a_second_one_inside_are_decoded_small_too(tmp_path):
    second = Image.new("RGB", (800, 600), "blue")
    save(tmp_path / "a.jpg", size=(1600, 1200), format="MPO", save_all=True, append_images=[second])
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "MPO"
    image = open_image(tmp_path / "a.jpg", min_side=75)
    assert image.size == (200, 150) and image.getpixel((9, 9))[0] > 240


def test_reduced_decoding_is_faithful(tmp_path):
    rows = np.linspace(0, 255, 1200)[:, None, None]
    columns = np.linspace(0, 255, 1600)[None, :, None]
    pixels = ((rows + columns * [1, 0.5, 0.2]) / 2).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95)
    full = open_image(tmp_path / "a.jpg").resize((128, 96), Image.Resampling.LANCZOS)
    small = open_image(tmp_path / "a.jpg", min_side=96).resize((128, 96), Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(full, int) - np.asarray(small, int)).max() <= 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"GIF89a nonsense", "."), (b"just text", "not an image")],
)
def test_what_is_no_image_is_refused_with_a_reason(tmp_path, content, reason):
    (tmp_path / "a.png").write_bytes(content)
    for source in (tmp_path / "a.png", content):
        with pytest.raises(UnreadableImage, match=reason):
            open_image(source)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "tiff", "bmp"])
def test_truncated_files_are_refused_wherever_they_end(suffix):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3)).astype(np.uint8)
    Image.fromarray(noise).save(buffer, {"jpg": "jpeg"}.get(suffix, suffix))
    content = buffer.getvalue()
    refused = 0
    for length in range(1, len(content) // 2, max(1, len(content) // 40)):
        try:
            open_image(content[:length])
        except UnreadableImage:
            refused += 1
    assert refused >= 15  # nothing but UnreadableImage came out, and it nearly always did


def test_oversized_images_are_refused_unless_they_can_be_read_small(tmp_path):
    save(tmp_path / "a.jpg", size=(4000, 3000))
    save(tmp_path / "a.png", size=(4000, 3000))
    limits = {"min_side": 100, "max_pixels": 1_000_000}
    assert open_image(tmp_path / "a.jpg", **limits).size == (500, 375)
    with pytest.raises(UnreadableImage, match="4000 x 3000"):
        open_image(tmp_path / "a.png", **limits)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("mode", "size", "suffix", "readable"),
    [("1", (14_000, 14_000), "png", True), ("I;16", (14_000, 14_000), "tif", True),
     ("RGBA", (9_000, 9_000), "png", True), ("RGBA", (14_000, 14_000), "png", False),
     ("RGB", (70_000, 3), "png", False), ("LA", (1, 60_000), "png", True)],
)  # fmt: skip
def test_large_images_take_less_than_500_mb(tmp_path, mode, size, suffix, readable):
    file = tmp_path / f"large.{suffix}"
    make = "import sys; from PIL import Image; Image.new(sys.argv[1], {}).save(sys.argv[2])"
    subprocess.run([sys.executable, "-c", make.format(size), mode, file], check=True)
    look = (
        "import sys; from pathlib import Path; from src.images import *\n"
        "try: print(*open_image(Path(sys.argv[1]), min_side=224).size)\n"
        "except UnreadableImage as error: print(error)\n"
        # Not ru_maxrss, in which a child process begins with its parent's.
        "print(int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) // 1024)"
    )
    command = [sys.executable, "-c", look, file]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    said, peak = done.stdout.splitlines()
    assert said.startswith("too large") is not readable
    assert int(peak) < 500


def test_parts_of_a_large_image_are_put_together(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (72, 60, 4), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    for mode in ("RGBA", "RGB", "L", "P", "I;16"):
        file = io.BytesIO()
        whole = Image.fromarray(pixels).convert("L" if mode == "I;16" else mode)
        if mode == "I;16":
            whole = Image.fromarray(np.asarray(whole).astype(np.uint16) * 257)
        whole.save(file, "PNG", exif=exif)
        for limit, side in ((10**9, None), (0, None), (0, 7)):
            monkeypatch.setattr(decode, "_LARGE", limit)
            monkeypatch.setattr(decode, "_STRIP", 500)
            found = open_image(file.getvalue(), min_side=side)
            if limit:
                expected = found
            assert np.array_equal(found, expected.reduce(4 if side else 1))


def test_a_progressive_jpeg_counts_by_the_memory_that_its_decoder_takes(monkeypatch):
    monkeypatch.setattr(decode, "MAX_BYTES", 3 * 10**6)
    for progressive in (False, True):
        file = io.BytesIO()
        Image.new("RGB", (2000, 1000)).save(file, "JPEG", progressive=progressive)
        with nullcontext() if not progressive else pytest.raises(UnreadableImage, match="large"):
            assert open_image(file.getvalue(), min_side=60).size == (250, 125)


def test_content_does_not_choose_the_decoder(tmp_path):
    """An EPS would be handed to Ghostscript, which runs whatever program it holds."""
    (tmp_path / "a.jpg").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n{} loop\n"
        b"showpage\n%%EOF"
    )
    for kind in ("ICO", "ICNS", "AVIF", "DDS", "PPM"):
        Image.new("RGB", (64, 64)).save(tmp_path / f"{kind}.png", kind)
    for file in tmp_path.iterdir():
        with pytest.raises(UnreadableImage, match="not an image"):
            open_image(file)


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError, struct.error, MemoryError])
def test_whatever_a_decoder_raises_the_file_is_unreadable(monkeypatch, error):
    def fail(image):
        raise error

    content = io.BytesIO()
    Image.new("RGB", (9, 9)).save(content, "PNG")
    monkeypatch.setattr(PngImageFile, "load", fail)
    with pytest.raises(UnreadableImage, match=error.__name__.rpartition(".")[2]):
        open_image(content.getvalue())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_special_files_are_never_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "kernel.jpg").symlink_to("/proc/kmsg")  # regular, but endless
    for file, reason in (("pipe", "not a file"), ("kernel", "empty|cannot|not")):
        with pytest.raises((UnreadableImage, OSError), match=reason):
            open_image(tmp_path / f"{file}.jpg")


def test_pillow_and_libtiff_say_nothing_on_the_terminal(capfd):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (90, 90, 3)).astype(np.uint8)
    Image.fromarray(noise).save(buffer, "TIFF", compression="tiff_lzw")
    content = buffer.getvalue()
    with pytest.raises(UnreadableImage):
        open_image(content[:3000] + bytes(3000) + content[6000:])
    file = io.BytesIO()
    Image.new("RGB", (9, 9)).save(file, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0\1\0")
    program = "import sys; from src.images import open_image; open_image(sys.stdin.buffer.read())"
    run = subprocess.run([sys.executable, "-c", program], input=file.getvalue(), cwd=ROOT)
    assert run.returncode == 0
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("size", [(1, 30_000), (30_000, 1), (20, 4000)])
def test_thin_images_are_cropped_before_they_are_scaled_up(size):
    preprocessing = Preprocessing(224, (224, 224), Image.Resampling.BICUBIC, (1,) * 3, (0,) * 3)
    image = Image.new("RGB", size, "red")
    middle = (size[0] // 2, size[1] // 2)
    image.putpixel(middle, (0, 0, 255))
    resized, sizes = Image.Image.resize, []

    def watched(self, wanted, *arguments, **options):
        sizes.append(wanted)
        return resized(self, wanted, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image.Image, "resize", watched)
        pixels = preprocessing.pixels(image)
    assert pixels.shape == (224, 224, 3)
    assert sizes and max(max(size) for size in sizes) <= 16 * 224
    assert np.abs(fast_pixels(image, preprocessing).astype(int) - pixels).max() <= 3
    blue = pixels[..., 2] > 128
    assert blue.any() and abs(np.argwhere(blue).mean(0) - 112).max() <= 224 / min(size)


@pytest.mark.parametrize("bad", [{"resize": 10**6}, {"crop": (224, 10**6)}, {"resize": 0}])
def test_absurd_sizes_are_no_preprocessing(bad):
    description = Preprocessing(224, (224, 224), 3, (1,) * 3, (0,) * 3).to_json()
    with pytest.raises(ValueError, match="pixels"):
        Preprocessing.from_json(description | bad)


@pytest.mark.parametrize("key", ["size", "crop_size"])
def test_a_model_that_wants_absurd_images_is_refused(tmp_path, key):
    folder = tiny_models.vit(tmp_path / "vit")
    file = folder / "preprocessor_config.json"
    config = json.loads(file.read_text()) | {key: {"height": 10**6, "width": 10**6}}
    file.write_text(json.dumps(config | {"do_center_crop": True}))
    with pytest.raises(ModelError, match="1000000 pixels"):
        load_preprocessing(folder)
