import errno
import os
from pathlib import Path

import pytest

from tests.file_changes import IMAGES


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "images"
    (images / "sub").mkdir(parents=True)
    for number, name in enumerate([*IMAGES, "a.xmp", "b.jpg.txt", "sub/c.txt"]):
        (images / name).write_bytes(name.encode() * 50)
        os.utime(images / name, ns=(10**18 + number, 1_600_000_000_123_456_700 + number * 10**12))
    return images


@pytest.fixture
def another_file_system(monkeypatch):
    rename = os.rename

    def across(source, target):
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(os, "rename", across)
