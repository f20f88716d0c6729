"""Which of the features that a store holds to use, where a script computes none itself."""

from collections.abc import Sequence
from pathlib import Path

from src.features.hub import OPENAI_NAMES, folder_identity
from src.features.store import FeatureStore
from src.images import ImageFile


def kept_identity(store: FeatureStore, files: Sequence[ImageFile], preferred: str) -> str:
    """The extractor whose features to use: `preferred`, or else the one that describes most.

    It must describe half of the images, and not be the built-in one.

    Args:
        store: the kept features.
        files: the images of the folder.
        preferred: a `feature_extractor` setting; the first of several joined with `+` counts.

    Returns:
        Its identity; "" where there is none.
    """
    sha256s = set(store.known_files(files).values())
    described = {
        identity: sha256s & store.holds(identity)
        for identity in store.identities()
        if not identity.startswith("builtin")
    }
    wanted = _part_of_identity(preferred.partition("+")[0].strip())
    for identity in sorted(described, key=lambda i: (wanted in i, len(described[i])), reverse=True):
        if described[identity] and 2 * len(described[identity]) >= len(files):
            return identity
    return ""


def _part_of_identity(name: str) -> str:
    """What the identity of a vision model holds; found without the network."""
    if Path(name, "config.json").is_file():
        return f"|{folder_identity(Path(name))}|"
    return f"|{OPENAI_NAMES.get(name, name)}@"
