"""The CSV table of what a classifier says of a folder."""

import csv
import io
from collections.abc import Sequence

import numpy as np

_COLUMNS = 100  # categories up to which each has a column
_TOP = 5


def classification_table(
    paths: Sequence[str], probabilities: np.ndarray, classes: Sequence[str], rank_by: str = ""
) -> str:
    """path, category, probability, and the probabilities of all categories (or of the best five).

    Args:
        paths: the images, (n).
        probabilities: (n, classes).
        classes: names of the categories.
        rank_by: a category whose most probable images come first; "" keeps the order.
    """
    order: Sequence[int] = range(len(paths))
    if rank_by:
        wanted = probabilities[:, list(classes).index(rank_by)]
        order = np.argsort(-wanted, kind="stable").tolist()
    every = len(classes) <= _COLUMNS
    heading = ["path", "category", "probability"]
    if rank_by:
        heading.append(f"rank by p({rank_by})")
    if every:
        heading += [f"p({name})" for name in classes]
    else:
        heading += [f"{what} {rank}" for rank in range(2, _TOP + 1) for what in ("category", "p")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    for place, index in enumerate(order, start=1):
        shares = probabilities[index]
        best = np.argsort(-shares, kind="stable")[:_TOP]
        row: list[object] = [paths[index], classes[best[0]], f"{shares[best[0]]:.6f}"]
        if rank_by:
            row.append(place)
        if every:
            row += [f"{share:.6f}" for share in shares]
        else:
            row += [value for i in best[1:] for value in (classes[i], f"{shares[i]:.6f}")]
        writer.writerow(row)
    return text.getvalue()
