"""Copies among labelled images: which to use, and which belong together."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from src.dataset import duplicates
from src.dataset.labelled import LabelledImages, some

logger = logging.getLogger(__name__)


class Distinct(NamedTuple):
    """Which of some images to use, by their places."""

    kept: np.ndarray  # rising
    conflicts: list[list[int]]  # identical images with different labels; none of them is kept
    copies: list[int]  # of images that are kept


def distinct(sha256s: Sequence[bytes], labels: np.ndarray) -> Distinct:
    """Of identical images keep the first, or none if their labels differ."""
    places: dict[bytes, list[int]] = {}
    for index, sha256 in enumerate(sha256s):
        places.setdefault(sha256, []).append(index)
    conflicts = [
        same for same in places.values() if len(same) > 1 and len(np.unique(labels[same])) > 1
    ]
    torn = {same[0] for same in conflicts}
    usable = [same for same in places.values() if same[0] not in torn]
    kept = np.array([same[0] for same in usable], np.intp)
    return Distinct(kept, conflicts, [copy for same in usable for copy in same[1:]])


class Deduplicated(NamedTuple):
    """Images without copies."""

    data: LabelledImages  # its notes say what was found
    kept: np.ndarray  # places among the images given, (n,) int
    groups: np.ndarray  # near duplicates share a number, (n,) int: one side of a split for all


def deduplicate(data: LabelledImages, sha256s: Sequence[bytes], hashes: np.ndarray) -> Deduplicated:
    """Leave out copies and contradictions, group near duplicates, and log what was found.

    Images have one class each; perceptual hashes are (n, bytes) uint8.
    """
    paths = data.paths
    kept, conflicts, copies = distinct(sha256s, data.labels)
    groups = duplicates.groups([sha256s[index] for index in kept], hashes[kept])
    data = data.only([paths[index] for index in kept])
    lookalikes = _of_several_classes(data, groups)
    notes = []
    if conflicts:
        named = some([" = ".join(paths[index] for index in same) for same in conflicts])
        notes.append(
            f"{len(conflicts)} images lie in several categories and are not used: {named}."
        )
    if copies:
        named = some([paths[index] for index in copies])
        notes.append(f"{len(copies)} copies of other images are left out: {named}.")
    if lookalikes:
        named = some([" ~ ".join(group[:5]) for group in lookalikes])
        notes.append(
            f"{len(lookalikes)} groups of images look the same but have different categories: "
            f"{named}."
        )
    for note in notes:
        logger.warning("%s", note)
    return Deduplicated(replace(data, notes=(*data.notes, *notes)), kept, groups)


def _of_several_classes(data: LabelledImages, groups: np.ndarray) -> list[list[str]]:
    order = np.argsort(groups, kind="stable")
    edges = np.flatnonzero(np.diff(groups[order])) + 1
    paths = data.paths
    return [
        [paths[index] for index in members]
        for members in np.split(order, edges)
        if len(np.unique(data.labels[members])) > 1
    ]
