"""Fixtures and helpers that many tests share."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

# A shell that starts the tests in the background has them ignore Ctrl-C, and so the scripts that
# they start; the tests that press it need it heard.
signal.signal(signal.SIGINT, signal.default_int_handler)

IN_CI = os.environ.get("CI", "").lower() == "true"
IN_WORKER = "PYTEST_XDIST_WORKER" in os.environ
ASSETS_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "assets"

# The same examples at every run; a slow machine is no failure.
settings.register_profile("project", deadline=None, derandomize=True, database=None)
settings.load_profile("project")

# What programs keep for a computer, such as exported networks, stays out of the user's own cache.
os.environ["XDG_CACHE_HOME"] = str(Path(tempfile.gettempdir()) / "image-taste-tests")

if IN_WORKER:  # as many processes as cores already; the scripts that tests start inherit this
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"


@pytest.fixture(scope="session")
def real_assets() -> Path:
    """The folder of real data that REAL_ASSETS names; without it the test is skipped.

    It is never skipped where the data must be: in CI with the folder beside the checkout.
    """
    named = os.environ.get("REAL_ASSETS")
    if not named:
        if IN_CI and ASSETS_BESIDE.is_dir():
            pytest.fail(f"REAL_ASSETS is not set, but {ASSETS_BESIDE} is there")
        pytest.skip("REAL_ASSETS is not set")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"REAL_ASSETS names {named}, which is not a folder")
    return folder


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless Chromium for pages."""
    from tests.browser import open_browser

    window = open_browser(tmp_path_factory.mktemp("downloads"))
    yield window
    window.quit()


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """A screen to open windows on: the name for DISPLAY, "" on systems without X.

    Starts a virtual one where there is no DISPLAY, and one for each worker of a parallel run, so
    that windows do not take the keyboard from each other. Without any the test is skipped, but
    fails in CI.
    """
    if sys.platform in ("win32", "darwin"):
        yield ""
        return
    before = os.environ.get("DISPLAY")
    if before and not IN_WORKER:
        yield before
        return
    xvfb = shutil.which("Xvfb")
    if xvfb is None and not before:
        (pytest.fail if IN_CI else pytest.skip)("there is no DISPLAY and Xvfb is not installed")
    if xvfb is None:
        yield str(before)
        return
    read, write = os.pipe()
    server = subprocess.Popen(
        [xvfb, "-displayfd", str(write), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as answer:
        number = answer.readline().strip()  # empty if the server ended
    try:
        if not number:
            pytest.fail("Xvfb did not start")
        os.environ["DISPLAY"] = f":{number}"
        yield os.environ["DISPLAY"]
    finally:
        if before is None:
            os.environ.pop("DISPLAY", None)
        else:
            os.environ["DISPLAY"] = before
        server.terminate()
        server.wait()


def make_image(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A small RGB picture somewhat like a photograph; another seed, a clearly different one."""
    rng = np.random.default_rng(seed)
    cells = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    smooth = np.asarray(cells.resize(size, Image.Resampling.BICUBIC), dtype=np.float64)
    grain = rng.normal(0, rng.uniform(1, 12), (size[1], size[0], 1))
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def make_images(
    folder: Path, n: int, size: tuple[int, int] = (64, 48), suffix: str = ".png", seed: int = 0
) -> list[Path]:
    """Write `n` pictures, 000.png, 001.png ..., into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{index:03d}{suffix}" for index in range(n)]
    for index, path in enumerate(paths):
        make_image(seed * 100_003 + index, size).save(path)
    return paths
