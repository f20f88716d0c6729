"""Copies among labelled images: which to use, and which belong together."""

import logging
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from src.dataset import duplicates
from src.dataset.labelled import LabelledImages, some

logger = logging.getLogger(__name__)


def distinct(
    paths: Sequence[str], sha256s: Sequence[bytes], labels: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Of identical images keep the first, or none if their labels differ.

    Returns the places of those to use, rising, and sentences on the others, which are logged.
    """
    usable, torn = _groups(sha256s, labels)
    conflicts = [" = ".join(paths[index] for index in group) for group in torn]
    copies = [paths[index] for group in usable for index in group[1:]]
    return np.array([group[0] for group in usable], np.intp), [
        *_logged("Images in folders with different labels, not used", conflicts),
        *_logged("Copies of other images, not used", copies),
    ]


class Deduplicated(NamedTuple):
    """Images without copies."""

    data: LabelledImages  # its notes say what was found
    kept: np.ndarray  # places among the images given, (n,) int
    groups: np.ndarray  # near duplicates share a number, (n,) int: one side of a split for all


def deduplicate(data: LabelledImages, sha256s: Sequence[bytes], hashes: np.ndarray) -> Deduplicated:
    """Leave out copies and contradictions, group near duplicates, and log what was found.

    Images have one class each; perceptual hashes are (n, bytes) uint8.
    """
    kept, notes = distinct(data.paths, sha256s, data.labels)
    data = data.only([data.paths[index] for index in kept])
    groups = duplicates.groups([sha256s[index] for index in kept], hashes[kept])
    _, torn = _groups(groups.tolist(), data.labels)
    named = [" ~ ".join(data.paths[index] for index in group[:5]) for group in torn]
    notes += _logged("Groups of images that look the same but have different labels", named)
    return Deduplicated(replace(data, notes=(*data.notes, *notes)), kept, groups)


def _groups(
    keys: Iterable[Hashable], labels: np.ndarray
) -> tuple[list[list[int]], list[list[int]]]:
    """The places of equal keys, by their first appearance: those of one label, and of several."""
    places: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        places.setdefault(key, []).append(index)
    values = labels.tolist()
    parts: tuple[list[list[int]], list[list[int]]] = [], []
    for group in places.values():
        parts[len({values[index] for index in group}) > 1].append(group)
    return parts


def _logged(what: str, named: list[str]) -> list[str]:
    if not named:
        return []
    note = f"{what} ({len(named):,}): {some(named)}."
    logger.warning("%s", note)
    return [note]
