"""From key press to the next pictures on the screen, in the real window on a virtual display.

Keys are pressed through the X server (XTEST) and the pictures are watched for in the server's own
frame buffer, so everything a person waits for is counted. Needs Linux, Xvfb, libXtst.

    python -m bench.window_latency

Prints one line of JSON: median, p95 and maximum in milliseconds for 12-megapixel JPEGs, while the
features of the folder are still being computed and after, also four at once and on a 4K screen; and
the seconds from the start of the script to the first pictures in a folder of 10,000 images.
"""

import ctypes
import ctypes.util
import json
import mmap
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from operator import ne
from pathlib import Path

import numpy as np
from PIL import Image

from bench import needs

ROOT = Path(__file__).parents[1]
SURROUND = 0x77
CELLS = 14  # of the bar code in each picture: enough for 16,384


class Screen:
    """A virtual X server whose pixels can be read and whose keys can be pressed."""

    def __init__(self, width: int, height: int) -> None:
        self.size = width, height
        self._folder = tempfile.mkdtemp()
        read, write = os.pipe()
        self._server = subprocess.Popen(
            [
                *("Xvfb", "-displayfd", str(write), "-screen", "0", f"{width}x{height}x24"),
                *("-fbdir", self._folder, "-nolisten", "tcp"),
            ],
            pass_fds=[write],
            stderr=subprocess.DEVNULL,
        )
        os.close(write)
        with os.fdopen(read) as answer:
            self.name = f":{answer.readline().strip()}"
        file = (Path(self._folder) / "Xvfb_screen0").open("rb")
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        header, stride = (struct.unpack_from(">I", memory, at)[0] for at in (0, 48))
        colours = struct.unpack_from(">I", memory, 76)[0]
        offset = header + 12 * colours  # XWD: header, colour map, pixels
        self.pixels = np.ndarray((height, stride // 4, 4), np.uint8, memory, offset)
        self._x11 = ctypes.CDLL("libX11.so.6")
        self._xtst = ctypes.CDLL("libXtst.so.6")
        self._x11.XOpenDisplay.restype = ctypes.c_void_p
        self._x11.XOpenDisplay.argtypes = [ctypes.c_char_p]
        self._display = ctypes.c_void_p(self._x11.XOpenDisplay(self.name.encode()))

    def press(self, keysym: str) -> None:
        """Press and release a key."""
        symbol = self._x11.XStringToKeysym(keysym.encode())
        code = self._x11.XKeysymToKeycode(self._display, ctypes.c_ulong(symbol))
        for down in (1, 0):
            self._xtst.XTestFakeKeyEvent(self._display, code, down, ctypes.c_ulong(0))
        self._x11.XFlush(self._display)

    def close(self) -> None:
        """End the server."""
        self._server.terminate()
        self._server.wait()
        shutil.rmtree(self._folder)


def code(number: int) -> list[bool]:
    """Cells, light or dark, that tell one picture from all others."""
    return [bool(number >> bit & 1) for bit in range(CELLS)]


def make_photographs(folder: Path, count: int, size: tuple[int, int]) -> None:
    """JPEGs with the detail of photographs and a bar code across the middle."""
    rng = np.random.default_rng(0)
    width, height = size
    coarse = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), np.int16)
    grain = rng.normal(0, 9, (height, width, 1)).astype(np.int16)
    base = np.clip(smooth + grain, 0, 255).astype(np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.roll(base, 97 * number, axis=1)
        for index, light in enumerate(code(number)):
            left, right = (width * (index + side) // CELLS for side in (0, 1))
            pixels[height * 4 // 10 : height * 6 // 10, left:right] = 250 if light else 5
        Image.fromarray(pixels).save(folder / f"{number:05d}.jpg", quality=90)


class Watcher:
    """Reads the bar codes of two pictures or four off the screen.

    All pictures have one size, so their places stay the same from screen to screen.
    """

    def __init__(self, screen: Screen, at_once: int = 2) -> None:
        self._screen, self._at_once = screen, at_once
        self._cells: list[tuple[np.ndarray, np.ndarray]] = []

    def find(self, timeout: float = 60) -> float:
        """Wait for the first pictures; returns when it was complete (`time.perf_counter`)."""
        end = time.perf_counter() + timeout
        while time.perf_counter() < end:
            if self._locate() and self.numbers() is not None:
                return time.perf_counter()
            time.sleep(0.001)
        raise SystemExit("no pictures came on the screen")

    def _locate(self) -> bool:
        width, height = self._screen.size
        self._cells, last = [], -height
        for y in range(0, height, 8):  # a row through both bar codes, or two such rows
            row = self._screen.pixels[y, :width, :3].astype(np.int16)
            bars = (row.min(axis=1) > 235) | (row.max(axis=1) < 20)
            columns = np.flatnonzero(bars)
            # Between a light and a dark cell there is a blurred column or two.
            runs = np.split(columns, np.flatnonzero(np.diff(columns) > 8) + 1)
            spans = [(run[0], run[-1] + 1) for run in runs if len(run) > width // 5]
            if len(spans) == 2 and y > last + height // 4:
                last = y
                self._cells += [
                    (
                        np.full(CELLS, y),
                        left + (2 * np.arange(CELLS) + 1) * (right - left) // (2 * CELLS),
                    )
                    for left, right in spans
                ]
        return len(self._cells) == self._at_once

    def numbers(self) -> tuple[int, ...] | None:
        """The numbers of the pictures; None while something else is there."""
        numbers = []
        for y, x in self._cells:
            values = self._screen.pixels[y, x, :3].astype(np.int16)
            if not ((values > 235) | (values < 20)).all():
                return None
            numbers.append(int((values[:, 0] > 128) @ (1 << np.arange(CELLS))))
        return tuple(numbers)

    def wait_for_next(self, before: tuple[int, ...], timeout: float = 5) -> float:
        """When all pictures had changed (`time.perf_counter`)."""
        end = time.perf_counter() + timeout
        while time.perf_counter() < end:
            now = self.numbers()
            if now is not None and all(map(ne, now, before)):
                return time.perf_counter()
            time.sleep(0.0003)
        raise SystemExit("the next pictures did not come on the screen")


def start(folder: Path, screen: Screen, at_once: int = 2) -> "subprocess.Popen[bytes]":
    """The window on a folder, as high as the screen."""
    return subprocess.Popen(
        [
            *(sys.executable, "aesthetic_ab_scorer.py"),
            *(f"--top_level_image_directory={folder}", f"--ab_scorer_size={screen.size[1]}"),
            f"--ab_scorer_images={at_once}",
        ],
        cwd=ROOT,
        env=os.environ | {"DISPLAY": screen.name},
        stdout=subprocess.DEVNULL,
    )


def measure_choices(
    folder: Path, size: tuple[int, int], *, choices: int, pause: float, at_once: int = 2
) -> dict[str, float]:
    """Milliseconds from key press to the next pictures; a pause of looking between them."""
    screen = Screen(*size)
    window = start(folder, screen, at_once)
    try:
        watcher = Watcher(screen, at_once)
        watcher.find()
        took = []
        for number in range(choices):
            time.sleep(pause)
            before = watcher.numbers()
            assert before is not None
            pressed = time.perf_counter()
            screen.press("12"[number % 2])
            took.append(1000 * (watcher.wait_for_next(before) - pressed))
        time.sleep(pause)
        screen.press("q")
        assert window.wait(60) == 0
    finally:
        window.kill()
        screen.close()
    return {
        "p50": round(float(np.median(took)), 1),
        "p95": round(float(np.percentile(took, 95)), 1),
        "max": round(max(took), 1),
    }


def measure_opening(folder: Path) -> float:
    """Seconds from the start of the script to the first pictures on the screen."""
    screen = Screen(1600, 1000)
    began = time.perf_counter()
    window = start(folder, screen)
    try:
        seconds = Watcher(screen).find() - began
        screen.press("q")
        assert window.wait(120) == 0
    finally:
        window.kill()
        screen.close()
    return round(seconds, 2)


def many_links(folder: Path, originals: Path, count: int) -> None:
    """A folder of many images that takes no space: links to a few."""
    sources = sorted(originals.glob("*.jpg"))
    for number in range(count):
        part = folder / f"{number // 1000:02d}"
        part.mkdir(parents=True, exist_ok=True)
        os.link(sources[number % len(sources)], part / f"{number:05d}.jpg")


def main() -> None:
    """Measure and print."""
    needs.linux()
    needs.programs("Xvfb")
    if ctypes.util.find_library("Xtst") is None:
        raise SystemExit("This needs libXtst: sudo apt install libxtst6")
    with tempfile.TemporaryDirectory() as temporary:
        photographs, small = Path(temporary) / "photographs", Path(temporary) / "small"
        make_photographs(photographs, 60, (4000, 3000))
        make_photographs(small, 50, (1000, 750))
        many = Path(temporary) / "many"
        many_links(many, small, 10_000)
        result = {
            "bench": "window_latency",
            "image_megapixels": 12,
            "ms_1600x1000_features_being_computed": measure_choices(
                photographs, (1600, 1000), choices=20, pause=0.4
            ),
            "ms_1600x1000": measure_choices(photographs, (1600, 1000), choices=100, pause=0.5),
            "ms_1600x1000_four": measure_choices(
                photographs, (1600, 1000), choices=100, pause=1.0, at_once=4
            ),
            "ms_3840x2160": measure_choices(photographs, (3840, 2160), choices=60, pause=0.8),
            "ms_3840x2160_four": measure_choices(
                photographs, (3840, 2160), choices=60, pause=1.5, at_once=4
            ),
            "seconds_to_open_10000_first_time": measure_opening(many),
            "seconds_to_open_10000": measure_opening(many),
            "cpu_cores": os.cpu_count(),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
