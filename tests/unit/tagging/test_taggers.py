"""Opening the folders of tagging models."""

import sys

import pytest

from src.errors import MissingExtra, ModelError
from src.tagging.selected_tags import SelectedTag, write_selected_tags
from src.tagging.taggers import members, open_tagger


@pytest.fixture
def folder(tmp_path):
    write_selected_tags(tmp_path / "selected_tags.csv", [SelectedTag(0, "cat", 0, 1)])
    return tmp_path


def test_folders_that_are_no_tagging_model(tmp_path):
    with pytest.raises(ModelError, match="there is no model folder"):
        open_tagger(tmp_path / "no")
    with pytest.raises(ModelError, match=r"holds no selected_tags\.csv"):
        open_tagger(tmp_path, backend="torch")


def test_folders_without_a_network(folder):
    with pytest.raises(ModelError, match=r"has no config\.json"):
        open_tagger(folder)
    with pytest.raises(ModelError, match=r"holds no model\.onnx"):
        open_tagger(folder, backend="onnx")
    (folder / "model.onnx").write_bytes(b"nothing")
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"model\.onnx cannot be loaded"):
        open_tagger(folder)


def test_without_onnx_runtime_the_weights_are_used(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (folder / "model.onnx").write_bytes(b"x")
    with pytest.raises(MissingExtra, match=r"run\.py install onnxruntime"):  # it is all there is
        open_tagger(folder)
    (folder / "model.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"has no config\.json"):  # which torch reads
        open_tagger(folder)
    with pytest.raises(MissingExtra, match="onnxruntime"):
        open_tagger(folder, backend="onnx")


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"models": ["gone"]}', '{"models": 3}', '{"models": []}']
)
def test_a_damaged_ensemble(tmp_path, text):
    (tmp_path / "ensemble.json").write_text(text)
    with pytest.raises(ModelError):
        members(tmp_path)
