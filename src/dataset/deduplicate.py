"""Copies among labelled images: which to use, and which belong together."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from src.dataset import duplicates
from src.dataset.classes import CategorisedImages

logger = logging.getLogger(__name__)

_NAMED = 5


class Cleaned(NamedTuple):
    """Images without copies, and what was found.

    Attributes:
        data: the images to use.
        kept: their places among the images given, (n,) int.
        groups: near duplicates share a number, (n,) int; they must stay on one side of a split.
        conflicts: paths of each image that lies in several categories; none of them is used.
        copies: paths that were left out because the same image is there already.
        lookalikes: paths of near duplicates in different categories, each group a list.
    """

    data: CategorisedImages
    kept: np.ndarray
    groups: np.ndarray
    conflicts: list[list[str]]
    copies: list[str]
    lookalikes: list[list[str]]

    def notes(self) -> list[str]:
        """What was found, in sentences for the report."""
        notes = []
        if self.conflicts:
            named = "; ".join(" = ".join(same) for same in self.conflicts[:5])
            notes.append(
                f"{len(self.conflicts)} images lie in several categories and were not used: "
                f"{named}."
            )
        if self.copies:
            notes.append(f"{len(self.copies)} copies of other images were left out.")
        if self.lookalikes:
            named = "; ".join(" ~ ".join(group[:5]) for group in self.lookalikes[:5])
            notes.append(
                f"{len(self.lookalikes)} groups of images look the same but have different "
                f"categories: {named}."
            )
        return notes


def clean(data: CategorisedImages, sha256s: Sequence[bytes], hashes: np.ndarray) -> Cleaned:
    """Leave out copies and contradictions, group near duplicates, and log what was found.

    Args:
        data: the labelled images.
        sha256s: content of each, (n).
        hashes: perceptual hash of each, (n, bytes) uint8.
    """
    places: dict[bytes, list[int]] = {}
    for index, sha256 in enumerate(sha256s):
        places.setdefault(sha256, []).append(index)
    paths, labels = data.paths, data.labels
    kept, conflicts, copies = [], [], []
    for same in places.values():
        if len({int(labels[index]) for index in same}) > 1:
            conflicts.append([paths[index] for index in same])
        else:
            kept.append(same[0])
            copies += [paths[index] for index in same[1:]]
    keep = np.array(sorted(kept), np.intp)
    groups = duplicates.groups([sha256s[index] for index in keep.tolist()], hashes[keep])
    data = data.only([paths[index] for index in keep.tolist()])
    lookalikes = _torn(data, groups)
    if conflicts:
        logger.warning(
            "%d images lie in several categories and are not used: %s",
            len(conflicts),
            _some([" = ".join(same) for same in conflicts]),
        )
    if copies:
        logger.info("%d copies of other images are left out: %s", len(copies), _some(copies))
    if lookalikes:
        logger.warning(
            "%d groups of images look the same but have different categories: %s",
            len(lookalikes),
            _some([" ~ ".join(group[:_NAMED]) for group in lookalikes]),
        )
    return Cleaned(data, keep, groups, conflicts, copies, lookalikes)


def _torn(data: CategorisedImages, groups: np.ndarray) -> list[list[str]]:
    """Groups with more than one category."""
    order = np.argsort(groups, kind="stable")
    edges = np.flatnonzero(np.diff(groups[order])) + 1
    paths = data.paths
    return [
        [paths[index] for index in members]
        for members in np.split(order, edges)
        if len(np.unique(data.labels[members])) > 1
    ]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
