"""Where an image's tags come from: tag files, a CSV table, or a Danbooru-style SQLite file."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from src.dataset.labelled import some
from src.dataset.split import TEST, TRAIN, VALIDATION
from src.errors import DataError
from src.files import read_csv
from src.settings.tags import TagFiles, TagTraining
from src.tagging.tag_files import clean_tags, parse_tags, read_tags, scan_sidecars

_PARTS = {"train": TRAIN, "validation": VALIDATION, "val": VALIDATION, "test": TEST, "": -1}


@dataclass(frozen=True)
class TagSource:
    """The tags of some images."""

    name: str  # where they come from, for messages
    tags: dict[str, list[str]]  # image -> its tags; with an empty list it has none of the tags
    parts: dict[str, int] = field(default_factory=dict)  # image -> TRAIN …, or -1: not said
    categories: dict[str, int] = field(default_factory=dict)  # tag -> category, where it is said
    ids: dict[str, int] = field(default_factory=dict)  # tag -> number in the source
    notes: list[str] = field(default_factory=list)  # what does not fit together, for the user


def read_source(directory: Path, images: Sequence[str], settings: TagTraining) -> TagSource:
    """The tags of a folder's images, from what `tag_source` names, in that folder or here."""
    source = settings.tag_source
    if not source:
        return read_sidecars(directory, images, settings)
    file = next((path for path in (directory / source, Path(source)) if path.is_file()), None)
    if file is None:
        raise DataError(f"there is no tag source {source!r}, neither in {directory} nor here")
    if file.suffix.lower() == ".csv":
        return read_table(file, images)
    return read_database(file, images)


def read_sidecars(directory: Path, images: Sequence[str], style: TagFiles) -> TagSource:
    """Tags from the files beside the images; unreadable ones are noted and left out."""
    scan = scan_sidecars(directory, images, style)
    tags: dict[str, list[str]] = {}
    unreadable, with_commas = [], []
    for image, file in scan.files.items():
        try:
            tags[image] = read_tags(directory / file, style)
        except DataError as error:
            unreadable.append(str(error))
            continue
        if not style.tag_commas and any("," in tag for tag in tags[image]):
            with_commas.append(file)
    empty = [scan.files[image] for image, found in tags.items() if not found]
    notes = [
        *note(sorted(scan.shared), "Images that share a tag file with another, not used"),
        *note(scan.missing, "Images without a tag file, not used"),
        *note(scan.orphans, "Tag files without an image"),
        *note(empty, "Empty tag files, whose images count as having none of the tags"),
        *note(unreadable, "Tag files that cannot be read, not used"),
        *note(with_commas, "Tag files with commas; if these separate tags, set tag_commas"),
    ]
    return TagSource("the tag files", tags, notes=notes)


def read_table(file: Path, images: Sequence[str]) -> TagSource:
    """Tags from a table `path,tags[,split]`, the tags separated by commas."""
    tags: dict[str, list[str]] = {}
    parts: dict[str, int] = {}
    for line, row in read_csv(file, "path", "tags"):
        path = PurePosixPath(row["path"].replace("\\", "/")).as_posix()
        tags[path] = parse_tags(row["tags"], TagFiles(tag_commas=True))
        part = row.get("split", "").strip().lower()
        if part not in _PARTS:
            raise DataError(
                f"{file}, line {line}: split is {part!r}, not train, validation, test or empty"
            )
        parts[path] = _PARTS[part]
    gone = sorted(tags.keys() - set(images))
    return TagSource(
        file.name,
        {image: tags[image] for image in images if image in tags},
        parts,
        notes=note(gone, f"Images of {file.name} that are missing")
        + note([i for i in images if i not in tags], f"Images that are not in {file.name}"),
    )


def read_database(file: Path, images: Sequence[str]) -> TagSource:
    """Tags from SQLite tables `imageTags (image_id, tag_id)` and `tags (tag_id, name, category)`.

    This is the layout of the Danbooru20xx tools; an image's id is its file name without the
    extension (`0123/4567123.jpg` is 4567123). `id` does for `tag_id`; `category` may be absent.
    """
    by_id = {number: image for image in images if (number := image_id(image)) is not None}
    try:
        address = f"{file.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            names, categories = _tag_names(connection, file)
            connection.execute("CREATE TEMP TABLE wanted (image_id INTEGER PRIMARY KEY)")
            connection.executemany("INSERT INTO wanted VALUES (?)", [(number,) for number in by_id])
            rows = connection.execute(
                "SELECT imageTags.image_id, tag_id FROM imageTags JOIN wanted USING (image_id)"
            ).fetchall()
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise DataError(f"{file} cannot be read as a tag database: {error}") from None
    tags: dict[str, list[str]] = {}
    for number, tag_id in rows:
        tags.setdefault(by_id[number], []).extend([names[tag_id]] if tag_id in names else [])
    without_id = [image for image in images if image_id(image) is None]
    absent = [image for image in by_id.values() if image not in tags]
    return TagSource(
        file.name,
        {image: clean_tags(found) for image, found in tags.items()},
        categories=categories,
        ids={name: tag_id for tag_id, name in names.items()},
        notes=note(without_id, "Images not named by an id, not used")
        + note(absent, f"Images without tags in {file.name}, not used"),
    )


def image_id(image: str) -> int | None:
    stem = PurePosixPath(image).stem
    return int(stem) if stem.isascii() and stem.isdigit() else None


def _tag_names(connection: sqlite3.Connection, file: Path) -> tuple[dict[int, str], dict[str, int]]:
    columns = {row[1].lower() for row in connection.execute("PRAGMA table_info(tags)")}
    key = next((name for name in ("tag_id", "id") if name in columns), None)
    if key is None or "name" not in columns:
        raise DataError(
            f"{file} has no table tags (tag_id, name, category): it is not a tag database"
        )
    category = "category" if "category" in columns else "0"
    rows = connection.execute(f"SELECT {key}, name, {category} FROM tags").fetchall()
    names = {int(tag_id): str(name) for tag_id, name, _ in rows}
    return names, {str(name): int(kind or 0) for _, name, kind in rows}


def note(items: Iterable[str], what: str) -> list[str]:
    listed = list(items)
    return [f"{what} ({len(listed):,}): {some(listed)}"] if listed else []
