"""kill -9 at random moments while files are changed, while that is undone, and while models train.

    python -m bench.attack_kills [KILLS] [SEED] [CASE ...]

Changes: after the kill every image is there and whole, under no real name is there half a file;
then either the same command goes on to the result of a run that was not killed and both are
undone, or the undoing is killed as well and repeated. In the end every file and its time are as
they were. Training: images stay as they were, the model that was there before (or the new one)
works, and the same command goes on to the end and leaves no temporary file. Prints kills and
problems for each case.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from bench import needs
from bench.attack_tools import (
    CLASSIFIER,
    TAGS,
    TASTE,
    Place,
    Script,
    call,
    chance_of,
    differences,
    import_all,
    make_place,
    run,
    snapshot,
)

SCORE = ("--load_model=taste", "--device=cpu", "--gallery=off", "--cut_by=score", "--output=out")
SORT = (*SCORE, "--cuts=[0]", '--folders=["low","high"]')
CHANGES: dict[str, tuple[str, ...]] = {
    "copy": ("score_images", *SORT, "--action=copy", "--into=into"),
    "move": ("score_images", *SORT, "--action=move", "--into=into"),
    "move_elsewhere": ("score_images", *SORT, "--action=move", "--into=elsewhere"),
    "link": ("score_images", *SORT, "--action=link", "--into=into"),
    "touch": ("score_images", *SCORE, "--action=touch"),
    "xmp": ("score_images", *SCORE, "--cuts=[-1,-0.3,0.3,1]", "--action=xmp"),
    "classify_move": ("classify_images", "--load_model=classifier", "--device=cpu",
                      "--action=move", "--into=into"),
    "prepare_tags": ("prepare_tags", "--tags_to_write=one, two", "--existing=append"),
    "tag_images": ("tag_images", "--load_model=tagger", "--device=cpu", "--existing=overwrite",
                   "--evaluation_args.per_device_eval_batch_size=4"),
    "review_labels": ("review_labels", "--decisions=decisions.csv"),
}  # fmt: skip
SMALL = ("--training_args.num_train_epochs=2", "--aesthetic_model_hidden=[8]")
META = ("--mode=meta", "--meta_epochs=[2,4]", "--meta_lr=[1e-3]", "--meta_batch=[8,16]")
WHOLE = ("--train_backbone=True", "--training_args.num_train_epochs=2")
TASTES = {
    "auto": (),
    "ridge": ("--head=ridge",),
    "kernel": ("--head=kernel",),
    "pairwise": ("--head=pairwise",),
    "mlp": ("--head=mlp", *SMALL, "--aesthetic_model_dropouts=[0.1]"),
    "meta": (*META, *SMALL[1:], "--aesthetic_model_dropouts=[0.1]"),
    "evaluate": ("--mode=evaluate", "--load_model=taste"),
}
KINDS = {
    "classifier": ("custom_classifier_training", "classifier", CLASSIFIER),
    "classifier_whole": ("custom_classifier_training", "classifier", (*CLASSIFIER, *WHOLE)),
    "tagger": ("custom_classifier_training", "tagger", TAGS),
}
USES = {"taste": "score_images", "classifier": "classify_images", "tagger": "tag_images"}
OURS = (".features.sqlite", "undo-", ".tag_images.progress")


def state(place: Place, elsewhere: Path, *, times: bool = True) -> dict[str, tuple[str, int]]:
    """The files that a person sees, and whatever else is there."""
    found = {}
    for folder in (place.images, place.root / "into", elsewhere):
        for name, entry in snapshot(folder, times=times).items():
            if not Path(name).name.startswith(OURS):
                found[f"{folder.name}/{name}"] = entry
    return found


def contents(entries: dict[str, tuple[str, int]]) -> set[str]:
    """Those of the files under real names."""
    names = [n for n in entries if not n.endswith("/") and not Path(n).name.startswith(".")]
    return {entries[name][0] for name in names if not entries[name][0].startswith("->")}


class Change:
    """A script that changes files, killed again and again on copies of a place."""

    def __init__(self, name: str, base: Place, room: Path, elsewhere: Path) -> None:
        self.script, *words = CHANGES[name]
        self.base, self.place, self.elsewhere = base, Place(room / "now"), elsewhere
        self.words = [w.replace("=elsewhere", f"={elsewhere}") for w in words]
        self.before = self.fresh()
        start = time.monotonic()
        script, seen = self.start(), 0.0
        while script.running():
            seen = seen or (time.monotonic() - start if self.undo_files() else 0.0)
            time.sleep(0.001)
        ended = script.end()
        self.lasts, self.begins = ended.seconds, seen or ended.seconds
        self.whole = state(self.place, elsewhere, times=False)
        if ended.code or not self.undo_files():
            raise SystemExit(f"{name}: {ended.code} {ended.output} {ended.errors}")
        self.undo_lasts = self.undo().seconds

    def fresh(self) -> dict[str, tuple[str, int]]:
        self.base.copy(self.place.root)
        shutil.rmtree(self.elsewhere, ignore_errors=True)
        self.elsewhere.mkdir()
        (self.place.root / "into").mkdir()
        return state(self.place, self.elsewhere)

    def start(self) -> Script:
        words = [*self.place.words(*self.words), "--dry_run=False"]
        return Script(self.script, words, self.place.root)

    def undo_files(self) -> list[Path]:
        return sorted(self.place.root.rglob("undo-*.jsonl"), key=lambda path: path.stat().st_ctime)

    def undo_script(self, file: Path) -> Script:
        return Script(self.script, [f"--undo={file}"], self.place.root)

    def undo(self) -> Any:
        for file in reversed(self.undo_files()):
            ended = self.undo_script(file).end()
        return ended

    def kill(self, chance: Random) -> None:
        script = self.start()
        if chance.random() < 0.15:
            time.sleep(chance.uniform(0, self.begins))
        else:
            while script.running() and not self.undo_files():
                time.sleep(0.0005)
            time.sleep(chance.uniform(0, self.lasts - self.begins))
        script.kill()
        script.end()

    def attempt(self, chance: Random) -> tuple[int, list[str]]:
        """Kills, and what was wrong."""
        self.fresh()
        self.kill(chance)
        kills, wrong = 1, list[str]()
        now = state(self.place, self.elsewhere)
        must_stay = {
            name: entry
            for name, entry in self.before.items()
            if not (self.script in ("prepare_tags", "tag_images") and name.endswith(".txt"))
        }
        if lost := contents(must_stay) - contents(now):
            wrong.append(f"{len(lost)} files lost or changed")
        if half := contents(now) - contents(self.before) - contents(self.whole):
            wrong.append(f"{len(half)} files that are not whole")
        if chance.random() < 0.5:
            ended = self.start().end()
            if ended.fault or (ended.code and "no image" not in ended.errors):  # all were moved
                wrong.append(
                    f"the next run: {ended.code} {ended.output[-200:]} {ended.errors[-200:]}"
                )
            after = state(self.place, self.elsewhere, times=False)
            other = differences(self.whole, after)
            if "--action=move" in self.words:  # a sidecar may stay alone: undoing brings all back
                other = [name for name in other if not name.endswith(".txt")]
            if other:
                wrong.append(f"the next run does not come to the same: {other[:4]}")
        elif files := self.undo_files():
            script = self.undo_script(files[-1])
            time.sleep(chance.uniform(0, 1.05 * self.undo_lasts))
            script.kill()
            script.end()
            kills += 1
            if contents(state(self.place, self.elsewhere)) - contents(now) - contents(self.before):
                wrong.append("files that are not whole while it is undone")
        for file in reversed(self.undo_files()):
            ended = self.undo_script(file).end()
            begun = file.read_bytes().count(b"\n") > 1
            if ended.fault or (ended.code and begun):
                wrong.append(f"undoing: {ended.code} {ended.output[-200:]} {ended.errors[-300:]}")
        if other := differences(self.before, state(self.place, self.elsewhere)):
            wrong.append(f"not as it was after undoing: {other[:4]}")
        return kills, wrong


class Training:
    """A script that trains, killed again and again on copies of a place."""

    def __init__(self, name: str, base: Place, room: Path, _: Path) -> None:
        taste = ("aesthetic_predictor_training", "taste", (*TASTE, *TASTES.get(name, ())))
        self.script, self.model, words = KINDS.get(name, taste)
        self.base, self.place = base, Place(room / "now")
        self.words = (*words, f"--save_model={self.model}")
        self.base.copy(self.place.root)
        ended = self.start().end()
        if ended.code:
            raise SystemExit(f"{name}: {ended.code} {ended.errors}")
        self.lasts = ended.seconds
        self.whole = set(self.names())

    def start(self) -> Script:
        return Script(self.script, self.place.words(*self.words), self.place.root)

    def names(self) -> list[str]:
        """Files in the model's folder and beside it, without the images."""
        names = snapshot(self.place.root).keys()
        return [name for name in names if not name.startswith(("images/", "backbone"))]

    def use(self) -> str:
        """What is wrong with the model that is there now, if anything is.

        A tagger may have no thresholds yet, and says so.
        """
        words = self.place.words(f"--load_model={self.model}", "--device=cpu")
        done = run(USES[self.model], *words, cwd=self.place.root)
        if done.code == 0 or "thresholds.json" in done.errors:
            return ""
        return f"the model does not work: {done.code} {done.errors[-300:]}"

    def attempt(self, chance: Random) -> tuple[int, list[str]]:
        self.base.copy(self.place.root)
        there = chance.random() < 0.7
        if not there and "--mode=evaluate" not in self.words:
            shutil.rmtree(self.place.root / self.model)
        images = state(self.place, self.place.root / "none")
        script = self.start()
        time.sleep(chance.uniform(0, self.lasts))
        script.kill()
        script.end()
        for left in self.place.root.rglob(".*.tmp"):  # as if it were a day later
            os.utime(left, (0, 0))
        wrong = [self.use()] if there else []
        if chance.random() < 0.5:
            ended = self.start().end()
            if ended.code:
                wrong.append(f"the next run: {ended.code} {ended.errors[-300:]}")
            wrong.append(self.use())
            new = sorted(set(self.names()) - self.whole)
            over = [n for n in new if Path(n).name.startswith(".") or "checkpoint" in n]
            if over:
                wrong.append(f"left over: {over[:4]}")
        if other := differences(images, state(self.place, self.place.root / "none")):
            wrong.append(f"images changed: {other[:4]}")
        return 1, [problem for problem in wrong if problem]


