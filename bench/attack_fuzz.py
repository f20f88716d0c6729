"""Damaged images of every documented format, opened and shrunk as the scripts do it.

    python -m bench.attack_fuzz [INPUTS] [SEED]

The seeds are pictures of every format and pixel type, and of formats that are not ours; they are
cut off, have bits, bytes and header fields changed, get the beginning or the end of another, or
stand twice in one file. Each input is opened, prepared for a model and hashed in a process that
an alarm ends. Prints how many inputs there were, how many could be read, those that ended in
anything but an image or UnreadableImage ("uncaught"), crashes, hangs, and the most memory that
one of them took.
"""

import io
import json
import mmap
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from bench import needs

SECONDS, AT_ONCE, MOST_MB = 20, 2000, 500
SIZES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\x10\0", b"\0\1\0\0")
FOREIGN = {
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n{} loop\nshowpage",
    "pdf": b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "text": b"no image at all\n",
    "zip": b"PK\x03\x04" + bytes(60),
}


def picture(side: tuple[int, int] = (29, 23)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    return Image.fromarray(pixels).resize(side, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.copy().save(stream, kind, **options)  # savers leave things in the image
    return stream.getvalue()


def seeds() -> list[bytes]:
    """Small files of all kinds; first those of the documented formats."""
    rgb = picture()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker" * 20
    more = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(45)]}
    made = [
        encoded(rgb.convert(mode), "JPEG", **options)
        for mode in ("RGB", "L", "CMYK")
        for options in ({}, {"progressive": True}, {"exif": exif, "quality": 30})
    ]
    made.append(encoded(rgb, "MPO", **more))
    alpha = rgb.convert("RGBA")
    alpha.putalpha(rgb.convert("L"))
    deep = rgb.convert("I").point(lambda value: value * 200).convert("I;16")
    for image in (rgb, alpha, deep, *map(rgb.convert, ("1", "L", "LA", "P"))):
        made.append(encoded(image, "PNG", exif=exif))
    made += [encoded(rgb.quantize(8), "PNG", transparency=3), encoded(rgb, "PNG", **more)]
    made += [encoded(rgb, "PNG", icc_profile=bytes(range(256)), dpi=(300, 300))]
    for options in ({}, {"lossless": True}, more, {"exif": exif, "quality": 5}):
        made.append(encoded(alpha, "WEBP", **options))
    made += [encoded(rgb.convert(mode), "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")]
    made += [encoded(rgb.convert("P"), "GIF", **options) for options in ({}, more)]
    made.append(encoded(rgb.quantize(9), "GIF", transparency=0, interlace=True))
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"):
        made.append(encoded(Image.new(mode, (19, 17)), "TIFF"))
    for compression in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg", "tiff_adobe_deflate"):
        made.append(encoded(rgb, "TIFF", compression=compression, exif=exif))
    made += [encoded(rgb.convert("1"), "TIFF", compression=f"group{n}") for n in (3, 4)]
    made.append(encoded(rgb, "TIFF", save_all=True, append_images=[picture((9, 9))]))
    for kind in ("AVIF", "DDS", "ICO", "ICNS", "JPEG2000", "PCX", "PPM", "SGI", "TGA", "BLP"):
        image = rgb.convert("P") if kind == "BLP" else rgb
        made.append(encoded(image, kind))
    return made + list(FOREIGN.values())


def mutated(chance: random.Random, files: list[bytes]) -> bytes:
    """One of the files, damaged in one to three ways."""
    content = bytearray(chance.choice(files))
    for _ in range(chance.choice((1, 1, 2, 3))):
        way, place = chance.randrange(9), chance.randrange(len(content) + 1)
        other = chance.choice(files)
        early = min(place, chance.randrange(64))  # where headers are
        if way == 0:
            del content[place:]
        elif way in (1, 2):
            for _ in range(chance.choice((1, 3, 30))):
                at = chance.randrange(len(content) or 1)
                content[at : at + 1] = bytes([chance.randrange(256)])
        elif way == 3 and content:
            at = chance.randrange(len(content))
            content[at] ^= 1 << chance.randrange(8)
        elif way == 4:
            content[:early] = other[:early]
        elif way == 5:
            content[early : early + 4] = chance.choice(SIZES)[:: chance.choice((1, -1))]
        elif way == 6:
            content = content[:place] + other[chance.randrange(len(other)) :]
        elif way == 7:
            content += other
        else:
            size = chance.randrange(1, 40)
            content[place:place] = content[place : place + size] * chance.randrange(1, 9)
    return bytes(content)


