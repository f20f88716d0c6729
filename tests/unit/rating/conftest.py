"""A folder to rate."""

import pytest

from tests.unit.rating.folders import make_folder


@pytest.fixture
def folder(tmp_path):
    make_folder(tmp_path, 12)
    return tmp_path
