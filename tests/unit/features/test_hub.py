"""Models fetched from the hub: what is said before, and what an interruption leaves."""

from fnmatch import fnmatch
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from src.errors import ModelError
from src.features.hub import license_of, resolve_model

FILES = {"config.json": 1_000, "model.safetensors": 605_000_000, "pytorch_model.bin": 605_000_001}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub with one model; `stop_at` is a file during which Ctrl-C is pressed."""
    hub = SimpleNamespace(files=FILES, stop_at="", fetched=[])
    folder = tmp_path / "snapshots" / "0123456789abcdef"

    def snapshot(name, *, allow_patterns=(), local_files_only=False, dry_run=False):
        if local_files_only:
            if not folder.is_dir():
                raise LocalEntryNotFoundError("nothing here")
            return str(folder)
        assert dry_run  # what fetches in threads does not stop
        return [
            SimpleNamespace(filename=name, file_size=size, commit_hash=folder.name,
                            will_download=not (folder / name).exists())
            for name, size in hub.files.items()
            if any(fnmatch(name, pattern) for pattern in allow_patterns)
        ]  # fmt: skip

    def fetch(name, filename, *, revision):
        if filename == hub.stop_at:
            raise KeyboardInterrupt
        if not (folder / filename).exists():
            hub.fetched.append(filename)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / filename).write_text('{"model_type": "vit"}')
        return str(folder / filename)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return hub


def test_size_and_place_are_said_and_a_stopped_download_goes_on(hub, caplog, tmp_path):
    caplog.set_level("INFO")
    hub.stop_at = "model.safetensors"
    with pytest.raises(KeyboardInterrupt):
        resolve_model("owner/model")
    assert f"Fetching owner/model, once: 605 MB into {tmp_path}." in caplog.text
    hub.stop_at = ""
    assert resolve_model("owner/model").identity == "owner/model@0123456789ab"
    assert hub.fetched == ["config.json", "model.safetensors"]
    caplog.clear()
    resolve_model("owner/model")
    assert not caplog.text


def test_older_weights_are_taken_where_there_are_no_others(hub):
    hub.files = {name: size for name, size in FILES.items() if name != "model.safetensors"}
    resolve_model("owner/model")
    assert hub.fetched == ["config.json", "pytorch_model.bin"]


def test_a_model_without_weights_is_refused_before_anything_is_fetched(hub):
    hub.files = {"config.json": 10, "tf_model.h5": 10**9}
    with pytest.raises(ModelError, match="no weights"):
        resolve_model("owner/model")
    assert hub.fetched == []


@pytest.mark.parametrize(
    ("card", "found"),
    [
        ("---\r\ntags:\r\n- x\r\nlicense: apache-2.0\r\n---\r\n# A", "apache-2.0"),
        ("---\nlicense: 'mit'\n---\n", "mit"),
        ("---\ntags: []\n---\nlicense: mit\n", ""),  # not where the hub reads it
        ("# A model\n", ""),
        (None, ""),
    ],
)
def test_the_license_is_what_the_card_names(tmp_path, card, found):
    if card is not None:
        (tmp_path / "README.md").write_bytes(card.encode())
    assert license_of(tmp_path) == found
