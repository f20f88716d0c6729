"""What a model has seen: the contents that it, or a model it comes from, was made with.

"Seen" means fitted, selected, calibrated or thresholded on. Such an image never counts as unseen
again, under whatever name, in whatever folder and with whatever seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from src.dataset.duplicates import near_duplicate_groups
from src.errors import ModelError
from src.files import read_safetensors, write_safetensors

FILE_NAME = "trained_on.safetensors"
_BYTES = 32  # of a sha256, and of a perceptual hash


def _none() -> np.ndarray:
    return np.empty((0, _BYTES), np.uint8)


@dataclass(frozen=True)
class TrainedOn:
    """Images by content and by look."""

    sha256s: np.ndarray = field(default_factory=_none)  # (n, 32) uint8, each once
    hashes: np.ndarray = field(default_factory=_none)  # their perceptual hashes, (n, 32) uint8
    unknown: tuple[str, ...] = ()  # ancestors that do not say what they have seen

    def __len__(self) -> int:
        return len(self.sha256s)

    @classmethod
    def of(cls, sha256s: Sequence[bytes], hashes: np.ndarray, unknown: Sequence[str] = ()) -> Self:
        """These images and nothing else; `hashes` is (n, 32) uint8."""
        if not len(sha256s):
            return cls(unknown=tuple(unknown))
        contents = np.frombuffer(b"".join(sha256s), np.uint8).reshape(-1, _BYTES)
        contents, first = np.unique(contents, axis=0, return_index=True)
        return cls(contents, np.asarray(hashes, np.uint8)[first], tuple(unknown))

    def __or__(self, other: "TrainedOn") -> "TrainedOn":
        """What either has seen."""
        contents = [row.tobytes() for row in np.concatenate([self.sha256s, other.sha256s])]
        unknown = tuple(dict.fromkeys(self.unknown + other.unknown))
        return TrainedOn.of(contents, np.concatenate([self.hashes, other.hashes]), unknown)

    def seen(self, sha256s: Sequence[bytes], hashes: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Which of some images were seen, themselves or a near duplicate of them, (n,) bool.

        Their hashes are (n, 32) uint8; near duplicates among them share a number in `groups`.
        """
        known = {row.tobytes() for row in self.sha256s}
        seen = np.array([content in known for content in sha256s], dtype=bool)
        if len(self) and not seen.all():
            labels = near_duplicate_groups(np.concatenate([hashes, self.hashes]))
            seen |= np.isin(labels[: len(seen)], labels[len(seen) :])
        return np.isin(groups, groups[seen])

    def save(self, folder: Path) -> None:
        """Write `trained_on.safetensors` into a model's folder."""
        images = {"sha256s": self.sha256s, "perceptual_hashes": self.hashes}
        write_safetensors(folder / FILE_NAME, images, {"unknown": "\n".join(self.unknown)})

    @classmethod
    def load(cls, model: Path) -> "TrainedOn":
        """What a model (its folder, or a file in it) has seen; without the file it does not say."""
        path = (model if model.is_dir() else model.parent) / FILE_NAME
        if not path.exists():
            return cls(unknown=(model.name,))
        arrays, texts = read_safetensors(path)
        missing = np.empty(0)
        sha256s, hashes = (arrays.get(name, missing) for name in ("sha256s", "perceptual_hashes"))
        shape = (sha256s.size // _BYTES, _BYTES)
        if any(array.dtype != np.uint8 or array.shape != shape for array in (sha256s, hashes)):
            raise ModelError(f"{path} is damaged: train the model again")
        unknown = texts.get("unknown", "").split("\n")
        return cls(sha256s, hashes, tuple(name for name in unknown if name))
