"""Our reader of safetensors files against the library."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save

from src.aesthetic.formats.tensors import parse_safetensors, read_tensors
from src.errors import ModelError

DTYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name != "__metadata__"
)


@given(
    st.dictionaries(NAMES, ARRAYS, min_size=1, max_size=4),
    st.none() | st.dictionaries(NAMES, NAMES),
)
def test_what_the_library_writes_is_read(arrays, metadata):
    found, texts = parse_safetensors(save(arrays, metadata))
    assert texts == (metadata or {})
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


@given(st.data())
def test_damage_is_a_model_error_or_another_value(tmp_path_factory, data):
    content = bytearray(save({"a": hnp_example(), "b": hnp_example() + 1}, {"k": "v"}))
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


def hnp_example():
    import numpy as np

    return np.arange(6, dtype=np.float32).reshape(2, 3)
