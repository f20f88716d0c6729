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
    groups,
    labels_conflict,
    similar_pairs,
)
from src.features import FeatureStore, compute_features, open_store
from src.images import scan_images

logger = logging.getLogger(__name__)


class Found(NamedTuple):
    """What was found in a folder.

    Attributes:
        images: how many could be read.
        groups: of two images or more, the largest file first.
        unreadable: path -> why.
    """

    images: int
    groups: list[list[Duplicate]]
    unreadable: dict[str, str]


def find_duplicates(
    directory: Path,
    *,
    keep: Sequence[str] = (),
    delete: Sequence[str] = (),
    store_folder: Path | None = None,
    similarity: float = SIMILARITY,
) -> Found:
    """Look for copies and near copies below a folder; hashes are kept between calls.

    Args:
        directory: the images.
        keep, delete: names of folders right below it whose images bear these labels.
        store_folder: where hashes are kept; None: beside the images.
        similarity: cosine from which features of a vision model, where some are kept already,
            make near duplicates too; 1: they are not asked.

    Returns:
        Groups with both labels first, then exact copies, then near ones; each by path.

    Raises:
        DataError: no folder, or no image in it that can be read.
    """
    files = scan_images(directory)
    with open_store(directory, store_folder) as store:
        table = compute_features(directory, files, [], store)
        sha256s = table.sha256s
        alike = _alike(store, sha256s, similarity) if similarity < 1 else ()
    sizes = {file.path: file.size for file in files}
    labels = {name.casefold(): "keep" for name in keep} | {n.casefold(): "delete" for n in delete}
    member = groups(sha256s, table.perceptual_hashes, alike)
    order = np.argsort(member, kind="stable")
    found = []
    for members in np.split(order, np.flatnonzero(np.diff(member[order])) + 1):
        if len(members) < 2:
            continue
        part = sorted(members.tolist(), key=lambda i: (-sizes[table.paths[i]], table.paths[i]))
        hashes = table.perceptual_hashes[part]
        bits = np.bitwise_count(hashes ^ hashes[0]).sum(axis=1, dtype=int).tolist()
        found.append(
            [
                Duplicate(path, sizes[path], sha256s[i], different, labels.get(top.casefold(), ""))
                for i, different in zip(part, bits, strict=True)
                for path, top in [(table.paths[i], table.paths[i].partition("/")[0])]
            ]
        )
    found.sort(key=lambda group: (not labels_conflict(group), not are_identical(group), group[0]))
    return Found(len(table.paths), found, table.unreadable)


def _alike(store: FeatureStore, sha256s: Sequence[bytes], similarity: float) -> list[Pairs]:
    """Places of images whose features are alike, by the vision model that describes most of them.

    Hand-made features are passed over: their cosines tell nothing.
    """
    place = dict(zip(reversed(sha256s), reversed(range(len(sha256s))), strict=True))
    described: list[bytes] = []
    chosen = ""
    for identity in store.identities():
        if not identity.startswith("builtin"):
            here = sorted(place.keys() & store.holds(identity), key=place.__getitem__)
            if len(here) > len(described):
                described, chosen = here, identity
    if len(described) < 2:
        return []
    logger.info("Features of %s images are compared, too", f"{len(described):,}")
    places = np.array([place[sha256] for sha256 in described])
    pairs = similar_pairs(store.vectors(chosen, described), similarity=similarity)
    return [(places[left], places[right]) for left, right in pairs]


def rows(groups: Sequence[Sequence[Duplicate]]) -> list[tuple[object, ...]]:
    """The table: group, kind, path, bytes, differing bits, label; a heading first."""
    table: list[tuple[object, ...]] = [
        ("group", "kind", "path", "bytes", "different_bits", "label")
    ]
    for number, group in enumerate(groups, start=1):
        for image in group:
            kind = "exact" if image.sha256 == group[0].sha256 else "near"
            table.append((number, kind, image.path, image.size, image.different_bits, image.label))
    return table
