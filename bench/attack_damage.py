"""Damaged files of every kind that the scripts read, other than images, undo files and choice logs.

    python -m bench.attack_damage [FILES] [SEED] [KIND ...]

Each is cut off, has bits changed, is empty, of zeros, of noise, a folder, a link to itself; and
in those that have a structure a value is replaced by one that is absurd (1e308, NaN, 10**400,
null, a list, half of a surrogate pair). Then the script that reads it runs. It must work or say
in one line why not; figures that it writes must be numbers, and the damaged file must still be
there as it was, perhaps under another name. Prints how many were tried and refused, and the
problems, for each kind.
"""

import csv
import io
import json
import math
import os
import shutil
import sqlite3
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from bench import needs
from bench.attack_kills import decisions
from bench.attack_tools import (
    CLASSIFIER,
    TAGS,
    TASTE,
    Place,
    chance_of,
    import_all,
    make_place,
    run,
)

ABSURD: list[Any] = [
    *(
        None,
        True,
        -1,
        0,
        10**400,
        2**63,
        1e308,
        -1e308,
        math.nan,
        math.inf,
        "",
        "x",
        "\ud800",
        "\0",
    ),
    *([], {}, [[[]]], [1e308] * 3, {"a": None}, "../../../etc/passwd", "9" * 5000, -0.5, 1.5),
]
USE = ("--device=cpu",)
TRAIN, EVALUATE = "aesthetic_predictor_training", "--mode=evaluate"
CLASSIFY = "custom_classifier_training"


class Kind(NamedTuple):
    """A file in a place, and who reads it."""

    file: str
    script: str
    words: tuple[str, ...]


