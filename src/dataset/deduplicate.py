"""Copies among images with one class each: which to use, and which belong together."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from src.dataset import duplicates
from src.dataset.labelled import LabelledImages, some

logger = logging.getLogger(__name__)


class Deduplicated(NamedTuple):
    """Images without copies.

    Attributes:
        data: the images to use; its notes say what was found.
        kept: their places among the images given, (n,) int.
        groups: near duplicates share a number, (n,) int; they must stay on one side of a split.
    """

    data: LabelledImages
    kept: np.ndarray
    groups: np.ndarray


def deduplicate(data: LabelledImages, sha256s: Sequence[bytes], hashes: np.ndarray) -> Deduplicated:
    """Leave out copies and contradictions, group near duplicates, and log what was found.

    Args:
        data: images with one class each.
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
    lookalikes = _of_several_classes(data, groups)
    notes = []
    if conflicts:
        named = some([" = ".join(same) for same in conflicts])
        notes.append(
            f"{len(conflicts)} images lie in several categories and are not used: {named}."
        )
    if copies:
        notes.append(f"{len(copies)} copies of other images are left out: {some(copies)}.")
    if lookalikes:
        named = some([" ~ ".join(group[:5]) for group in lookalikes])
        notes.append(
            f"{len(lookalikes)} groups of images look the same but have different categories: "
            f"{named}."
        )
    for note in notes:
        logger.warning("%s", note)
    return Deduplicated(replace(data, notes=(*data.notes, *notes)), keep, groups)


def _of_several_classes(data: LabelledImages, groups: np.ndarray) -> list[list[str]]:
    """Groups with more than one class, each as its paths."""
    order = np.argsort(groups, kind="stable")
    edges = np.flatnonzero(np.diff(groups[order])) + 1
    paths = data.paths
    return [
        [paths[index] for index in members]
        for members in np.split(order, edges)
        if len(np.unique(data.labels[members])) > 1
    ]
