"""A folder of good, odd and bad files through every script.

    python -m bench.attack_folder [SEED] [SCRIPT ...]

Beside 90 plain pictures there are odd ones that must be treated like them (pixel types, thin and
huge images, names that a shell, a spreadsheet, a web page or another system would stumble over,
links) and bad ones that must be named (cut off, foreign formats, bombs, programs, files without
end). For each script: those that were not processed, those that were not named, tracebacks, and
the memory that it took at its peak above the same run on the plain pictures alone.
"""

import csv
import io
import json
import os
import random
import re
import socket
import struct
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

from PIL import Image

from bench import needs
from bench.attack_fuzz import FOREIGN, encoded, picture, seeds
from bench.attack_tools import (
    CLASSIFIER,
    ROOT,
    TAGS,
    TASTE,
    Place,
    call,
    import_all,
    make_place,
    run,
)

MOST_MB = 500
NAMES = (
    "with space", "back\\slash", "new\nline", "tab\there", "=cmd|' calc'!A0", "+1+1", "@sum", "-rf",
    "--help", "%s%n", "$(reboot)", "`id`", "a;b", "a,b", 'quo"te', "apo'strophe", "<b>", "&amp;",
    "<script>alert(1)</script>".replace("/", "_"), "e\u0301", "\u00e9", "\u202egpj", "\U0001f600",
    "\u65e5\u672c", "CON", "nul", "trailing ", "trailing.", "x" * 200, "a:b", "a*b?", "[1]", "{x}",
    "~", "#hash", "\x07bell", "\x1b[31mred", "\u2028line", "\ufeffbom", "1", "keep", "None", "a|b",
)  # fmt: skip
TYPES = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "GIF": "gif",
         "TIFF": "tif"}  # fmt: skip


def named(folder: Path, kind: str, number: int, name: str) -> Path:
    """A path whose name can be found again in any text."""
    return folder / f"{kind}{number:03d}q{name}"


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(
        ">I", zlib.crc32(kind + content)
    )  # fmt: skip


def png_with(kind: bytes, content: bytes) -> bytes:
    whole = encoded(picture(), "PNG")
    return whole[:33] + chunk(kind, content) + whole[33:]


