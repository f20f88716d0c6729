"""Scores of a model for the images of a `score.json` that nobody has rated yet."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from src.file_changes.changes import Write
from src.rating.models.initial_scores import rescale
from src.rating.storage.score_file import NAME, read_score_file, write_score_file


def fill_score_file(directory: Path, scores: Mapping[str, float]) -> tuple[Write | None, int]:
    """The new `score.json` of a folder, and how many images it gives a score.

    Ratings that rest on a person's choices stay as they are; the scores of the others are brought
    to their scale, and the images stay marked as unrated.

    Args:
        directory: the image folder.
        scores: path relative to it -> what the model gives, for all its images.

    Raises:
        DataError: the score file is damaged.
    """
    file = directory / NAME
    content = read_score_file(file)
    rated = content.rated()
    filled = rescale(scores, rated, scores.keys() - rated.keys())
    if not filled:
        return None, 0
    unrated = sorted(content.unrated() | filled.keys())
    content.scores.update(filled)
    evaluated = content.count("model_evals") + len(filled)
    content.meta |= {"unrated": unrated, "model_evals": evaluated}
    content.meta.setdefault("evaluations", 0)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / NAME
        write_score_file(written, content)
        after = written.read_bytes()
    before = file.read_bytes() if file.exists() else None
    return Write.of(NAME, before, after), len(filled)
