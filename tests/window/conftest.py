"""The real window in the test's own process, with a real keyboard and mouse."""

import gc
import sys
import time
import tkinter as tk
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageGrab

from src.rating.session import RatingDatabase
from src.window.app import Window
from src.window.background import BackgroundTask
from src.window.controls import Action
from src.window.session import SHORTEST_LOOK
from tests.window.x_input import XInput

COLOURS = {
    "red.png": (220, 30, 30),
    "lime.png": (30, 220, 30),
    "blue.png": (30, 30, 220),
    "gold.jpg": (230, 200, 40),
    "pink.jpg": (240, 140, 200),
    "deep/teal.png": (20, 130, 130),
}


class Driver:
    """A window on a folder, and what a person can do and see."""

    def __init__(
        self,
        display: str,
        folder: Path,
        *,
        goal: int = 100,
        seed: int = 1,
        at_once: int = 2,
        behind: Sequence[BackgroundTask] = (),
    ) -> None:
        self.folder, self.display = folder, display
        self.reports: list[str] = []
        self._finished = False
        self.database = RatingDatabase(folder, seed=seed, goal=goal, at_once=at_once)
        self.window = Window(self.database, report=self.reports.append, behind=behind)
        self.root, self.session = self.window.root, self.window.session
        self.input = XInput(display)
        self.window.start()
        self.resize(self.root.geometry())
        self.look()

    def wait(self, happened: Callable[[], object], what: str, timeout: float = 20) -> None:
        """Run the window until something happened."""
        end = time.monotonic() + timeout
        while not happened():
            if time.monotonic() > end:
                pytest.fail(f"{what}: not within {timeout} s")
            self.root.update()
            time.sleep(0.005)

    def idle(self, seconds: float) -> None:
        """Run the window for a while."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end, "time passes")

    def resize(self, geometry: str) -> None:
        """Give the window a size; the pointer stays in it, for without a window manager the
        keyboard goes where the pointer is."""
        self.root.geometry(geometry)
        self.idle(0.25)  # twice what it takes to settle
        self.input.move(*self.on_screen(3, 3))
        self.idle(0.03)

    def look(self) -> None:
        """Wait until the session's pair is on the screen, and a bit longer."""
        self.wait(lambda: self.window.is_shown, "the pair is shown")
        self.idle(SHORTEST_LOOK + 0.02)

    def press(self, *keysyms: str) -> None:
        """Press keys, one after the other, as a person does who looks in between."""
        for keysym in keysyms:
            self.input.press(keysym)
            self.idle(0.04)
            if not self.closed and self.session.images is not None:
                self.look()

    @property
    def closed(self) -> bool:
        """Whether the window is gone."""
        try:
            return not self.root.winfo_exists()
        except tk.TclError:
            return True

    def screenshot(self) -> Image.Image:
        """The canvas as it is on the screen."""
        self.root.update()
        canvas = self.window.canvas
        x, y = canvas.winfo_rootx(), canvas.winfo_rooty()
        box = (x, y, x + canvas.winfo_width(), y + canvas.winfo_height())
        return ImageGrab.grab(box, xdisplay=self.display)

    def centre(self, side: str | int) -> tuple[int, int]:
        """The middle of a picture, on the canvas."""
        at = side if isinstance(side, int) else ("left", "right").index(side)
        place = self.window.view.layout[at]
        return place.x + place.width // 2, place.y + place.height // 2

    def on_screen(self, x: int, y: int) -> tuple[int, int]:
        """A point of the canvas on the screen."""
        return self.window.canvas.winfo_rootx() + x, self.window.canvas.winfo_rooty() + y

    def seen(self) -> tuple[str, ...]:
        """The images, told by their colours on the screen."""
        shot = self.screenshot()
        names = []
        for at in range(len(self.window.view.layout)):
            x, y = self.centre(at)
            colour = np.asarray(shot)[y, x, :3].astype(int)
            distance = {name: np.abs(colour - COLOURS[name]).sum() for name in COLOURS}
            names.append(min(distance, key=lambda name: distance[name]))
        return tuple(names)

    def text(self) -> str:
        """All words on the canvas."""
        canvas = self.window.canvas
        items = [item for item in canvas.find_all() if str(canvas.type(item)) == "text"]
        return "\n".join(canvas.itemcget(item, "text") for item in items)

    def close(self) -> None:
        """Close window and database, whatever state they are in; may be called twice."""
        if self._finished:
            return
        self._finished = True
        if not self.closed:
            self.window.act(Action.QUIT)
        self.window.finish()
        self.input.close()
        self.database.close()


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """A folder of six images, each of one colour; wide, tall and square."""
    folder = tmp_path / "colours"
    for number, (name, colour) in enumerate(COLOURS.items()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        size = ((300, 200), (200, 300), (240, 240))[number % 3]
        Image.new("RGB", size, colour).save(folder / name)
    return folder


@pytest.fixture
def open_window(display: str) -> Iterator[Callable[..., Driver]]:
    """Opens windows and closes them after the test."""
    if not sys.platform.startswith("linux"):
        pytest.skip("keys are pressed through X11's test extension")
    opened: list[Driver] = []

    def open_one(folder: Path, **options: Any) -> Driver:
        opened.append(Driver(display, folder, **options))
        return opened[-1]

    yield open_one
    for driver in opened:
        driver.close()
    # Tk's fonts and images wait for their own thread when another one collects them, and that
    # thread may be one of the next test's.
    opened.clear()
    gc.collect()
