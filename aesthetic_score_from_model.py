"""Give images that you have not rated yet the score of a model, as a start for rating them."""

import shutil
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from src.script import run
from src.settings.rating import ABScorer, ScoreFromModel

if TYPE_CHECKING:
    from src.rating.session import RatingDatabase

SHOWN = 5  # best and worst new images that are named


def main(settings: ScoreFromModel) -> None:
    """Score all images, bring the scores to the scale of yours, fill in the unrated ones."""
    from src.errors import SettingsError
    from src.rating.models.initial_scores import rescale
    from src.scoring.scored import open_model, score_folder

    if not settings.load_model:
        raise SettingsError(
            "load_model is empty: name the folder of a model you trained, or the file of a "
            "published head, as in --load_model=models/my_model"
        )
    directory = Path(settings.top_level_image_directory)
    scored = score_folder(
        directory,
        *open_model(settings.load_model, settings.device, settings.precision),
        store_folder=settings.feature_store,
        batch_size=settings.evaluation_args.per_device_eval_batch_size,
    )
    predictions = dict(zip(scored.paths, scored.scores.tolist(), strict=True))
    with rating_database(directory, settings) as database:
        unrated = set(database.unrated())
        existing = {path: s for path, s in database.scores().items() if path not in unrated}
        filled = rescale(predictions, existing, unrated)
        if filled:
            database.initialise_from_model(filled)
    print(summary(existing, filled, len(scored.unreadable)))
    if not filled:
        print("\nEvery image is rated already: nothing was written.")
    elif settings.dry_run:
        print("\nThis was a dry run: nothing was written.")
        print(f"Next: {settings.command(dry_run=False)}")
    else:
        print(
            f"\nSaved in {directory / 'score.json'}. To correct these guesses by your own choices:"
        )
        print(f"Next: {settings.command(ABScorer)}")


@contextmanager
def rating_database(directory: Path, settings: ScoreFromModel) -> Iterator["RatingDatabase"]:
    """The ratings of a folder, saved at the end; for a dry run those of a copy."""
    from src.images import find_images
    from src.rating.session import RatingDatabase

    with ExitStack() as stack:
        opened = directory
        if settings.dry_run:
            opened = Path(stack.enter_context(TemporaryDirectory()))
            for file in (*directory.glob("score.json"), *directory.glob("score_choices.sqlite*")):
                shutil.copy(file, opened)
        database = RatingDatabase(
            opened, images=find_images(directory), method=settings.ab_scorer_method
        )
        yield stack.enter_context(database)


def summary(existing: dict[str, float], filled: dict[str, float], unreadable: int) -> str:
    """A table of what is there and what is filled in, and how the new scores lie."""
    from src.scoring.table import histogram

    lines = [f"{'':24}{'images':>8}{'mean':>9}{'deviation':>11}"]
    for name, scores in (("rated by you", existing), ("new, from the model", filled)):
        values = list(scores.values()) or [0.0]
        mean, deviation = statistics.fmean(values), statistics.pstdev(values)
        lines.append(f"{name:24}{len(scores):8,}{round(mean, 2) + 0.0:9.2f}{deviation:11.2f}")
    if unreadable:
        lines.append(f"{'not readable':24}{unreadable:8,}")
    if filled:
        ranked = sorted(filled, key=lambda path: -filled[path])
        lines += ["", "New scores:", histogram([*filled.values()]), "", "Highest and lowest:"]
        named = dict.fromkeys(ranked[:SHOWN] + ranked[-SHOWN:])
        lines += [f"{filled[path]:8.2f}  {path}" for path in named]
    return "\n".join(lines)


if __name__ == "__main__":
    run(main, ScoreFromModel, __file__, sys.argv[1:])
