"""A rating session that is killed at any moment loses no choice that it confirmed."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from src.errors import DataError
from src.rating.session import RatingDatabase
from src.rating.storage.choice_log import ChoiceLog
from src.rating.storage.score_file import read_score_file

ROOT = Path(__file__).parents[2]
SESSION = """
import sys
from src.rating.session import RatingDatabase

database = RatingDatabase(sys.argv[1])
print("open", flush=True)
while True:
    left, right = database.next_set()
    database.following_set()  # also fits and writes score.json now and then
    database.record(left, right, min(("left", left), ("right", right), key=lambda x: x[1])[0])
    print(left, right, flush=True)
"""


def confirmed_before_kill(folder: Path, chance: random.Random) -> list[tuple[str, str]]:
    """Start a session, kill it after some choices; the pairs that it confirmed."""
    process = subprocess.Popen(
        [sys.executable, "-c", SESSION, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process, process.stdout as lines:
        confirmed = []
        if chance.random() < 0.9:  # else it is killed while it opens the folder
            assert lines.readline() == "open\n"
            confirmed = [lines.readline() for _ in range(chance.randrange(60))]
        else:
            time.sleep(chance.uniform(0, 1.5))
        time.sleep(chance.uniform(0, 0.03))
        process.kill()
        confirmed += [line for line in lines if line.endswith("\n") and line != "open\n"]
    pairs = [tuple(line.split()) for line in confirmed]
    return [(left, right) for left, right in pairs]


def check_kills(folder: Path, times: int, seed: int) -> dict[str, int]:
    """Kill sessions one after the other; what was confirmed, and what was lost."""
    chance = random.Random(seed)
    known: list[tuple[str, str]] = []
    lost = unreadable = 0
    for _ in range(times):
        known += confirmed_before_kill(folder, chance)
        try:
            read_score_file(folder / "score.json")
        except DataError:
            unreadable += 1
        log = ChoiceLog(folder)  # the killed session's lock is gone with it
        written = [(event.left, event.right) for event in log.events]
        log.close()
        lost += len(set(enumerate(known)) - set(enumerate(written)))
        known = written  # with one that was written and not yet confirmed
    return {"kills": times, "confirmed": len(known), "lost": lost, "unreadable": unreadable}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of forty images; only their names matter."""
    for number in range(40):
        (tmp_path / f"{number:02d}.png").touch()
    return tmp_path


def test_kills_lose_nothing(folder):
    result = check_kills(folder, int(os.environ.get("RATING_KILLS", "10")), seed=1)
    print(result)
    assert result["lost"] == 0
    assert result["unreadable"] == 0
    assert result["confirmed"] > 50
    with RatingDatabase(folder) as database:
        assert sum(database.comparisons().values()) == 2 * result["confirmed"]
    content = read_score_file(folder / "score.json")
    assert content.meta["evaluations"] == result["confirmed"]
    assert len(content.scores) == 40
    assert content.scores["00.png"] > content.scores["39.png"]  # the first name always won