SCORING = Kind("", "score_images", ("--load_model=taste", "--gallery=off", "--output=out", *USE))
TAGGING = Kind("", "tag_images", ("--load_model=tagger", *USE))
SORTING = Kind("", "classify_images", ("--load_model=classifier", "--table=classes.csv", *USE))
OWN = (*TASTE, "--head=ridge", "--save_model=new")
KINDS = {
    "feature_store": SCORING._replace(file="images/.features.sqlite"),
    "feature_store_found": Kind("images/.features.sqlite", "find_duplicates", ()),
    "feature_store_pruned": Kind("images/.features.sqlite", "prune_features", ()),
    "taste_model": SCORING._replace(file="taste/model.safetensors"),
    "taste_model_trained_on": Kind("taste/model.safetensors", TRAIN, (*OWN, "--load_model=taste")),
    "taste_trained_on": Kind("taste/trained_on.safetensors", TRAIN, (*OWN, "--load_model=taste")),
    "taste_metrics": Kind("taste/evaluation-images/metrics.json", TRAIN,
                          (*TASTE, EVALUATE, "--load_model=taste")),
    "taste_head": Kind("taste/model.safetensors", "aesthetic_score_from_model",
                       ("--load_model=taste", "--dry_run=True", *USE)),
    "published_head": Kind("head.pth", "score_images", ("--load_model=head.pth", *USE)),
    "backbone_config": Kind("backbone/config.json", TRAIN,
                            (*OWN[1:], "--feature_extractor=backbone")),
    "backbone_processor": Kind("backbone/preprocessor_config.json", TRAIN,
                               (*OWN[1:], "--feature_extractor=backbone")),
    "backbone_weights": Kind("backbone/model.safetensors", TRAIN,
                             (*OWN[1:], "--feature_extractor=backbone")),
    "classifier_config": SORTING._replace(file="classifier/config.json"),
    "classifier_processor": SORTING._replace(file="classifier/preprocessor_config.json"),
    "classifier_weights": SORTING._replace(file="classifier/model.safetensors"),
    "classifier_categories": SORTING._replace(file="classifier/categories.json"),
    "classifier_metrics": Kind("classifier/metrics.json", CLASSIFY,
                               (*CLASSIFIER, EVALUATE, "--load_model=classifier")),
    "classifier_trained_on": Kind("classifier/trained_on.safetensors", CLASSIFY,
                                  (*CLASSIFIER, "--load_model=classifier", "--save_model=new")),
    "tagger_weights": TAGGING._replace(file="tagger/model.safetensors"),
    "tagger_config": TAGGING._replace(file="tagger/config.json"),
    "tagger_thresholds": TAGGING._replace(file="tagger/thresholds.json"),
    "tagger_tags": TAGGING._replace(file="tagger/selected_tags.csv"),
    "tagger_listed": Kind("tagger/selected_tags.csv", "tag_images",
                          ("--load_model=tagger", "--action=list")),
    "ensemble": Kind("ensemble/ensemble.json", "tag_images", ("--load_model=ensemble", *USE)),
    "tag_list": Kind("tagger/selected_tags.csv", CLASSIFY,
                     (*TAGS, "--tag_list=tagger/selected_tags.csv", "--save_model=new")),
    "tag_table": Kind("tags.csv", CLASSIFY, (*TAGS, "--tag_source=tags.csv", "--save_model=new")),
    "tag_file": Kind("images/red/000.png.txt", "prepare_tags", ()),
    "tag_file_trained": Kind("images/red/000.png.txt", CLASSIFY, (*TAGS, "--save_model=new")),
    "tag_file_appended": Kind("images/red/000.png.txt", "tag_images",
                              (*TAGGING.words, "--existing=append")),
    "whitelist": Kind("white.txt", "tag_images", (*TAGGING.words, "--whitelist=white.txt")),
    "progress": Kind("images/.tag_images.progress", "tag_images",
                     (*TAGGING.words, "--existing=append")),
    "sidecar": Kind("images/red/000.xmp", "score_images", (*SCORING.words, "--action=xmp")),
    "scores_csv": Kind("images/scores.csv", TRAIN, (*OWN, "--use_score_file=scores.csv")),
    "score_json": Kind("images/score.json", TRAIN, OWN),
    "score_json_filled": Kind("images/score.json", "aesthetic_score_from_model",
                              ("--load_model=taste", "--dry_run=True", *USE)),
    "labels_csv": Kind("images/labels.csv", TRAIN,
                       (*OWN[:3], "--loss_model=bce", "--use_score_file=labels.csv",
                        "--save_model=new")),
    "decisions": Kind("decisions.csv", "review_labels", ("--decisions=decisions.csv",)),
    "arguments": Kind("arguments.py", "prepare_tags", ("--arguments=arguments.py",)),
    "dotenv": Kind(".env", "prepare_tags", ("--convert_env=.env",)),
    "meta_db": Kind("meta.db", TRAIN,
                    (*TASTE, "--mode=meta", "--meta_epochs=[2]", "--meta_lr=[1e-3]",
                     "--meta_batch=[8]", "--aesthetic_model_hidden=[4]",
                     "--aesthetic_model_dropouts=[0]", "--save_model=new")),
}  # fmt: skip
# What a run writes anew, or goes on with: of these the damaged content need not stay.
REPLACED = ("meta.db", "metrics.json", ".tag_images.progress", ".features.sqlite")


def make_files(place: Place) -> None:
    """What the models' own folders do not hold."""
    import torch

    root, images = place.root, place.images
    decisions(place)
    with (images / "scores.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    labels = [f"{row['relative_path']},{number % 2}" for number, row in enumerate(rows)]
    (images / "labels.csv").write_text("\n".join(["relative_path,score", *labels]), "utf-8")
    tags = [f'{row["relative_path"]},"one, two"' for row in rows[:60]]
    tags += [f"{row['relative_path']},three" for row in rows[60:]]
    (root / "tags.csv").write_text("\n".join(["path,tags", *tags]), "utf-8")
    scores = {row["relative_path"]: float(row["score"]) for row in rows}
    entries = {**scores, "#meta#": {"evaluations": 90, "model_evals": 0, "unrated": []}}
    (images / "score.json").write_text(json.dumps(entries), "utf-8")
    (root / "white.txt").write_text("red\nblue\n", "utf-8")
    (root / "ensemble").mkdir()
    for name in ("selected_tags.csv", "thresholds.json"):
        shutil.copy(root / "tagger" / name, root / "ensemble")
    (root / "ensemble/ensemble.json").write_text('{"models": ["../tagger"]}', "utf-8")
    torch.save(
        {"linear.weight": torch.ones(1, 768), "linear.bias": torch.ones(1)}, root / "head.pth"
    )
    (root / "arguments.py").write_text('args = {"device": "cpu", "dry_run": True}\n', "utf-8")
    (root / ".env").write_text("TRAINING=training/\nMODEL=models/m.pth\nEPOCHS=3\n", "utf-8")
    (images / "red/000.xmp").write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
        'syntax-ns#"><rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        'xmp:Rating="0"/></rdf:RDF></x:xmpmeta>', "utf-8",
    )  # fmt: skip
    (images / ".tag_images.progress").write_text("key\nundo-tags-1.jsonl\nred/000.png\n", "utf-8")


