"""Forget the kept features of images that are no longer there."""

import logging
import sys
from pathlib import Path

from src.script import run
from src.settings.housekeeping import PruneFeatures
from src.text import counted

logger = logging.getLogger(__name__)


def main(settings: PruneFeatures) -> None:
    """Prune the feature store of a folder and say what was forgotten."""
    from src.features import open_store
    from src.images import scan_images

    directory = Path(settings.top_level_image_directory)
    with open_store(directory, settings.feature_store) as store:
        counts = store.prune(scan_images(directory))
        files = counted(counts["files"], "missing file")
        vectors = counted(counts["features"], "feature vector")
        freed = f"{counts['bytes'] / 1e6:.1f} MB freed"
        print(f"{store.file}: removed the entries of {files}, and {vectors}; {freed}.")


if __name__ == "__main__":
    run(main, PruneFeatures, __file__, sys.argv[1:])
