"""Groups of images that are the same or look the same, and whether they bear both labels."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from src.dataset.duplicates import (
    SIMILARITY,
    Duplicate,
    Pairs,
    are_identical,
    around_the_best,
    groups,
    labels_conflict,
    similar_pairs,
)
from src.features import FeatureStore, compute_features, open_store
from src.images import ImageFile, pixels_of, scan_images
from src.images.perceptual_hash import HASH_BYTES
from src.text import counted

logger = logging.getLogger(__name__)


class Found(NamedTuple):
    """What was found in a folder."""

    images: int  # that could be read
    groups: list[list[Duplicate]]  # of two images or more, the largest file first
    unreadable: dict[str, str]  # path -> why


def find_duplicates(
    directory: Path,
    *,
    keep: Sequence[str] = (),
    delete: Sequence[str] = (),
    store_folder: Path | str = "",
    similarity: float = SIMILARITY,
) -> Found:
    """Look for copies and near copies below a folder; hashes are kept between calls.

    Images in the folders right below it that `keep` and `delete` name bear these labels. Features
    of a vision model that are kept already make near duplicates too, from the cosine `similarity`
    below 1. Groups with both labels come first, then exact copies, then near ones; each by path.
    """
    files = scan_images(directory)
    with open_store(directory, store_folder) as store:
        table = compute_features(directory, files, [], store)
        paths, sha256s = table.paths, table.sha256s
        alike = _alike(store, sha256s, similarity) if similarity < 1 else ()
    sizes = {file.path: file.size for file in files}
    labels = {name.casefold(): "keep" for name in keep} | {n.casefold(): "delete" for n in delete}
    member = groups(sha256s, table.perceptual_hashes, alike)
    order = np.argsort(member, kind="stable")
    found = []
    for members in np.split(order, np.flatnonzero(np.diff(member[order])) + 1):
        if len(members) < 2:
            continue
        largest_first = sorted(members.tolist(), key=lambda i: (-sizes[paths[i]], paths[i]))
        hashes = table.perceptual_hashes[largest_first]
        bits = np.bitwise_count(hashes ^ hashes[0]).sum(axis=1, dtype=int).tolist()
        group = []
        for i, different in zip(largest_first, bits, strict=True):
            label = labels.get(paths[i].partition("/")[0].casefold(), "")
            group.append(Duplicate(paths[i], sizes[paths[i]], sha256s[i], different, label))
        found.append(group)
    found.sort(key=lambda group: (not labels_conflict(group), not are_identical(group), group[0]))
    return Found(len(paths), found, table.unreadable)


def rated_as_one(
    directory: Path, files: Sequence[ImageFile], store: FeatureStore
) -> list[list[str]]:
    """Near duplicates by the stored hashes, in groups from the one that looks best.

    That is the one of the most pixels, then the largest file. Features are left out here: they
    find images of one subject alike that a person may like differently.
    """
    known, looks = store.known_files(files), store.perceptual_hashes()
    files = [file for file in files if known.get(file.path) in looks]
    sha256s = [known[file.path] for file in files]
    joined = b"".join([looks[sha256] for sha256 in sha256s])
    hashes = np.frombuffer(joined, np.uint8).reshape(len(files), HASH_BYTES)

    def rank(place: int) -> tuple[int, ...]:
        file = files[place]
        return pixels_of(directory / file.path), file.size, -place

    found = around_the_best(groups(sha256s, hashes), hashes, rank)
    return [[files[place].path for place in group] for group in found]


def _alike(store: FeatureStore, sha256s: Sequence[bytes], similarity: float) -> list[Pairs]:
    """Positions of images whose features are alike, by the vision model that describes most."""
    described = store.described(sha256s)
    chosen = max(described, key=lambda identity: len(described[identity]), default="")
    position = {sha256: i for i, sha256 in reversed(list(enumerate(sha256s)))}
    compared = sorted(described.get(chosen, ()), key=position.__getitem__)
    if len(compared) < 2:
        return []
    logger.info("Also compared: the stored features of %s", counted(len(compared), "image"))
    positions = np.array([position[sha256] for sha256 in compared])
    pairs = similar_pairs(store.vectors(chosen, compared), similarity=similarity)
    return [(positions[left], positions[right]) for left, right in pairs]


def rows(groups: Sequence[Sequence[Duplicate]]) -> list[tuple[object, ...]]:
    """The table, a heading first."""
    return [
        ("group", "kind", "path", "bytes", "different_bits", "label"),
        *(
            (number, kind, image.path, image.size, image.different_bits, image.label)
            for number, group in enumerate(groups, start=1)
            for image in group
            for kind in ["exact" if image.sha256 == group[0].sha256 else "near"]
        ),
    ]
