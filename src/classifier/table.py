"""The CSV table of what a classifier says of a folder."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from src.files import csv_text, rows_of

_COLUMNS = 100  # categories up to which each has a column
_TOP = 5


def classification_table(
    paths: Sequence[str], probabilities: np.ndarray, classes: Sequence[str], rank_by: str = ""
) -> str:
    """path, category, probability, and the probabilities of all categories (or of the best five).

    The most probable images of the category `rank_by` come first; without it the order stays.
    """
    names, rows = np.array(classes, object), np.arange(len(paths))
    if rank_by:
        wanted = probabilities[:, list(classes).index(rank_by)]
        rows = np.argsort(-wanted, kind="stable")
    shares = probabilities[rows]
    best = np.argsort(-shares, axis=1, kind="stable")[:, :_TOP]
    highest = np.take_along_axis(shares, best, axis=1)
    columns: dict[str, Any] = {
        "path": np.array(paths, object)[rows],
        "category": names[best[:, 0]],
        "probability": highest[:, 0],
    }
    if rank_by:
        columns[f"rank by p({rank_by})"] = range(1, len(paths) + 1)
    if len(classes) <= _COLUMNS:
        columns |= {f"p({name})": shares[:, index] for index, name in enumerate(classes)}
    else:
        for place in range(1, _TOP):
            columns[f"category {place + 1}"] = names[best[:, place]]
            columns[f"p {place + 1}"] = highest[:, place]
    return csv_text(rows_of(columns))
