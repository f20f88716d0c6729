"""Train, measure and save a classifier of images: one class each, or any number of tags."""

import sys

from src.script import run
from src.settings.classifier import ClassifierTraining


def main(settings: ClassifierTraining) -> None:
    """Train (or open) a model, measure it, and show the results."""
    from src.image_models.train import is_main

    if not is_main() and not (settings.trains and settings.train_backbone):
        return  # one process is enough
    if settings.label_source == "tags":
        from src.tagging.run import run as work
    else:
        from src.classifier.run import run as work
    for line in work(settings):
        print(line)


if __name__ == "__main__":
    run(main, ClassifierTraining, __file__, sys.argv[1:])
