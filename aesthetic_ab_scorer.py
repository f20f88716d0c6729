"""Rate your images: which of two do you like better?

Settings: arguments.py. Keys: press h in the window.
"""

import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from src.script import run
from src.settings.aesthetic_training import AestheticTraining
from src.settings.rating import ABScorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from src.features import Extractor, FeatureStore
    from src.images import ImageFile
    from src.rating.session import RatingDatabase

AT_A_TIME = 128  # images; between them the work can be stopped


def main(settings: ABScorer) -> None:
    """Open the window on the image folder; report when it is closed."""
    from src.rating.session import RatingDatabase
    from src.window.app import Window
    from src.window.background import BackgroundTask

    directory = Path(settings.top_level_image_directory)
    store_folder = settings.feature_store
    behind: list[BackgroundTask] = []
    with RatingDatabase(
        directory,
        method=settings.ab_scorer_method,
        selection=settings.ab_scorer_selection,
        goal=settings.ab_scorer_goal,
        at_once=settings.ab_scorer_images,
        top=settings.ab_scorer_top,
    ) as database:
        if settings.ab_scorer_method == "posterior":
            extractor = settings.feature_extractor
            behind.append(partial(use_features, database, store_folder, extractor))
        if settings.ab_scorer_skip_near_duplicates:
            behind.append(partial(rate_once, database, store_folder))
        else:
            database.set_near_duplicates([])
        if settings.load_model:
            from src.aesthetic.predictor import Predictor

            name = settings.load_model
            Predictor.load(Path(name))  # a mistake is told before the window opens
            how = settings.device, settings.precision
            behind.append(partial(use_model, database, name, *how, store_folder))
        database.next_set()  # with fewer than two images no window is opened
        Window(database, height=settings.ab_scorer_size, report=print, behind=behind).run()
        statistics = database.statistics()
    print(statistics.report())
    print(f"\nSaved in {directory / 'score.json'}.")
    print(f"To continue rating: {settings.command()}")
    print(f"Next: {settings.command(AestheticTraining)}")


def use_features(
    database: "RatingDatabase", store_folder: Path | str, preferred: str, stop: Event
) -> None:
    """Give the database the features kept for the folder; the built-in ones if none are."""
    from src.features import open_extractors, open_store
    from src.features.store import kept_identity
    from src.images import scan_images

    files = scan_images(database.directory)
    with open_store(database.directory, store_folder) as store:
        known = store.known_files(files)
        identity = kept_identity(store, files, preferred)
        if not identity:
            builtin = open_extractors("builtin")
            identity = builtin[0].identity
            look_at(database.directory, files, builtin, store, stop)
            known = store.known_files(files)
        holds = store.holds(identity)
        paths = [path for path, sha256 in known.items() if sha256 in holds]
        vectors = store.vectors(identity, [known[path] for path in paths])
    if not stop.is_set():
        database.set_features(dict(zip(paths, vectors, strict=True)))


def rate_once(database: "RatingDatabase", store_folder: Path | str, stop: Event) -> None:
    """Have one image of each group of near duplicates rated for the others."""
    from src.features import open_store
    from src.images import scan_images
    from src.scoring.find_duplicates import rated_as_one

    directory = database.directory
    with open_store(directory, store_folder) as store:
        files = scan_images(directory)
        known = store.known_files(files)
        new = [file for file in files if file.path not in known]
        look_at(directory, new, [], store, stop)
        if not stop.is_set():
            database.set_near_duplicates(rated_as_one(directory, files, store))


def look_at(
    directory: Path,
    files: "Sequence[ImageFile]",
    extractors: "Sequence[Extractor]",
    store: "FeatureStore",
    stop: Event,
) -> None:
    """Fill the store, a part of the files after the other, until the event is set."""
    from src.errors import DataError
    from src.features import compute_features

    workers = max(1, (os.cpu_count() or 1) // 2)  # the rest is for the window
    for first in range(0, len(files), AT_A_TIME):
        if stop.is_set():
            return
        part = files[first : first + AT_A_TIME]
        with suppress(DataError):  # none of these can be read
            compute_features(directory, part, extractors, store, workers=workers)


def use_model(
    database: "RatingDatabase",
    load_model: str,
    device: str,
    precision: str,
    store_folder: Path | str,
    stop: Event,
) -> None:
    """Give the database the model's scores, to begin from if it was not trained on these images."""
    from src.aesthetic.lineage import Ancestor
    from src.scoring.scored import open_model, score_folder

    model = open_model(load_model, device, precision)
    scored = score_folder(database.directory, *model, store_folder=store_folder)
    scores = dict(zip(scored.paths, scored.scores.tolist(), strict=True))
    new = Ancestor.load(Path(load_model)).is_new_to(scored.sha256s, scored.hashes)
    if not stop.is_set():
        database.set_model_scores(scores)
        if new:
            database.set_expected(scores)


if __name__ == "__main__":
    run(main, ABScorer, __file__, sys.argv[1:])