def bombs() -> Iterator[tuple[str, bytes]]:
    """Small files that say they are large, thin or deep."""
    for size in ((1, 30_000), (30_000, 1), (65_000, 65_000), (12_000, 12_000), (1, 1_000_000)):
        image = Image.new("1", (64, 64))
        for kind in ("PNG", "GIF", "BMP", "TIFF"):
            content = bytearray(encoded(image, kind))
            fields = {"PNG": (16, ">II"), "GIF": (6, "<HH"), "BMP": (18, "<ii")}
            if kind in fields:
                at, how = fields[kind]
                packed = struct.pack(how, *(min(n, 65_535 if how == "<HH" else n) for n in size))
                content[at : at + len(packed)] = packed
            yield f"{kind} that says {size}", bytes(content)
        if size[0] * size[1] <= 150_000_000:
            for kind, options in (("PNG", {}), ("TIFF", {"compression": "group4"}), ("GIF", {})):
                if kind != "GIF" or max(size) < 65_536:
                    yield f"{kind} of {size}", encoded(Image.new("1", size), kind, **options)


def attempt(content: bytes) -> bool:
    """What the scripts do with the content of a file; whether it is an image."""
    from src.images import UnreadableImage, open_image
    from src.images.perceptual_hash import perceptual_hash
    from src.images.preprocess import Preprocessing

    try:
        image = open_image(content, min_side=224)
    except UnreadableImage as error:
        if not str(error) or "\n" in str(error):
            raise ValueError(f"the reason is {str(error)!r}") from None
        return False
    scale = (1 / 255,) * 3
    for resize in (224, (224, 224)):
        pixels = Preprocessing(resize, (224, 224), 3, scale, scale).pixels(image)
        assert pixels.shape == (224, 224, 3)
    assert len(perceptual_hash(image)) == 32
    return True


def keep(content: bytes, name: str) -> None:
    """An input that fell, to try again."""
    (Path(tempfile.gettempdir()) / f"attack-fuzz-{name}").write_bytes(content)


def child(inputs: Iterator[tuple[int, bytes]], place: mmap.mmap, result: int) -> None:
    """Tries inputs one after the other; `place` always holds the number of the present one."""
    warnings.simplefilter("ignore")
    counts: Counter[str] = Counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number, content in inputs:
        place[:8] = struct.pack("<q", number)
        signal.alarm(SECONDS)  # ends the process, whatever a decoder is doing
        try:
            counts["read" if attempt(content) else "unreadable"] += 1
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            counts[
                f"uncaught {type(error).__name__} {Path(where.filename).name}:{where.lineno}"
            ] += 1
            keep(content, f"{os.getpid()}-{number}")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if peak - before > 1024 * MOST_MB:
            counts[f"more than {MOST_MB} MB"] += 1
            keep(content, f"memory-{number}")
            before = peak
        counts["MB"] = max(counts["MB"], (peak - before) // 1024)
    signal.alarm(0)
    os.write(result, json.dumps(counts).encode())


def forked(inputs: Iterator[tuple[int, bytes]], counts: Counter[str]) -> int:
    """Tries inputs in another process; the number of the last one."""
    place = mmap.mmap(-1, 8)
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            child(inputs, place, writing)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        text = stream.read()
    _, status = os.waitpid(pid, 0)
    last = int.from_bytes(place[:8], "little", signed=True)
    if os.WIFSIGNALED(status):
        hung = os.WTERMSIG(status) == signal.SIGALRM
        counts["hung" if hung else "crashed"] += 1
        print(f"input {last}: signal {os.WTERMSIG(status)}", file=sys.stderr)
    found = Counter(json.loads(text or "{}"))
    largest = max(counts["MB"], found["MB"])
    counts += found
    counts["MB"] = largest
    return last


def fuzz(inputs: int, seed: int) -> dict[str, object]:
    counts: Counter[str] = Counter()
    files = seeds()
    for number, (_, content) in enumerate(bombs()):
        forked(iter([(number, content)]), counts)
    print(dict(counts), file=sys.stderr)
    bombs_tried, done = number + 1, 0
    while done < inputs:
        several = range(done, min(inputs, done + AT_ONCE))
        last = forked(((n, mutated(random.Random(f"{seed} {n}"), files)) for n in several), counts)
        done = last + 1
        if done % (AT_ONCE * 5) == 0:
            print(done, dict(counts), file=sys.stderr)
    uncaught = {name: n for name, n in counts.items() if name.startswith("uncaught")}
    return {
        "inputs": inputs + bombs_tried,
        "seeds": len(files),
        "read": counts["read"],
        "unreadable": counts["unreadable"],
        "uncaught": uncaught,
        "crashed": counts["crashed"],
        "hung": counts["hung"],
        f"more_than_{MOST_MB}_mb": counts[f"more than {MOST_MB} MB"],
        "most_mb": counts["MB"],
    }


def main() -> None:
    needs.linux()
    inputs, seed = (*map(int, sys.argv[1:]), *(100_000, 0)[len(sys.argv) - 1 :])
    start = time.monotonic()
    result = fuzz(inputs, seed)
    print(
        json.dumps({"bench": "attack_fuzz", **result, "seconds": round(time.monotonic() - start)})
    )


if __name__ == "__main__":
    main()
