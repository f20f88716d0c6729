"""Copies among labelled images: which to use, and which belong together."""

import logging
from collections.abc import Hashable, Iterable, Sequence
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
    same = _groups(sha256s)
    conflicts = _of_several_labels(same, labels)
    torn = {group[0] for group in conflicts}
    usable = [group for group in same if group[0] not in torn]
    kept = np.array([group[0] for group in usable], np.intp)
    return Distinct(kept, conflicts, [copy for group in usable for copy in group[1:]])


def report_conflicts(paths: Sequence[str], found: Distinct) -> list[str]:
    """Log what is left out of the images with these paths; returns it as sentences."""
    torn = [" = ".join(paths[index] for index in group) for group in found.conflicts]
    copies = [paths[index] for index in found.copies]
    return [
        *_told("images lie in folders of different labels and are not used", torn),
        *_told("copies of other images are left out", copies),
    ]


def _told(what: str, named: list[str]) -> list[str]:
    if not named:
        return []
    note = f"{len(named)} {what}: {some(named)}."
    logger.warning("%s", note)
    return [note]


def _groups(keys: Iterable[Hashable]) -> list[list[int]]:
    """The places of equal keys, in the order in which the keys first appear."""
    places: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        places.setdefault(key, []).append(index)
    return list(places.values())


def _of_several_labels(groups: Iterable[list[int]], labels: np.ndarray) -> list[list[int]]:
    return [group for group in groups if len(group) > 1 and len(np.unique(labels[group])) > 1]


class Deduplicated(NamedTuple):
    """Images without copies."""

    data: LabelledImages  # its notes say what was found
    kept: np.ndarray  # places among the images given, (n,) int
    groups: np.ndarray  # near duplicates share a number, (n,) int: one side of a split for all


def deduplicate(data: LabelledImages, sha256s: Sequence[bytes], hashes: np.ndarray) -> Deduplicated:
    """Leave out copies and contradictions, group near duplicates, and log what was found.

    Images have one class each; perceptual hashes are (n, bytes) uint8.
    """
    found = distinct(sha256s, data.labels)
    kept, paths = found.kept, data.paths
    groups = duplicates.groups([sha256s[index] for index in kept], hashes[kept])
    notes = report_conflicts(paths, found)
    data = data.only([paths[index] for index in kept])
    lookalikes = _of_several_labels(_groups(groups.tolist()), data.labels)
    named = [" ~ ".join(data.paths[index] for index in group[:5]) for group in lookalikes]
    notes += _told("groups of images look the same but have different labels", named)
    return Deduplicated(replace(data, notes=(*data.notes, *notes)), kept, groups)
