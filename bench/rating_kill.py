"""Rating sessions killed at random moments: what of the confirmed choices is lost.

python -m bench.rating_kill [TIMES]
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from src.rating.choice_log import ChoiceLog
from src.rating.database import RatingDatabase

MOST = 60  # choices between two kills


def session(folder: str) -> None:
    """Answer for ever; a choice is printed when it is confirmed."""
    database = RatingDatabase(folder)
    print("open", flush=True)
    while True:
        left, right = database.next_pair()
        database.following_pairs()  # also fits and writes score.json now and then
        database.record(left, right, "left" if left < right else "right")
        print(left, right, flush=True)


def confirmed_before_kill(folder: str, chance: random.Random) -> list[tuple[str, ...]]:
    """Start a session and kill it after some choices; the pairs that it confirmed."""
    command = [sys.executable, "-m", "bench.rating_kill", "session", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "open\n"
        lines = [process.stdout.readline() for _ in range(chance.randrange(MOST))]
        time.sleep(chance.uniform(0, 0.03))
        process.kill()
        lines += [line for line in process.stdout if line.endswith("\n")]
    return [tuple(line.split()) for line in lines]


def main(times: int) -> None:
    """Kill sessions one after the other and print what was lost."""
    chance = random.Random(0)
    known: list[tuple[str, ...]] = []
    lost = damaged = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(40):
            (Path(folder) / f"{number:02d}.png").touch()
        for _ in range(times):
            known += confirmed_before_kill(folder, chance)
            scores = Path(folder) / "score.json"
            try:
                json.loads(scores.read_text(encoding="utf-8") if scores.exists() else "{}")
            except ValueError:
                damaged += 1
            log = ChoiceLog(Path(folder))
            written = [(event.left, event.right) for event in log.events()]
            log.close()
            lost += len(set(enumerate(known)) - set(enumerate(written)))
            known = list(written)  # with one that was written and not confirmed any more
    result = {"kills": times, "confirmed": len(known), "lost": lost, "damaged_score_files": damaged}
    print(json.dumps({"bench": "rating_kill", **result}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["session"]:
        session(sys.argv[2])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
