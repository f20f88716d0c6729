"""Folders to rate, and a person who prefers the name that sorts first."""

import json
from pathlib import Path

from src.rating.session import RatingDatabase


def make_folder(folder: Path, count: int) -> list[str]:
    """Empty files with names of images: only the window opens them."""
    names = [f"{'sub/' if number % 3 == 0 else ''}{number:02d}.png" for number in range(count)]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return names


def rate(database: RatingDatabase, choices: int, *, ahead: bool = False) -> list[tuple]:
    """Prefer the name that sorts first."""
    made = []
    for _ in range(choices):
        left, right = database.next_set()
        outcome = "left" if left < right else "right"
        following = database.following_set() if ahead else None
        database.record(left, right, outcome, response_time=0.5)
        if following:
            assert database.next_set() == following
        made.append((left, right, outcome))
    return made


def uncertainty(database: RatingDatabase) -> dict[str, float]:
    paths, _, deviations = database.ladder()
    return dict(zip(paths, deviations.tolist(), strict=True))


def saved(folder: Path) -> dict:
    return json.loads((folder / "score.json").read_text(encoding="utf-8"))


def saved_scores(folder: Path) -> dict[str, float]:
    return {path: score for path, score in saved(folder).items() if not path.startswith("#")}
