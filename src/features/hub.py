"""Where a model's files are: a folder of the user's, or the hub's local cache, filled on demand."""

import hashlib
import logging
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from src.errors import ModelError
from src.files import read_json

logger = logging.getLogger(__name__)

OPENAI_NAMES = {
    "ViT-B/32": "openai/clip-vit-base-patch32",
    "ViT-B/16": "openai/clip-vit-base-patch16",
    "ViT-L/14": "openai/clip-vit-large-patch14",
    "ViT-L/14@336px": "openai/clip-vit-large-patch14-336",
}

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_TEXT_FILES = ["*.json", "*.txt", "*.model", "README.md"]
_CHUNK, _CHUNKS = 1 << 16, 256


class NotFetched(ModelError):
    """There is no network, or no such model; what can be done instead may be added to its line."""


class ModelFiles(NamedTuple):
    """A model on this machine."""

    name: str  # on the hub, or as the user wrote it
    folder: Path
    model_type: str  # as its config.json says: "clip", "siglip", "vit" ...
    identity: str  # changes whenever the files do


def resolve_model(name: str) -> ModelFiles:
    """Find a transformers model: a local folder, or a hub name (fetched if not there yet)."""
    name = OPENAI_NAMES.get(name, name)
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"{name!r} has no config.json: it is not a transformers model "
                "(score_images uses models of your taste)"
            )
        return ModelFiles(name, folder, _model_type(folder), folder_identity(folder))
    if not _HUB_NAME.fullmatch(name):
        raise ModelError(f"there is no model folder {name!r}, and no model of that name on the hub")
    folder = _hub_folder(name)
    return ModelFiles(name, folder, _model_type(folder), f"{name}@{folder.name[:12]}")


def folder_identity(folder: Path) -> str:
    """A model folder's type and a digest of its files, the same wherever the folder lies."""
    digest = hashlib.sha256()
    described = {"config.json", "preprocessor_config.json"}
    for file in sorted(folder.iterdir()):
        wanted = file.name in described or file.suffix in {".safetensors", ".bin"}
        if wanted and file.is_file():
            digest.update(f"{file.name}:{file.stat().st_size}:".encode())
            _sample(file, digest)
    return f"{_model_type(folder)}:{digest.hexdigest()[:16]}"


def license_of(folder: Path) -> str:
    """The licence that the card of a model names, as the hub abbreviates it; "" if it does not."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = re.match(r"---\n(?:(?!---).*\n)*?license: *['\"]?([\w.+-]{1,40})", text)
    return found[1] if found else ""


def file_identity(file: Path) -> str:
    """A digest of one large file, such as a network."""
    digest = hashlib.sha256(str(file.stat().st_size).encode())
    _sample(file, digest)
    return digest.hexdigest()[:16]


def _model_type(folder: Path) -> str:
    try:
        return str(read_json(folder / "config.json").get("model_type", "model"))
    except (OSError, ValueError):
        raise ModelError(f"{folder / 'config.json'} is damaged: fetch the model again") from None


def _sample(file: Path, digest: "hashlib._Hash") -> None:
    """Small files whole; of larger ones 256 evenly spaced pieces, 16 MiB in all."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        if size <= _CHUNK * _CHUNKS:
            digest.update(stream.read())
            return
        for piece in range(_CHUNKS):
            stream.seek((size - _CHUNK) * piece // (_CHUNKS - 1))
            digest.update(stream.read(_CHUNK))


def _hub_folder(name: str) -> Path:
    from huggingface_hub import constants, hf_hub_download, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
        if (folder / "config.json").is_file() and _has_weights(folder):
            return folder
    except LocalEntryNotFoundError:
        pass
    try:
        for weights in ("*.safetensors", "pytorch_model*.bin"):
            files = snapshot_download(name, allow_patterns=[*_TEXT_FILES, weights], dry_run=True)
            if not any(fnmatch(file.filename, weights) for file in files):
                continue
            size = sum(file.file_size or 0 for file in files if file.will_download)
            say_download(name, size, Path(constants.HF_HUB_CACHE))
            for file in files:  # not in threads, which Ctrl-C would wait for
                path = Path(hf_hub_download(name, file.filename, revision=file.commit_hash))
            return path.parents[file.filename.count("/")]
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError, ValueError):
        raise NotFetched(
            f"the model {name!r} could not be fetched (no network, or no such model): check the "
            "name, or give the folder of a model that is on this computer"
        ) from None
    raise ModelError(f"the model {name!r} has no weights that transformers can load")


def say_download(name: str, size: int, folder: Path) -> None:
    """What is going to be fetched, how much that is, and where it goes."""
    logger.info(
        "Fetching %s, once: %s into %s. Ctrl-C stops it; the next run fetches the rest.",
        name, f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB", folder,
    )  # fmt: skip


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin"))
