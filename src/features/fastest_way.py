"""What is known of how fast a network runs on this computer, kept in the user's cache.

For each network there is a folder with `ways.json` and, where ONNX Runtime was tried, the exported
network with its sha256. They belong to the computer, not to an image folder: that may be shared.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple, Self

from src.errors import ModelError
from src.features.onnx_network import OnnxNetwork
from src.files import cache_root, read_json, replacing, write_text

VERSION = 1  # of how ways are measured and networks exported
HALVES = ("bfloat16", "float16")
_EXPORT = "network.onnx"
_KEPT = 12  # networks; the one that was used longest ago makes room


class Way(NamedTuple):
    """Of running a network: float32, bfloat16, float16 (torch) or onnx (ONNX Runtime)."""

    name: str
    images: int  # in one pass
    seconds: float | None = None  # for one image on one core; None: not measured, or not usable


@dataclass
class KnownWays:
    """The ways that were tried with one network."""

    folder: Path
    ways: dict[str, Way] = field(default_factory=dict)
    sha256: str = ""  # of the exported network

    @classmethod
    def read(cls, identity: str, device: str) -> Self:
        """Of a network on this kind of device; empty where nothing usable is known."""
        versions = [_version(name) for name in ("torch", "transformers", "onnxruntime", "onnx")]
        made_for = [VERSION, identity, device, _processor(), *versions]
        digest = hashlib.sha256(json.dumps(made_for).encode()).hexdigest()[:24]
        found = cls(cache_root() / "networks" / digest)
        with suppress(OSError, ValueError, TypeError, KeyError):
            content = read_json(found.folder / "ways.json")
            ways = {str(name): Way(str(name), *rest) for name, rest in content["ways"].items()}
            if ways["float32"].seconds and all(w.images >= 0 for w in ways.values()):
                found.ways, found.sha256 = ways, str(content["sha256"])
            os.utime(found.folder)
        return found

    def add(self, way: Way) -> None:
        self.ways[way.name] = way

    def fastest(self, precision: str) -> Way:
        """`precision`: auto, or float32, which ONNX Runtime keeps."""
        usable = [way for way in self.ways.values() if way.seconds is not None]
        if precision == "float32":
            usable = [way for way in usable if way.name not in HALVES]
        return min(usable, key=lambda way: way.seconds or 0.0)

    def save(self) -> None:
        """Where the cache can be written; otherwise the next run finds it out again."""
        content = {"ways": {w.name: w[1:] for w in self.ways.values()}, "sha256": self.sha256}
        with suppress(OSError):
            write_text(self.folder / "ways.json", json.dumps(content))
            if self.fastest("float32").name != "onnx":
                (self.folder / _EXPORT).unlink(missing_ok=True)
            others = sorted(self.folder.parent.iterdir(), key=lambda folder: folder.stat().st_mtime)
            for folder in others[:-_KEPT]:
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def exporting(self) -> Iterator[Path]:
        """Where to write the exported network."""
        with replacing(self.folder / _EXPORT) as file:
            yield file
            self.sha256 = _sha256(file)

    def open_export(self) -> OnnxNetwork | None:
        """The exported network, if it is as it was written."""
        file = self.folder / _EXPORT
        with suppress(OSError, ModelError):
            if _sha256(file) == self.sha256:
                return OnnxNetwork(file, "ONNX Runtime", threads=1)
        return None


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _version(package: str) -> str:
    with suppress(PackageNotFoundError):
        return version(package)
    return ""


def _processor() -> str:
    import torch

    features: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return f"{os.cpu_count()} {sorted(features.items())}"
