"""Damaged choice logs and killed sessions: what is lost, and is every loss told?

    python -m bench.attack_rating [DAMAGES [KILLS]]

Truncations and bit flips at every kind of place of choice logs, of sessions that were closed and of
such that were killed: none may be silent. Then sessions that are killed (-9) while they open the
folder, record choices and write `score.json`: no choice that was confirmed may be lost.
"""

import json
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from bench import needs
from src.errors import DataError
from src.rating.session import RatingDatabase
from src.rating.storage.choice_log import NAME, ChoiceLog
from src.rating.storage.choice_rows import Event, Start
from src.rating.storage.score_file import read_score_file

PAGE, FRAME = 4096, 4096 + 24


def add_choices(log: ChoiceLog, count: int) -> None:
    for _ in range(count):
        number = len(log.events)
        event = Event(f"{number}.png", f"{number}{'ü' * 60}.png", "left", "active", 0.25, 1.5)
        log.append(event)


def make_logs(folder: Path) -> dict[str, Path]:
    """Logs of closed and of killed sessions; each in a folder of its own."""
    for kind in ("closed", "killed", "killed_again", "killed_at_once"):
        (folder / kind).mkdir()
    at_once = ChoiceLog(folder / "killed_at_once")
    with closing(ChoiceLog(folder / "closed")) as log:
        log.add_starts(Start(f"old{number}.png", number / 7, "file") for number in range(30))
        add_choices(log, 30)
        log.set_state(large="x" * 30_000)  # its pages are free later
        add_choices(log, 30)
        log.set_state(large="", old_evaluations="7", last_event="60")
    shutil.copy(folder / "closed" / NAME, folder / "killed_again")
    again = ChoiceLog(folder / "killed_again")
    with closing(ChoiceLog(folder / "killed")) as killed, closing(again), closing(at_once):
        logs = {"killed": killed, "killed_again": again, "killed_at_once": at_once}
        for kind, log in logs.items():
            add_choices(log, 40 if kind != "killed_at_once" else 3)
            (folder / f"{kind}.copy").mkdir()
            for file in (folder / kind).iterdir():  # as it lies there when the process ends
                shutil.copy(file, folder / f"{kind}.copy")
    return {"closed": folder / "closed"} | {kind: folder / f"{kind}.copy" for kind in logs}


def damage(folder: Path, chance: random.Random) -> str:
    """Cut off one of the files, or change one bit of it; where."""
    file = chance.choice([path for path in sorted(folder.iterdir()) if path.stat().st_size])
    content = bytearray(file.read_bytes())
    size, unit = len(content), FRAME if file.name.endswith("-wal") else PAGE
    near_unit = chance.randrange(size // unit + 1) * unit + chance.randrange(120)
    at = min(chance.choice([chance.randrange(size), near_unit, chance.randrange(100)]), size - 1)
    if chance.random() < 0.4:
        cut = chance.choice([at, at // unit * unit])
        file.write_bytes(content[:cut])
        return f"{file.name} cut off at {cut} of {size}"
    bit = chance.randrange(8)
    content[at] ^= 1 << bit
    file.write_bytes(content)
    return f"{file.name} bit {bit} of byte {at} of {size}"


def what_is_told(folder: Path, before: ChoiceLog) -> str:
    """What opening a damaged log says, against the log as it was."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    # Opening a log takes in what is whole in its WAL, so that only the latter stays as it was.
    written = {files.get(f"{NAME}-wal", files[NAME])} - {b""}
    try:
        with closing(ChoiceLog(folder)) as log:
            events, starts, (*notices,) = log.events, log.starts, log.notices
    except DataError as error:
        if "\n" in str(error):
            return "BAD: several lines"
        left = {path.read_bytes() for path in folder.iterdir()}
        return "refused" if written <= left else "BAD: overwritten"
    kept = [event[:6] for event in events]
    whole = kept == [event[:6] for event in before.events] and starts == before.starts
    if not notices:
        return "whole" if whole else "BAD: silent"
    if not {*kept} <= {event[:6] for event in before.events}:
        return "BAD: what was never chosen"
    told = f"{len(kept)} of its {before._last} choices are intact and kept"
    return "restored" if told in notices[0] else f"BAD: {notices}"


def attack_logs(count: int, seed: int = 0) -> dict[str, int]:
    """Damage logs `count` times; how often it was told how."""
    chance, found = random.Random(seed), Counter[str]()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as name:
        logs = make_logs(Path(name))
        before = {}
        for kind, folder in logs.items():
            shutil.copytree(folder, Path(name) / f"{kind}.whole")
            with closing(ChoiceLog(Path(name) / f"{kind}.whole")) as log:
                before[kind] = log
        for _ in range(count):
            kind, target = chance.choice(sorted(logs)), Path(name) / "damaged"
            shutil.copytree(logs[kind], target)
            where = damage(target, chance)
            try:
                told = what_is_told(target, before[kind])
            except Exception as error:
                told = f"BAD: {error!r}"
            found[told.split(" (")[0]] += 1
            if told.startswith("BAD"):
                print(f"{kind}: {where}: {told}", file=sys.stderr)
            shutil.rmtree(target)
    logging.disable(logging.NOTSET)
    return dict(found)


def rate(folder: Path, confirmed: int) -> None:
    """Rate until killed; the pairs are written to a pipe once they are kept."""
    with RatingDatabase(folder) as database:
        while True:
            left, right = database.next_set()
            database.following_set()  # also fits and writes score.json now and then
            database.record(left, right, "left" if left < right else "right")
            os.write(confirmed, f"{left} {right}\n".encode())


def attack_sessions(times: int, seed: int = 0) -> dict[str, int]:
    """Kill sessions one after the other; what was confirmed, and what was lost."""
    chance, confirmed, lost = random.Random(seed), 0, 0
    with tempfile.TemporaryDirectory() as name:
        for session in range(times):
            if session % 50 == 0:  # a folder of its own, since a long log takes long to open
                known: list[str] = []
                folder = Path(name) / str(session)
                folder.mkdir()
                for number in range(40):
                    (folder / f"{number:02d}.png").touch()
            read, write = os.pipe()
            process = os.fork()
            if not process:
                rate(folder, write)
            os.close(write)
            before = len(known)
            with os.fdopen(read) as lines:
                known += [lines.readline() for _ in range(chance.randrange(60))]
                time.sleep(chance.uniform(0, 0.05))
                os.kill(process, signal.SIGKILL)
                known += lines.readlines()
            os.waitpid(process, 0)
            if (folder / "score.json").exists():
                read_score_file(folder / "score.json")  # raises an error where it is damaged
            with closing(ChoiceLog(folder)) as log:
                assert not log.notices, log.notices
                written = [f"{event.left} {event.right}\n" for event in log.events]
            confirmed += len(known) - before
            lost += len(set(enumerate(known)) - set(enumerate(written)))
            known = written  # with one that was written and not yet confirmed
    return {"kills": times, "confirmed": confirmed, "lost": lost}


def main() -> None:
    needs.linux()
    damages = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    result: dict[str, object] = {"bench": "attack_rating", "damages": attack_logs(damages)}
    result["sessions"] = attack_sessions(kills)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
