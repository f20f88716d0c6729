"""Files beside an image that belong to it: ratings of photo programs (.xmp) and tag files (.txt).

They travel with their image. `image.xmp` beside both `image.jpg` and `image.cr2` may belong to
either, so it stays where it is.
"""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

SUFFIXES = frozenset({".xmp", ".txt"})


def sidecars(directory: Path, images: Iterable[str]) -> dict[str, list[str]]:
    """The sidecars of each image; all paths relative to the folder, with forward slashes."""
    folders: dict[PurePosixPath, tuple[dict[str, list[str]], Counter[str]]] = {}
    found = {}
    for image in images:
        path = PurePosixPath(image)
        if path.parent not in folders:
            folders[path.parent] = _look(directory / path.parent)
        by_base, owners = folders[path.parent]
        names = list(by_base.get(path.name, []))
        if owners[path.stem] == 1:
            names += by_base.get(path.stem, [])
        found[image] = [str(path.with_name(name)) for name in names]
    return found


def names_beside(image: str) -> list[str]:
    """An image's path and all that its sidecars could have."""
    stem = str(PurePosixPath(image).with_suffix(""))
    return [image, *(f"{base}{suffix}" for base in (image, stem) for suffix in sorted(SUFFIXES))]


def renamed(sidecar: str, image: str, new_image: str) -> str:
    """What the sidecar of an image is called when the image is called otherwise."""
    if sidecar.startswith(f"{image}."):
        return new_image + sidecar.removeprefix(image)
    return str(PurePosixPath(new_image).with_suffix(PurePosixPath(sidecar).suffix))


def _look(folder: Path) -> tuple[dict[str, list[str]], Counter[str]]:
    """The sidecars of a folder by what they are called after, and how often others could own it."""
    names = sorted(name for name in os.listdir(folder) if os.path.isfile(folder / name))
    by_base: dict[str, list[str]] = {}
    owners: Counter[str] = Counter()
    for name in names:
        base, suffix = os.path.splitext(name)
        if suffix.lower() in SUFFIXES:
            by_base.setdefault(base, []).append(name)
        else:
            owners.update((base, name))
    return by_base, owners
