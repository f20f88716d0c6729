"""Hostile and damaged undo files: nothing outside the folders that they name may change.

    python -m bench.attack_undo [FILES] [SEED]

Each is written for a folder of its own with images, sidecars and links, beside a folder that it
must not touch, and undone by score_images. First files that somebody thought of (paths with `..`,
absolute ones, through links, onto themselves, to programs and settings, of wrong types, nested,
endless), then valid ones with some of their values replaced. Prints how many were tried, how many
were refused in one line, and those after which anything outside was other than before, or an
image inside was gone.
"""

import base64
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from bench import needs
from bench.attack_tools import chance_of, differences, import_all, run, snapshot

Line = dict[str, Any]
SECRET = b"kept from you"
NASTY: list[Any] = [
    *("", ".", "..", "../outside/a.jpg", "/", "~/.bashrc", "a.jpg/../../outside/a.jpg", "\0.jpg"),
    *("out/a.jpg", "out/notes.txt", "link.jpg", "own.jpg", "a.jpg", "A.JPG", "./a.jpg", "b/b.jpg"),
    *("a" * 5000 + ".jpg", "\ud800.jpg", "con.txt", "a.jpg\n", "=cmd.jpg", "b\\..\\..\\x.jpg"),
    *(
        None,
        True,
        0,
        -1,
        1.5,
        10**400,
        1e308,
        [],
        {},
        ["a.jpg"],
        {"path": "a.jpg"},
        2**63,
        -(2**63),
    ),
]


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def prepare(root: Path) -> tuple[Path, Path]:
    """The folder of the images and the one outside, made anew."""
    if root.exists():
        shutil.rmtree(root)
    inside, outside = root / "images", root / "outside"
    for folder in (inside / "b", root / "into" / "b", outside / "b"):
        folder.mkdir(parents=True)
    for name in ("a.jpg", "b/b.jpg", "c.png", "a.jpg.txt", "notes.txt", "script.py", ".bashrc"):
        for folder in (inside, outside, root / "into"):
            (folder / name).write_bytes(f"{folder.name} {name}".encode())
    for folder in (inside, root / "into"):  # the same content here and outside, and links out
        (folder / "same.jpg").write_bytes(SECRET)
        (folder / "out").symlink_to(outside)
        (folder / "link.jpg").symlink_to(outside / "a.jpg")
        (folder / "own.jpg").symlink_to("own.jpg")
    for name in ("same.jpg", "secret.txt", "b/same.jpg"):
        (outside / name).write_bytes(SECRET)
    os.link(outside / "same.jpg", inside / "hard.jpg")
    return inside, outside


def header(inside: Path, **more: Any) -> Line:
    into = str(inside.parent / "into")
    first = {"format": "image-taste undo file", "version": 2, "made": "2026-01-01 00:00:00"}
    return first | {"directory": str(inside), "into": into, "new_folders": []} | more


def thought_of(inside: Path, outside: Path) -> Iterator[tuple[str, list[Any]]]:
    """Files that aim at something outside, or at what cannot be brought back."""
    first, secret = header(inside), encoded(SECRET)
    away = f"../{outside.name}"
    for path in (
        f"{away}/same.jpg",
        str(outside / "same.jpg"),
        "out/same.jpg",
        "b/../../outside/b",
    ):
        for kind in ("copy", "link", "move"):
            yield f"{kind} {path}", [first, {"kind": kind, "path": "same.jpg", "to": path}]
            yield f"{kind} from {path}", [first, {"kind": kind, "path": path, "to": "a.jpg"}]
            yield f"{kind} {path} to itself", [first, {"kind": kind, "path": path, "to": path}]
        yield (
            f"touch {path}",
            [first, {"kind": "touch", "path": path, "before_ns": 1, "after_ns": 2}],
        )
    own = {"directory": str(inside), "into": str(inside)}
    for path in ("a.jpg", "./a.jpg", "b/../a.jpg", "hard.jpg", "same.jpg", "link.jpg", "own.jpg"):
        for kind in ("copy", "link", "move"):
            for to in ("a.jpg", "same.jpg", "hard.jpg", "link.jpg", path):
                yield f"{kind} {path} {to}", [first | own, {"kind": kind, "path": path, "to": to}]
    for path in (f"{away}/secret.txt", str(outside / "secret.txt"), "out/secret.txt", "script.py",
                 ".bashrc", "out/.bashrc", "a.jpg", "notes.txt/x.txt", "new/mine.txt"):  # fmt: skip
        for before in (None, encoded(b"echo attacked")):
            for after in (secret, encoded(b"inside a.jpg"), encoded(b"inside .bashrc"), ""):
                yield f"write {path}", [
                    first, {"kind": "write", "path": path, "before": before, "after": after}
                ]  # fmt: skip
    for folder in ("/", "/etc", "relative", "..", str(inside / ".." / "outside"), "~", "", "\0"):
        change = {"kind": "copy", "path": "outside/same.jpg", "to": "outside/b/same.jpg"}
        yield f"directory {folder}", [first | {"directory": folder}, change]
        yield f"into {folder}", [first | {"into": folder}, change]
        yield f"new folder {folder}", [first | {"new_folders": [folder]}]
    yield "an empty folder outside", [first | {"new_folders": [str(outside / "empty")]}]
    yield "nested", [first, [[[[[]]]]]]
    yield "too new", [first | {"version": 3}]
    yield "twice the first line", [first, first]
    old = {"format": "image-taste undo file", "directory": str(inside)}
    for to in (
        str(outside / "same.jpg"),
        f"{away}/same.jpg",
        "out/same.jpg",
        str(inside / "a.jpg"),
    ):
        if to != str(outside / "same.jpg"):  # the first version named its folders so
            yield f"old {to}", [old | {"changes": [{"kind": "copy", "path": "same.jpg", "to": to}]}]
        yield f"old lines {to}", [{"action": "copy", "from": str(inside / "same.jpg"), "to": to}]
        yield f"old lines from {to}", [{"action": "move", "from": to, "to": str(inside / "a.jpg")}]
    for path in (f"{away}/secret.txt", str(outside / "secret.txt"), "out/secret.txt"):
        texts = {"before": None, "after": [SECRET.decode()]}
        for commas in (True, False):
            journal = {"kind": "tag journal", "directory": str(inside), "files": {path: texts}}
            yield f"old tags {path}", [journal | {"style": {"commas": commas}}]


