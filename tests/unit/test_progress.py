"""The progress line where tqdm is not installed."""

import io
import sys

import pytest

from src import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_without_tqdm_a_plain_line(monkeypatch, stream):
    clock = iter([0.0, 0.1, 2.0, 4.0])
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(sys, "stderr", stream())
    with progress.progress_bar(2000, "features") as bar:
        bar.update()  # too soon to show
        bar.update(999)
        bar.update(200)
    shown = sys.stderr.getvalue()
    if stream is io.StringIO:
        assert shown == ""
        return
    first, second = shown.split("\r")[1:]
    assert first.split(",   ")[0].strip() == (
        "features: 1,000 of 2,000, 500.0 images/s, 0.0 min left"
    )
    assert second.startswith("features: 1,200 of 2,000, 300.0 images/s") and second[-1] == "\n"
