"""Groups of images that are the same or look the same, and whether they bear both labels."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.dataset.duplicates import SIMILARITY, Pairs, groups, similar_pairs
from src.features import FeatureStore, compute_features, open_store
from src.images import ImageFile, scan_images

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Group:
    """Images that belong together, the largest file first.

    Attributes:
        files: the images.
        sha256s: their contents.
        bits: by how many of 256 bits the perceptual hash of each differs from the first one's.
        labels: "keep", "delete" or "" of each.
    """

    files: tuple[ImageFile, ...]
    sha256s: tuple[bytes, ...]
    bits: tuple[int, ...]
    labels: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """All of them are the same file."""
        return len(set(self.sha256s)) == 1

    @property
    def torn(self) -> bool:
        """It holds kept and deleted images."""
        return len(set(self.labels) - {""}) > 1


@dataclass(frozen=True)
class Found:
    """What was found in a folder: how many images were read, and the groups of two or more."""

    images: int
    groups: list[Group]
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
    readable = set(table.paths)
    present = [file for file in files if file.path in readable]
    hashes = table.perceptual_hashes
    member = groups(sha256s, hashes, alike)
    words = {name.casefold(): "keep" for name in keep} | {n.casefold(): "delete" for n in delete}
    order = np.argsort(member, kind="stable")
    borders = np.flatnonzero(np.diff(member[order])) + 1
    found = []
    for members in np.split(order, borders):
        if len(members) < 2:
            continue
        part = sorted(members.tolist(), key=lambda i: (-present[i].size, present[i].path))
        first = hashes[part[0]]
        bits = np.bitwise_count(hashes[part] ^ first).sum(axis=1, dtype=int)
        found.append(
            Group(
                tuple(present[i] for i in part),
                tuple(sha256s[i] for i in part),
                tuple(bits.tolist()),
                tuple(words.get(present[i].path.partition("/")[0].casefold(), "") for i in part),
            )
        )
    found.sort(key=lambda group: (not group.torn, not group.exact, group.files[0].path))
    return Found(len(present), found, table.unreadable)


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


def rows(found: Found) -> list[tuple[str, ...]]:
    """The table: group, kind, path, bytes, differing bits, label; a heading first."""
    table: list[tuple[str, ...]] = [("group", "kind", "path", "bytes", "different_bits", "label")]
    for number, group in enumerate(found.groups, start=1):
        first = group.sha256s[0]
        for file, sha256, bits, label in zip(
            group.files, group.sha256s, group.bits, group.labels, strict=True
        ):
            kind = "exact" if sha256 == first else "near"
            table.append((str(number), kind, file.path, str(file.size), str(bits), label))
    return table
