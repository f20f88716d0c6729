"""Damaged model files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from src.aesthetic.formats.tensors import read_tensors
from src.errors import ModelError


@given(st.data())
def test_damage_is_a_model_error_or_another_value(tmp_path_factory, data):
    content = bytearray(save({"a": example(), "b": example() + 1}, {"k": "v"}))
    path = tmp_path_factory.mktemp("damage") / "x.safetensors"
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
        path.write_bytes(content)
        with pytest.raises(ModelError, match="safetensors"):
            read_tensors(path)
        return
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        read_tensors(path)
    except ModelError as error:
        assert "safetensors" in str(error)


def example():
    import numpy as np

    return np.arange(6, dtype=np.float32).reshape(2, 3)
