"""Let a trained model write the tag files of any folder of images."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.errors import DataError, ModelError
from src.script import run
from src.settings.housekeeping import PrepareTags
from src.settings.use_models import ClassifyImages, TagImages
from src.text import counted

if TYPE_CHECKING:
    from src.tagging.taggers import Tagger


def main(settings: TagImages) -> None:
    """Tag, list, serve or export."""
    if settings.undo:
        from src.file_changes.apply import undo

        print(undo(Path(settings.undo)).report())
        return
    if not settings.load_model:
        raise ModelError("load_model is empty: give the folder of a tagging model")
    folder = Path(settings.load_model)
    if settings.action == "list":
        show_tags(folder)
    elif settings.action == "export":
        export(settings)
    elif settings.action == "serve":
        from src.tagging.server.app import serve

        serve(open_model(settings), settings)
    else:
        tag(settings)


def tag(settings: TagImages) -> None:
    """Write the tag files."""
    from src.file_changes.apply import undo_line
    from src.images import find_images
    from src.settings.tags import TagFiles
    from src.tagging.choice import allowed_tags, choose
    from src.tagging.tag_files import read_tags
    from src.tagging.tag_images import tag_images

    directory = Path(settings.top_level_image_directory)
    images = find_images(directory)
    if not images:
        raise DataError(f"there are no images in {directory}")
    tagger = open_model(settings, len(images))
    white, black = Path(settings.whitelist), Path(settings.blacklist)
    if settings.blacklist and not black.is_file():
        raise DataError(f"there is no blacklist {str(black)!r}")
    listed = read_tags(white, TagFiles()) if settings.whitelist and white.is_file() else []
    allowed = allowed_tags(
        tagger.tags, listed, read_tags(black, TagFiles()) if settings.blacklist else []
    )
    if listed:
        print(f"Only tags in {white} that the model knows are given ({allowed.sum():,}).")
    done = tag_images(images, tagger, choose(tagger, settings, allowed), settings)
    if settings.dry_run:
        print("Nothing was changed: this was a dry run.")
        print(f"Next: {settings.command(dry_run=False)}")
        return
    print(
        f"{counted(done.written, 'tag file')} written in {directory}; "
        f"{counted(done.skipped, 'image')} skipped"
    )
    if done.undo_file is not None:
        print(undo_line("tag_images", done.undo_file))
    for image, why in done.unreadable.items():
        print(f"  cannot be read: {image}: {why}")
    if settings.probabilities:
        print(f"Probabilities: {settings.probabilities}")
    print(f"Next: {settings.command(PrepareTags)}")


def open_model(settings: TagImages, images: int = 1) -> "Tagger":
    """The model, by the backend that is asked for, for so many images."""
    from src.tagging.taggers import open_tagger

    how: Any = settings.model_dump(include={"backend", "device", "precision"})
    return open_tagger(Path(settings.load_model), images=images, **how)


def show_tags(folder: Path) -> None:
    """The tags a model knows, with their counts in training."""
    from src.tagging.selected_tags import FILE_NAME, category_name, read_selected_tags

    if not (folder / FILE_NAME).is_file():
        raise ModelError(f"{folder} holds no {FILE_NAME}: it is not the folder of a tagging model")
    for known in read_selected_tags(folder / FILE_NAME):
        print(f"{known.count:>8}  {category_name(known.category):<10}  {known.name}")


def export(settings: TagImages) -> None:
    """Write model.onnx."""
    from src.image_models.export_onnx import export_onnx
    from src.tagging.selected_tags import FILE_NAME

    folder = Path(settings.load_model)
    print(export_onnx(folder))
    if (folder / FILE_NAME).is_file():  # not a classifier
        print("Next:", settings.command(TagImages, load_model=folder, backend="onnx"))
    else:
        print("Next:", settings.command(ClassifyImages, load_model=folder))


if __name__ == "__main__":
    run(main, TagImages, __file__, sys.argv[1:])