def bad_contents(chance: random.Random) -> list[tuple[str, bytes]]:
    """Name endings with contents that are no image."""
    made = [("jpg", b""), ("png", b"\0" * 4096), ("gif", bytes(chance.randbytes(3000)))]
    known = [file for file in seeds() if file not in FOREIGN.values()]
    for file in known:
        kind = Image.open(io.BytesIO(file)).format or ""
        if kind in TYPES and kind != "MPO":  # cut off where there is not half of the pixels
            made += [(TYPES[kind], file[:n]) for n in (9, len(file) // 5)]
        elif kind not in TYPES:
            made += [("jpg", file), ("png", file), ("tif", file)]
    for content in FOREIGN.values():
        made += [("jpg", content), ("png", content), ("tiff", content)]
    one = encoded(Image.new("1", (64, 64)), "PNG")
    for side in (30_000, 2**31 - 1):
        made.append(("png", one[:16] + struct.pack(">II", side, side) + one[24:]))
    jpeg = bytearray(encoded(picture(), "JPEG"))
    at = jpeg.find(b"\xff\xc0") + 5
    jpeg[at : at + 4] = b"\xff\xdc\xff\xdc"
    made.append(("bmp", b"BM" + bytes(12) + struct.pack("<Iii", 40, 60_000, 60_000) + bytes(24)))
    bomb = zlib.compress(bytes(1 << 28), 9)
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, 0, 22)
    huge = encoded(Image.new("1", (13_000, 13_000)), "PNG")
    made += [("png", icon + huge), ("jpg", icon + huge)]
    made.append(("png", b"icns" + struct.pack(">I", len(huge) + 16) + b"ic07" +
                 struct.pack(">I", len(huge) + 8) + huge))  # fmt: skip
    made += [("png", png_with(kind, b"x\0\0" + bomb)) for kind in (b"iCCP", b"zTXt")]
    return made


def odd_contents() -> list[tuple[str, bytes]]:
    """Name endings with contents that are images all the same."""
    made = []
    for file in seeds():
        if file not in FOREIGN.values():
            kind = Image.open(io.BytesIO(file)).format or ""
            made += [(TYPES[kind], file)] if kind in TYPES else []
    one = encoded(Image.new("1", (64, 64)), "PNG")  # with far more pixels than it says, and no end
    made.append(("png", one[:33] + chunk(b"IDAT", zlib.compress(bytes(1 << 28), 9)[:9000])))
    made += [("jpg", encoded(picture(), "PNG")), ("PNG", encoded(picture(), "PNG"))]  # wrong ending
    for size in ((1, 3000), (1, 30_000), (30_000, 1), (3000, 1), (1, 1), (2, 1), (7000, 3)):
        made += [("png", encoded(Image.new("RGB", size, "red"), "PNG"))]
        made += [("jpg", encoded(Image.new("RGB", size, "red"), "JPEG"))]
    for size, mode in (((9000, 8000), "L"), ((8000, 8000), "RGB"), ((9000, 9000), "1")):
        made += [("png", encoded(Image.new(mode, size), "PNG"))]
    made += [("jpg", encoded(Image.new("L", (16_000, 15_000), 99), "JPEG"))]
    made += [("gif", encoded(Image.new("L", (8000, 8000)), "GIF"))]
    made += [("tif", encoded(Image.new("1", (9000, 9000)), "TIFF", compression="group4"))]
    return made


def write_folder(images: Path, seed: int) -> None:
    """Odd and bad files among the plain ones of a place; all of them stand in scores.csv."""
    chance, folders = (
        random.Random(seed),
        sorted(path for path in images.iterdir() if path.is_dir()),
    )
    rows = []

    def put(kind: str, number: int, name: str, content: bytes) -> None:
        folder = folders[number % len(folders)]
        path = named(folder, kind, number, name)
        path.write_bytes(content)
        path.with_name(f"{path.name}.txt").write_text(f"{folder.name}\nstripes\n", "utf-8")
        rows.append([path.relative_to(images).as_posix(), f"{chance.uniform(1, 9):.2f}"])

    odd = odd_contents()
    for number, (ending, content) in enumerate(odd):
        put("odd", number, f".{ending}", content)
    for number, name in enumerate(NAMES, start=len(odd)):
        side = (40 + number, 40)  # each another picture
        put("odd", number, f"{name}.jpg", encoded(picture(side), "JPEG"))
    for number, (ending, content) in enumerate(bad_contents(chance)):
        put("bad", number, f".{ending}", content)
    links = {"nowhere": "nothing", "itself": "bad902qitself.jpg", "proc": "/proc/kmsg"}
    for number, (name, target) in enumerate(links.items(), start=901):
        named(folders[0], "bad", number, f"{name}.jpg").symlink_to(target)
    with named(folders[0], "bad", 950, ".jpg").open("wb") as stream:
        stream.truncate(3 << 30)  # takes no room on the disk
    rows += [[f"{folders[0].name}/{name}", "5"] for name in ("bad903qproc.jpg", "bad950q.jpg")]
    with (images / "scores.csv").open("a", newline="", encoding="utf-8") as table:
        csv.writer(table, lineterminator="\n").writerows(rows)
    bytes_name = os.fsencode(named(folders[0], "bad", 951, "")) + b"\xff\xfe.jpg"
    Path(os.fsdecode(bytes_name)).write_bytes(encoded(picture(), "JPEG"))
    for number, device in enumerate(("/dev/zero", "/dev/random", "/dev/stdin"), start=990):
        named(folders[0], "special", number, ".jpg").symlink_to(device)
    os.mkfifo(named(folders[0], "special", 980, ".jpg"))
    (folders[0] / "special981.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(folders[0])
        server.bind("special982.png")
    (folders[0] / "circle").symlink_to(".")
    (folders[1] / "up").symlink_to("..")


SCRIPTS: dict[str, tuple[str, ...]] = {
    "prepare_tags": ("--tags_to_write=seen", "--existing=append", "--dry_run=False"),
    "find_duplicates": (),
    "score_images": ("--load_model=taste", "--device=cpu", "--output=out"),
    "score_images copy": (
        "--load_model=taste",
        "--device=cpu",
        "--output=out",
        "--action=copy",
        "--into=into",
        "--dry_run=False",
    ),
    "score_images xmp": (
        "--load_model=taste",
        "--device=cpu",
        "--output=out",
        "--action=xmp",
        "--dry_run=False",
        "--xmp_naming=image.jpg.xmp",
    ),
    "score_images touch": (
        "--load_model=taste",
        "--device=cpu",
        "--output=out",
        "--action=touch",
        "--dry_run=False",
    ),
    "classify_images": (
        "--load_model=classifier",
        "--device=cpu",
        "--table=classes.csv",
        "--action=link",
        "--into=sorted",
        "--dry_run=False",
    ),
    "tag_images": (
        "--load_model=tagger",
        "--device=cpu",
        "--existing=overwrite",
        "--dry_run=False",
        "--probabilities=p.csv",
    ),
    "aesthetic_predictor_training": (*TASTE, "--save_model=new"),
    "aesthetic_predictor_training backbone": (
        "--feature_extractor=backbone",
        *TASTE[1:],
        "--head=ridge",
        "--save_model=new",
    ),
    "custom_classifier_training": (*CLASSIFIER, "--save_model=new"),
    "custom_classifier_training tags": (*TAGS, "--save_model=new"),
    "aesthetic_score_from_model": ("--load_model=taste", "--device=cpu"),
    "prune_features": (),
}
TABLES = {  # where each image must be found that was processed
    "score_images": "out/scores.csv",
    "classify_images": "classes.csv",
    "tag_images": "p.csv",
    "aesthetic_predictor_training": "new/predictions.csv",
    "custom_classifier_training": "new/predictions.csv",
    "aesthetic_score_from_model": "images/score.json",
}


def tokens(text: str, kind: str) -> set[str]:
    return set(re.findall(rf"{kind}\d\d\d", text))


def texts_in(root: Path, *names: str) -> str:
    """Tables and lists that a script wrote, inside the image folder only that of the unreadable."""
    files = [path for name in names or ("*.csv", "*.txt", "*.json") for path in root.rglob(name)]
    own = [
        path
        for path in files
        if path.is_file()
        and (path.name == "unreadable.csv" or "images" not in path.parts[len(root.parts) :])
    ]
    return "\n".join(path.read_text("utf-8", "replace") for path in own)


def attack(name: str, plain: Place, full: Place, room: Path) -> dict[str, Any]:
    """One script on the plain pictures and on all of them."""
    script = name.partition(" ")[0]
    before = run(script, *(now := plain.copy(room / "now")).words(*SCRIPTS[name]), cwd=now.root)
    now = full.copy(room / "now")
    there = texts_in(now.root)
    names = [path.name for path in now.images.glob("*/*") if not path.name.endswith(".txt")]
    odd, bad = (tokens("\n".join(names), kind) for kind in ("odd", "bad"))
    ended = run(script, *now.words(*SCRIPTS[name]), cwd=now.root)
    found: dict[str, Any] = {
        "code": ended.code,
        "plain_code": before.code,
        "seconds": round(ended.seconds, 1),
    }
    found |= {"mb_more": ended.mb - before.mb}
    said = ended.output + ended.errors + texts_in(now.root).removeprefix(there)
    if script in TABLES and "--label_source=tags" not in SCRIPTS[name]:
        table = now.root / TABLES[script]
        done = tokens(table.read_text("utf-8") if table.is_file() else "", "odd")
    elif script == "prepare_tags":
        tags = [path for path in now.images.glob("*/*.txt") if "seen" in path.read_text("utf-8")]
        done = tokens("\n".join(path.name for path in tags), "odd")
    else:
        done = odd - tokens(ended.errors + texts_in(now.root, "unreadable.csv"), "odd")
    if script == "custom_classifier_training":  # the same picture in folders of two classes
        done |= tokens(ended.errors, "odd")
    if script == "score_images" and "copy" in name:
        done &= tokens("\n".join(p.name for p in (now.root / "into").rglob("*.*")), "odd")
    found["odd"], found["bad"] = len(odd), len(bad)
    found["odd_not_processed"] = sorted(odd - done)
    if script != "prune_features":
        found["bad_not_named"] = sorted(bad - tokens(said, "bad"))
    found["special_named"] = sorted(tokens(said, "special"))
    found["fault"] = ended.fault or ("" if not ended.code else ended.errors[-500:])
    noise = [line for line in ended.errors.splitlines() if "Warning" in line or ".py:" in line]
    found["noise"] = noise[:3]
    return found


def main() -> None:
    needs.linux()
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    import_all()
    start, results, problems = time.monotonic(), {}, 0
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        plain = make_place(room / "plain", 90)
        (plain.images / ".features.sqlite").unlink()
        full = plain.copy(room / "full")
        call(write_folder, full.images, seed)
        for script in sys.argv[2:] or SCRIPTS:
            results[script] = found = attack(script, plain, full, room)
            bad = found["fault"] or found["code"] or found["odd_not_processed"] or found["noise"]
            problems += bool(bad or found.get("bad_not_named") or found["mb_more"] > MOST_MB)
            for key in ("odd_not_processed", "bad_not_named"):
                found[key] = [len(found.get(key, ())), *found.get(key, ())[:9]]
            print(script, found, file=sys.stderr)
    kept = ("code", "odd", "bad", "mb_more", "seconds")
    short = {script: {key: found[key] for key in kept} for script, found in results.items()}
    seconds = round(time.monotonic() - start)
    text = {"bench": "attack_folder", "seed": seed, "problems": problems, "scripts": short}
    print(json.dumps({**text, "seconds": seconds}))


if __name__ == "__main__":
    assert ROOT
    main()