def leaves(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the values of JSON stand, the containers too."""
    found = [way] if way else []
    if isinstance(value, (dict, list)):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            found += leaves(below, (*way, key))
    return found


def with_absurd(value: Any, chance: Random) -> Any:
    *way, last = chance.choice(leaves(value) or [(None,)])
    at = value
    for key in way:
        at = at[key]
    if last is None or chance.random() < 0.1:
        return chance.choice(ABSURD)
    if isinstance(at, dict) and chance.random() < 0.3:
        del at[last]
    else:
        at[last] = chance.choice(ABSURD)
    return value


def damage_tensors(content: bytes, chance: Random) -> bytes:
    """A safetensors file with an absurd value in its description or among its numbers."""
    (size,) = struct.unpack("<Q", content[:8])
    described, numbers = json.loads(content[8 : 8 + size]), bytearray(content[8 + size :])
    notes = described.get("__metadata__", {})
    nested = [key for key, text in notes.items() if text[:2] in ('{"', "[{")]
    way = chance.randrange(3)
    if way == 0 and nested:
        key = chance.choice(nested)
        notes[key] = json.dumps(with_absurd(json.loads(notes[key]), chance))
    elif way == 1:
        described = with_absurd(described, chance)
    else:
        number = chance.choice((math.nan, math.inf, 1e38, -1e38))
        for _ in range(chance.choice((1, 50))):
            at = chance.randrange(len(numbers) // 8) * 8
            numbers[at : at + 8] = chance.choice(
                [struct.pack("<ff", number, number), struct.pack("<d", number)]
            )
    text = json.dumps(described).encode("utf-8", "replace")
    return struct.pack("<Q", len(text)) + text + bytes(numbers)


def damage_table(content: bytes, chance: Random) -> bytes:
    rows = list(csv.reader(io.StringIO(content.decode())))
    row = chance.choice(rows[:1] * (len(rows) // 5) + rows)
    row[chance.randrange(len(row))] = str(chance.choice(ABSURD))
    stream = io.StringIO()
    csv.writer(stream).writerows(rows)
    return stream.getvalue().encode("utf-8", "surrogatepass")


def damage_database(content: bytes, chance: Random) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "x.sqlite")
        file.write_bytes(content)
        with sqlite3.connect(file) as database:
            names = database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            ).fetchall()
            (table,) = chance.choice(names)
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            value = chance.choice(
                [*ABSURD[1:4], 2**62, 1e308, "x", "", b"", b"\xff" * 7, b"x" * 32]
            )
            change = f"UPDATE OR IGNORE {table} SET {chance.choice(columns)} = ?"
            if chance.random() < 0.2:
                change = chance.choice((f"DROP TABLE {table}", f"DELETE FROM {table}"))
            with suppress(sqlite3.Error):  # the table does not take such a value
                database.execute(change, (value,) * change.count("?"))
        database.close()
        changed = file.read_bytes()
        return changed if changed != content else raw(content, chance)


def raw(content: bytes, chance: Random) -> bytes:
    """Damage that knows nothing of what a file holds."""
    changed, size = bytearray(content), len(content)
    match chance.randrange(8):
        case 0:
            return content[: chance.randrange(size)]
        case 1:
            return chance.choice((b"", bytes(size), b"\xff\xfe" + content, b"\n" + content))
        case 2:
            return chance.randbytes(size)
        case 3:
            at = chance.randrange(size)
            changed[at : at + 4096] = bytes(len(changed[at : at + 4096]))
        case 4:
            return content + content
        case 5:
            return b"[" * 100_000 + content
        case _:
            for _ in range(chance.choice((1, 10, 100))):
                changed[chance.randrange(size)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def damage(file: Path, chance: Random) -> None:
    """Damage a file, by what it is as often as without looking."""
    content = file.read_bytes()
    way = chance.random()
    if way < 0.06:
        file.unlink()
        if way < 0.03:
            file.mkdir()
        else:
            file.symlink_to(file.name)
        return
    special: dict[str, Callable[[bytes, Random], bytes]] = {
        ".safetensors": damage_tensors,
        ".csv": damage_table,
        ".sqlite": damage_database,
        ".db": damage_database,
        ".json": lambda text, c: json.dumps(with_absurd(json.loads(text), c)).encode(),
    }
    known = special.get(file.suffix)
    file.write_bytes((known if known and way < 0.55 else raw)(content, chance))


def is_kept(before: Path, content: bytes | None) -> bool:
    """Whether damaged content is there, under its name or another in its folder."""
    if content is None:
        return os.path.lexists(before)
    there = [path for path in before.parent.iterdir() if path.is_file()]
    return any(path.read_bytes() == content for path in there)


def not_numbers(root: Path) -> str:
    """The first figure in the tables of a run that is none."""
    for table in ("out/scores.csv", "classes.csv", "p.csv"):
        if (root / table).is_file():
            text = (root / table).read_text("utf-8").lower()
            for word in (",nan", ",inf", ",-inf"):
                if word in text:
                    return f"{word[1:]} in {table}"
    return ""


def attempt(
    kind: Kind, base: Place, usual: set[str], place: Place, chance: Random
) -> tuple[int, str]:
    """The exit code, and what was wrong."""
    base.copy(place.root)
    file = place.root / kind.file
    damage(file, chance)
    content = file.read_bytes() if file.is_file() else None
    ended = run(kind.script, *place.words(*kind.words), cwd=place.root)
    if ended.fault:
        return ended.code, ended.fault
    lines = [line for line in ended.errors.splitlines() if line.strip() and "\r" not in line]
    if ended.code == 2:
        new = [line for line in lines if line not in usual]
        most = 12 if file.suffix in (".csv", ".py") else 2  # of those each wrong line is named
        if not 0 < len(new) <= most:
            return 2, f"{len(new)} lines: {ended.errors[-400:]}"
    elif problem := not_numbers(place.root):
        return 0, problem
    if file.name not in REPLACED and not is_kept(file, content):
        return ended.code, "the damaged file is gone"
    return ended.code, ""


def main() -> None:
    needs.linux()
    files, seed = (*map(int, sys.argv[1:3]), *(800, 0)[len(sys.argv[1:3]) :])
    names = sys.argv[3:] or list(KINDS)
    import_all()
    results: dict[str, Counter[str]] = {}
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        base = make_place(Path(name) / "base", 60)
        make_files(base)
        run(TRAIN, *base.words(*KINDS["meta_db"].words), cwd=base.root)
        shutil.rmtree(base.root / "new")
        evaluate = KINDS["taste_metrics"]
        run(evaluate.script, *base.words(*evaluate.words), cwd=base.root)
        for kind in names:
            place, counts = Place(Path(name) / "now"), Counter[str]()
            whole = run(
                KINDS[kind].script,
                *base.copy(place.root).words(*KINDS[kind].words),
                cwd=place.root,
            )
            usual = set() if whole.code else set(whole.errors.splitlines())
            if whole.code and kind != "published_head":
                print(f"{kind} does not work undamaged: {whole.errors[-300:]}", file=sys.stderr)
            for number in range(-(-files // len(names))):
                chance = chance_of(seed, kind, number)
                code, problem = attempt(KINDS[kind], base, usual, place, chance)
                counts.update(
                    {"tried": 1, "refused": int(code != 0), "problems": int(bool(problem))}
                )
                if problem:
                    print(f"{kind} {seed} {number}: {problem}", file=sys.stderr)
            results[kind] = counts
            print(kind, dict(counts), round(time.monotonic() - start), file=sys.stderr)
    total = sum(results.values(), Counter())
    seconds = round(time.monotonic() - start)
    text = {"bench": "attack_damage", "seed": seed, **total, "kinds": results}
    print(json.dumps({**text, "seconds": seconds}))


if __name__ == "__main__":
    main()
