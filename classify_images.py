"""Let a trained classifier sort any folder of images: a table, a ranking, folders."""

import difflib
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from src.errors import DataError, SettingsError
from src.script import run
from src.settings.use_models import ClassifyImages
from src.text import counted


def main(settings: ClassifyImages) -> None:
    """Classify the images, write the table, and put them into folders if that is asked for."""
    into = Path(settings.into) if settings.into else None
    if settings.undo:
        from src.file_changes.apply import undo

        old = (into or Path()) / "classify_undo.jsonl"
        file = old if settings.undo == "True" else Path(settings.undo)
        print(undo(file).report())
        return
    if not settings.load_model:
        raise SettingsError("set load_model to the folder of a trained classifier")
    if settings.action != "table" and into is None:
        raise SettingsError("set 'into' to the folder in which the category folders are made")
    from src.image_models.backbone import open_classifier

    classifier = open_classifier(
        settings.load_model, device=settings.device, precision=settings.precision
    )
    _check_category(settings.rank_by, classifier.classes)
    paths, probabilities = _predict(settings, classifier, into)
    table = _write_table(settings, paths, probabilities, classifier.classes)
    best = probabilities.argmax(axis=1)
    sure = probabilities.max(axis=1) >= settings.minimum
    chosen = [
        (path, classifier.classes[index])
        for path, index, enough in zip(paths, best, sure, strict=True)
        if enough
    ]
    for name, images in Counter(category for _, category in chosen).most_common(20):
        print(f"{images:7} {name}")
    if len(chosen) < len(best):
        print(f"{len(best) - len(chosen):7} below the minimum probability")
    if settings.action != "table" and into is not None:
        _sort(settings, chosen, into)
    else:
        print("To copy the images into a folder for each category (or move, link):")
        print("Next:", settings.command(action="copy", into=table.with_name("sorted")))


def _predict(settings: ClassifyImages, classifier: Any, into: Path | None) -> Any:
    from src.features import compute_features, open_store
    from src.file_changes.plan import not_sorted_yet
    from src.image_models.head import softmax
    from src.images import scan_images

    directory = Path(settings.top_level_image_directory)
    files = scan_images(directory)
    if into is not None:
        files = not_sorted_yet(directory, files, into, classifier.classes)
    if not files:
        raise DataError(f"there are no images to classify in {directory}")
    with open_store(directory, settings.feature_store) as store:
        batch = settings.evaluation_args.per_device_eval_batch_size
        table = compute_features(directory, files, [classifier.backbone], store, batch_size=batch)
    return table.paths, softmax(classifier.head.logits(table.vectors))


def _write_table(
    settings: ClassifyImages, paths: list[str], probabilities: Any, classes: tuple[str, ...]
) -> Path:
    from src.classifier.results import classification_table
    from src.files import output_folder, write_text

    table = classification_table(paths, probabilities, classes, settings.rank_by)
    file = Path(settings.table)
    if settings.table == "classified.csv":  # the default: a folder for each image folder
        folder = output_folder("classified", "classified", settings.top_level_image_directory)
        file = folder / file
    write_text(file, table)
    print(f"{counted(len(paths), 'image')} classified; the table is {file}")
    return file


def _sort(settings: ClassifyImages, chosen: list[tuple[str, str]], into: Path) -> None:
    from src.file_changes.apply import carry_out
    from src.file_changes.plan import folder_name, place

    action: Any = settings.action
    targets = {path: f"{folder_name(category)}/{Path(path).name}" for path, category in chosen}
    plan = place(Path(settings.top_level_image_directory), targets, into, action)
    carry_out(plan, settings, action, into)


def _check_category(name: str, classes: tuple[str, ...]) -> None:
    if name and name not in classes:
        close = difflib.get_close_matches(name, classes, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"It knows {', '.join(classes[:20])}"
        raise SettingsError(f"rank_by: the model has no category {name!r}. {hint}")


if __name__ == "__main__":
    run(main, ClassifyImages, __file__, sys.argv[1:])