def mutated(chance: Random, inside: Path) -> list[Any]:
    """A valid file with up to three of its values replaced by nasty ones."""
    secret = encoded(SECRET)
    lines: list[Line] = [
        header(inside),
        {"kind": "move", "path": "x.jpg", "to": "a.jpg", "size": None, "mtime_ns": None},
        {"kind": "copy", "path": "same.jpg", "to": "same.jpg"},
        {"kind": "link", "path": "a.jpg", "to": "link.jpg"},
        {"kind": "touch", "path": "b/b.jpg", "before_ns": 10**18, "after_ns": 10**18},
        {"kind": "write", "path": "notes.txt", "before": None, "after": secret, "before_ns": 5},
    ]
    for _ in range(chance.randrange(1, 4)):
        line = chance.choice(lines)
        key = chance.choice([*line, "kind", "extra"])
        line[key] = chance.choice([*NASTY, "move", "copy", "link", "write", "touch"])
    return lines


def write(file: Path, lines: list[Any], chance: Random) -> None:
    content = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    if chance.random() < 0.2:
        content = content[: chance.randrange(len(content))]
    if chance.random() < 0.1:
        content = content.replace(b"{", b"[" * chance.choice((1, 100_000)), 1)
    file.write_bytes(content)


def main() -> None:
    needs.linux()
    files, seed = (*map(int, sys.argv[1:]), *(600, 0)[len(sys.argv) - 1 :])
    import_all()
    counts: Counter[str] = Counter()
    problems, start = [], time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        inside, outside = prepare(base / "place")
        undo_file = base / "place" / "into" / "undo.jsonl"
        tried = list(thought_of(inside, outside))
        for number in range(max(files, len(tried))):
            prepare(base / "place")
            (outside / "empty").mkdir()
            chance = chance_of(seed, number)
            if number < len(tried):
                what, lines = tried[number]
                text = "".join(f"{json.dumps(line)}\n" for line in lines)
                undo_file.write_text(text, "utf-8")
            else:
                what = f"mutated {number}"
                write(base / "undo.jsonl", mutated(chance, inside), chance)
            before, images = snapshot(outside), contents(base / "place")
            ended = run("score_images", f"--undo={undo_file}", cwd=base)
            counts["refused" if ended.code else "undone"] += 1
            wrong = [ended.fault] if ended.fault else []
            if ended.code and not ended.errors.strip():
                wrong.append("no word")
            if other := differences(before, snapshot(outside)):
                if " out/" in what:  # a link inside counts as inside: docs/reliability.md
                    counts["through_links"] += 1
                else:
                    wrong.append(f"changed outside: {other}")
            if images - contents(base / "place"):
                wrong.append("the content of an image is gone")
            problems += [f"{what}: {problem}" for problem in wrong]
        counts["tried"] = max(files, len(tried))
    for problem in problems:
        print(problem, file=sys.stderr)
    counts["problems"] = len(problems)
    seconds = round(time.monotonic() - start)
    print(json.dumps({"bench": "attack_undo", "seed": seed, **counts, "seconds": seconds}))


def contents(folder: Path) -> set[str]:
    """Those of all images."""
    images = (".jpg", ".png")
    return {entry[0] for name, entry in snapshot(folder).items() if name.endswith(images)}


if __name__ == "__main__":
    main()
