"""What the attacks share: a folder of pictures with models for it, and scripts that can be killed.

A script runs in a process forked from one that has imported everything heavy, so that an attempt
takes a fraction of a second and a kill hits the work and not the imports.
"""

import hashlib
import os
import random
import runpy
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PATIENCE = 120  # seconds until an attempt counts as hung
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 230)}


class Ended(NamedTuple):
    """How a process ended."""

    code: int  # below 0: by this signal
    output: str
    errors: str
    seconds: float
    mb: int  # at its peak, with what all of them share

    @property
    def fault(self) -> str:
        """What was wrong with it, "" if it worked or said in a line why not."""
        if self.code == -signal.SIGALRM:
            return "hung"
        if self.code not in (0, 2, 130) or "Traceback (most recent" in self.errors:
            return f"code {self.code}: {self.errors.strip()[-300:]}"
        return ""


class Script:
    """A script of the project, started in a fork of this process."""

    def __init__(self, name: str, words: Iterable[object], cwd: Path) -> None:
        self._log = cwd / ".attack"
        self._log.mkdir(exist_ok=True)
        for stream in ("out", "err"):
            (self._log / stream).touch()
        self._start = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            self._become(name, [str(word) for word in words], cwd)

    def _become(self, name: str, words: list[str], cwd: Path) -> None:
        code = 1
        try:
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.alarm(PATIENCE)  # ends the process, whatever it is doing
            for number, file in enumerate((Path(os.devnull), self._log / "out", self._log / "err")):
                os.dup2(os.open(file, os.O_WRONLY if number else os.O_RDONLY), number)
            os.chdir(cwd)
            sys.argv = [str(ROOT / f"{name}.py"), *words]
            runpy.run_path(sys.argv[0], run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def running(self) -> bool:
        return not os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def end(self) -> Ended:
        """Wait for the end, and end what it started as well."""
        _, status, used = os.wait4(self.pid, 0)
        seconds = time.monotonic() - self._start
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        out, err = ((self._log / name).read_text("utf-8", "replace") for name in ("out", "err"))
        shutil.rmtree(self._log)
        return Ended(os.waitstatus_to_exitcode(status), out, err, seconds, used.ru_maxrss // 1024)


def run(name: str, *words: object, cwd: Path, must: bool = False) -> Ended:
    """A script to its end; `must`: anything but success ends the attack."""
    ended = Script(name, words, cwd).end()
    if must and ended.code:
        raise SystemExit(f"{name} {' '.join(map(str, words))}: {ended.errors}")
    return ended


def call(function: Callable[..., object], *given: object) -> None:
    """A function in a process of its own, so that this one stays small and without threads."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            function(*given)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    if os.waitpid(pid, 0)[1]:
        raise SystemExit(f"{function.__name__} failed")


def import_all() -> None:
    """Import what the scripts import, once for all of them."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import matplotlib.pyplot
    import optuna
    import pandas
    import scipy.stats
    import sklearn.linear_model
    import sklearn.model_selection
    import torch
    import transformers

    for package in sorted((ROOT / "src").rglob("*.py")):
        if "window" not in package.parts and "ray" not in package.stem:
            name = ".".join(package.relative_to(ROOT).with_suffix("").parts)
            __import__(name.removesuffix(".__init__"))
    assert matplotlib.pyplot and optuna and pandas and scipy.stats and sklearn.model_selection
    assert transformers.TrainingArguments.__name__ and torch.nn


def write_pictures(folder: Path, count: int, seed: int = 0) -> None:
    """Pictures in folders of classes, with scores, and tag files named after the colours."""
    import numpy as np
    from PIL import Image

    chance, rows = np.random.default_rng(seed), ["relative_path,score"]
    for index in range(count):
        name = list(COLOURS)[index % 3]
        pixels = chance.integers(0, 200, (5, 6, 3)) // 3 + np.array(COLOURS[name]) // 2
        image = Image.fromarray(pixels.astype(np.uint8)).resize((96, 72), Image.Resampling.BICUBIC)
        path = folder / name / f"{index:03d}{('.png', '.jpg', '.webp')[index % 5 % 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        path.with_name(f"{path.name}.txt").write_text(f"{name}\nstripes\n", "utf-8")
        os.utime(path, ns=(0, 1_600_000_000_123_456_789 + index * 10**9))
        rows.append(f"{name}/{path.name},{pixels.mean() / 25:.3f}")
    (folder / "scores.csv").write_text("\n".join(rows) + "\n", "utf-8")


def write_backbone(folder: Path) -> None:
    """A tiny vision transformer with random weights, and its preprocessing."""
    import torch
    import transformers
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
    )
    transformers.ViTModel(config).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)


class Place(NamedTuple):
    """A folder with everything that an attack needs; copies of it are attacked."""

    root: Path

    @property
    def images(self) -> Path:
        return self.root / "images"

    def words(self, *more: object) -> list[object]:
        return [f"--top_level_image_directory={self.images}", *more]

    def copy(self, root: Path) -> "Place":
        if root.exists():
            shutil.rmtree(root)
        subprocess.run(["cp", "-a", self.root, root], check=True)  # special files too
        return Place(root)


TASTE = ("--feature_extractor=builtin", "--device=cpu", "--evaluation_args.bootstrap_samples=20")
CLASSIFIER = ("--device=cpu", "--base_model=backbone", "--evaluation_args.bootstrap_samples=20")
TAGS = (*CLASSIFIER, "--label_source=tags", "--tag_head_epochs=3", "--threshold_min_support=3")


def make_place(root: Path, count: int) -> Place:
    """Pictures, a backbone, and the models `taste`, `classifier` and `tagger`."""
    place = Place(root)
    root.mkdir(parents=True)
    call(write_pictures, place.images, count)
    call(write_backbone, root / "backbone")
    taste = place.words(*TASTE, "--head=ridge", "--save_model=taste")
    run("aesthetic_predictor_training", *taste, cwd=root, must=True)
    train = "custom_classifier_training"
    run(train, *place.words(*CLASSIFIER, "--save_model=classifier"), cwd=root, must=True)
    run(train, *place.words(*TAGS, "--save_model=tagger"), cwd=root, must=True)
    return place


def snapshot(folder: Path, *, times: bool = True) -> dict[str, tuple[str, int]]:
    """Every file below a folder with its content or target and time of change."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = (f"-> {os.readlink(path)}", 0)
        elif path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[name] = (digest, path.stat().st_mtime_ns if times else 0)
        elif path.is_dir():
            found[f"{name}/"] = ("", 0)
        else:
            found[name] = ("special", 0)
    return found


def differences(before: dict[str, tuple[str, int]], after: dict[str, tuple[str, int]]) -> list[str]:
    """The names that are not the same in both."""
    return sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))


def chance_of(seed: int, *what: object) -> random.Random:
    return random.Random(" ".join(map(str, (seed, *what))))
