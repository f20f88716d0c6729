"""The demo: make example images with a known order, then train on them as one would on one's own.

Run it with: python run.py demo
"""

import os
import subprocess
import sys
from pathlib import Path

from examples.demo_images import make_demo_images
from src.errors import UserError

IMAGES = Path("demo", "images")
MODEL = Path("demo", "model")
SETTINGS = (
    f"--top_level_image_directory={IMAGES.as_posix()}",
    "--feature_extractor=builtin",
    f"--save_model={MODEL.as_posix()}",
)


def main(overrides: list[str]) -> int:
    """Make the images, train with these settings, and say where to look; return the exit code."""
    root = Path(__file__).resolve().parents[1]
    os.chdir(root)
    try:
        examples = make_demo_images(IMAGES)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    test = sorted({example.photograph for example in examples if example.split == "test"})
    print(
        f"{len(examples)} example images are in {IMAGES}: photographs, untouched and damaged to"
        f" four grades.\nThose of {', '.join(test)} are kept back: the test shows how well the"
        " model orders photographs it has never seen.\n"
    )
    words = ["aesthetic_predictor_training", *SETTINGS, *overrides]
    print("python run.py " + " ".join(words) + "\n", flush=True)
    code = follow([sys.executable, str(root / "aesthetic_predictor_training.py"), *words[1:]])
    if code == 0:
        print(
            f"\nThe report, to open in a browser: {(root / MODEL / 'report.html').as_uri()}\n"
            "Next, teach it your own taste. Rate some of your images, two at a time:\n"
            "  python run.py aesthetic_ab_scorer --top_level_image_directory=YOUR_FOLDER"
        )
    return code


def follow(command: list[str]) -> int:
    """Run a command and return its exit code; Ctrl-C, which reaches it as well, is left to it."""
    process = subprocess.Popen(command)
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            continue
        return code if code >= 0 else 128 - code  # a signal's number, as shells count it


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
