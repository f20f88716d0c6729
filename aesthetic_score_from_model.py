"""Give images that you have not rated yet the score of a model, as a start for rating them."""

import statistics
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from src.script import run
from src.settings import ScoreFromModel
from src.settings.keys import Computing

if TYPE_CHECKING:
    from src.aesthetic.predictor import Predictor

BARS, BAR_LENGTH = 11, 50
SHOWN = 5  # best and worst new images that are named


def main(settings: ScoreFromModel) -> None:
    """Score all images, bring the scores to the scale of yours, fill in the unrated ones."""
    from src.aesthetic.predictor import Predictor
    from src.errors import DataError, SettingsError
    from src.rating.database import RatingDatabase
    from src.rating.model_scores import rescale

    if not settings.load_model:
        raise SettingsError(
            "load_model is empty: name the folder of a model you trained, or the file of a "
            "published head, as in --load_model=models/my_model"
        )
    predictor = Predictor.load(Path(settings.load_model))
    directory = Path(settings.top_level_image_directory)
    batch_size = settings.evaluation_args.per_device_eval_batch_size
    predictions = model_scores(directory, predictor, settings, batch_size)
    with RatingDatabase(directory, method=settings.ab_scorer_method) as database:
        unrated = set(database.unrated())
        existing = {path: s for path, s in database.scores().items() if path not in unrated}
        try:
            filled = rescale(predictions, existing, unrated)
        except ValueError as error:
            raise DataError(f"{settings.load_model} cannot score these images: {error}") from None
        if filled and not settings.dry_run:
            database.initialise_from_model(filled)
            database.save()
    print(summary(existing, filled, len(unrated) - len(filled)))
    if not filled:
        print("\nEvery image is rated already: nothing was written.")
    elif settings.dry_run:
        print("\nA dry run: nothing was written. With --dry_run=False the scores are kept.")
    else:
        print(
            f"\nSaved in {directory / 'score.json'}. These are guesses; now give your own opinion:"
        )
        print("    python run.py aesthetic_ab_scorer")


def model_scores(
    directory: Path, predictor: "Predictor", settings: Computing, batch_size: int = 32
) -> dict[str, float]:
    """What a model gives every readable image of a folder, in its own unit."""
    from src.errors import ModelError
    from src.features import Extractor, compute_features, open_store
    from src.features.registry import open_extractor
    from src.images import scan_images

    extractors: list[Extractor] = []
    for made_for in predictor.extractors:
        hidden_states = tuple(made_for.get("hidden_states", ()))
        extractor = open_extractor(
            made_for["name"], device=settings.device, hidden_states=hidden_states
        )
        if made_for.get("identity", extractor.identity) != extractor.identity:
            raise ModelError(
                f"the model was trained with another version of {made_for['name']!r} than the one "
                "that is here: train it again"
            )
        extractors.append(extractor)
    files = scan_images(directory)
    elsewhere = Path(settings.feature_store) if settings.feature_store else None
    with open_store(directory, elsewhere) as store:
        table = compute_features(directory, files, extractors, store, batch_size=batch_size)
    return dict(zip(table.paths, predictor.predict(table.vectors).tolist(), strict=True))


def summary(existing: dict[str, float], filled: dict[str, float], unreadable: int) -> str:
    """A table of what is there and what is filled in, and how the new scores lie."""
    lines = [f"{'':24}{'images':>8}{'mean':>9}{'deviation':>11}"]
    for name, scores in (("rated by you", existing), ("new, from the model", filled)):
        values = list(scores.values()) or [0.0]
        mean, deviation = statistics.fmean(values), statistics.pstdev(values)
        lines.append(f"{name:24}{len(scores):8,}{mean:9.2f}{deviation:11.2f}")
    if unreadable:
        lines.append(f"{'not readable':24}{unreadable:8,}")
    if filled:
        ranked = sorted(filled, key=lambda path: -filled[path])
        lines += ["", "New scores:", *histogram(filled.values()), "", "Highest and lowest:"]
        named = dict.fromkeys(ranked[:SHOWN] + ranked[-SHOWN:])
        lines += [f"{filled[path]:8.2f}  {path}" for path in named]
    return "\n".join(lines)


def histogram(values: Collection[float]) -> list[str]:
    """One line for each of eleven equal ranges, with a bar as long as the count."""
    low, high = min(values), max(values)
    width = (high - low) / BARS or 1.0
    counts = [0] * BARS
    for value in values:
        counts[min(int((value - low) / width), BARS - 1)] += 1
    return [
        f"{low + width * (number + 0.5):8.2f}  "
        f"{'#' * -(-count * BAR_LENGTH // max(counts)):{BAR_LENGTH}} {count:,}"
        for number, count in enumerate(counts)
    ]


if __name__ == "__main__":
    run(main, ScoreFromModel, __file__, sys.argv[1:])