def write_choices(place: Place) -> None:
    """What a person chose in the rating window: the image whose name is later."""
    from src.rating.session import RatingDatabase

    with RatingDatabase(place.images) as database:
        for _ in range(150):
            left, right = database.next_set()
            database.record(left, right, "left" if left > right else "right")


def decisions(place: Place) -> None:
    """What the page of suspects saves: every second image is wrong, and its class another."""
    rows = ["kind,path,label,suggested,surprise,decision"]
    images = [path for path in place.images.glob("*/*") if path.suffix != ".txt"]
    for number, path in enumerate(sorted(images)):
        label = path.parent.name
        other = "blue" if label == "red" else "red"
        verdict = "wrong" if number % 2 else ""
        rows.append(f"class,{label}/{path.name},{label},{other},0.9,{verdict}")
    (place.root / "decisions.csv").write_text("\n".join(rows) + "\n", "utf-8")


def main() -> None:
    needs.linux()
    kills, seed = (*map(int, sys.argv[1:3]), *(400, 0)[len(sys.argv[1:3]) :])
    kinds: dict[str, Callable[..., Change | Training]] = {
        **dict.fromkeys(CHANGES, Change),
        **dict.fromkeys([*KINDS, *TASTES], Training),
    }
    names = sys.argv[3:] or list(kinds)
    import_all()
    result, start = {}, time.monotonic()
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory(dir="/dev/shm") as shm:
        room, elsewhere = Path(name), Path(shm) / "elsewhere"
        if room.stat().st_dev == elsewhere.parent.stat().st_dev:
            raise SystemExit("/tmp and /dev/shm must be two file systems")
        base = make_place(room / "base", 90)
        decisions(base)
        chosen = base.copy(room / "chosen")
        call(write_choices, chosen)
        for kind in names:
            given = chosen if kind == "pairwise" else base
            case = kinds[kind](kind, given, room, elsewhere)
            done, problems = 0, []
            while done < kills / len(names):
                killed, wrong = case.attempt(chance_of(seed, kind, done))
                problems += [f"{kind} {seed} {done}: {problem}" for problem in wrong]
                done += killed
            for problem in problems:
                print(problem, file=sys.stderr)
            result[kind] = {"kills": done, "problems": len(problems)}
            print(kind, result[kind], round(time.monotonic() - start), file=sys.stderr)
    total = sum(entry["kills"] for entry in result.values())
    text = {"bench": "attack_kills", "seed": seed, "kills": total, "cases": result}
    print(json.dumps({**text, "seconds": round(time.monotonic() - start)}))


if __name__ == "__main__":
    main()
