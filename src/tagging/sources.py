"""Where an image's tags come from: tag files, a CSV table, or a Danbooru-style SQLite file."""

import csv
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from src.errors import DataError
from src.tagging.tag_files import SidecarStyle, clean_tags, parse_tags, read_tags, scan_sidecars

PARTS = {"train": "train", "validation": "validation", "val": "validation", "test": "test", "": ""}
_NAMED = 5  # how many problems a message names


@dataclass(frozen=True)
class TagSource:
    """The tags of some images.

    Attributes:
        name: where they come from, for messages.
        tags: image path -> its tags; an image with an empty list has none of the tags.
        parts: image path -> "train", "validation" or "test", where the source says so.
        categories: tag -> category, where the source says so.
        ids: tag -> number in the source.
        notes: what does not fit together, each a line for the user.
    """

    name: str
    tags: dict[str, list[str]]
    parts: dict[str, str] = field(default_factory=dict)
    categories: dict[str, int] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_source(
    directory: Path, images: Sequence[str], source: str, style: SidecarStyle
) -> TagSource:
    """Read the tags of a folder's images.

    Args:
        directory: the image folder.
        images: paths relative to it.
        source: "" for tag files, otherwise a `.csv` file, or an SQLite file (`.sqlite`,
            `.sqlite3`, `.db`); relative names are looked up in the image folder, then here.
        style: how tag files are named and written.

    Raises:
        DataError: the source is not there, or damaged.
    """
    if not source:
        return read_sidecars(directory, images, style)
    file = next((path for path in (directory / source, Path(source)) if path.is_file()), None)
    if file is None:
        raise DataError(f"there is no tag source {source!r}, neither in {directory} nor here")
    if file.suffix.lower() == ".csv":
        return read_csv(file, images)
    return read_database(file, images)


def read_sidecars(directory: Path, images: Sequence[str], style: SidecarStyle) -> TagSource:
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
        if not style.commas and any("," in tag for tag in tags[image]):
            with_commas.append(file)
    empty = [scan.files[image] for image, found in tags.items() if not found]
    notes = [
        *_note(list(scan.shared), "tag files belong to several images and are left out"),
        *_note([i for i in scan.missing], "images have no tag file and are left out"),
        *_note(scan.orphans, "tag files have no image"),
        *_note(empty, "tag files are empty: their images count as having none of the tags"),
        *_note(unreadable, "tag files cannot be read and are left out"),
        *_note(with_commas, "tag files hold commas: if these separate tags, set tag_commas"),
    ]
    return TagSource(name="the tag files", tags=tags, notes=notes)


def read_csv(file: Path, images: Sequence[str]) -> TagSource:
    """Tags from a table `path,tags[,split]`, the tags separated by commas.

    `path` is relative to the image folder; backslashes are understood.

    Raises:
        DataError: no CSV, columns missing, or an unknown word in `split`.
    """
    tags: dict[str, list[str]] = {}
    parts: dict[str, str] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            lacking = {"path", "tags"} - set(rows.fieldnames or ())
            if lacking:
                raise DataError(f"{file}: the first line lacks {', '.join(sorted(lacking))}")
            for row in rows:
                path = PurePosixPath((row["path"] or "").replace("\\", "/")).as_posix()
                tags[path] = parse_tags(row["tags"] or "", SidecarStyle(commas=True))
                part = (row.get("split") or "").strip().lower()
                if part not in PARTS:
                    raise DataError(
                        f"{file}, line {rows.line_num}: split is {part!r}, not train, validation, "
                        "test or empty"
                    )
                parts[path] = PARTS[part]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} is no CSV file in UTF-8: {error}") from None
    present = set(images)
    notes = _note(sorted(tags.keys() - present), f"images of {file.name} are not there")
    return TagSource(
        name=file.name,
        tags={image: tags[image] for image in images if image in tags},
        parts={image: parts[image] for image in images if parts.get(image)},
        notes=notes + _note([i for i in images if i not in tags], f"images are not in {file.name}"),
    )


def read_database(file: Path, images: Sequence[str]) -> TagSource:
    """Tags from SQLite tables `imageTags (image_id, tag_id)` and `tags (tag_id, name, category)`.

    This is the layout of the Danbooru20xx tools; an image's id is its file name without the
    extension (`0123/4567123.jpg` is 4567123). `id` does for `tag_id`; `category` may be absent.

    Raises:
        DataError: no SQLite file, or other tables.
    """
    images_by_id: dict[int, str] = {}
    without_id = []
    for image in images:
        stem = PurePosixPath(image).stem
        if stem.isascii() and stem.isdigit():
            images_by_id[int(stem)] = image
        else:
            without_id.append(image)
    try:
        connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
        try:
            names, categories = _tag_names(connection, file)
            rows = _image_tags(connection, images_by_id)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise DataError(f"{file} cannot be read as a tag database: {error}") from None
    tags: dict[str, list[str]] = {}
    for image_id, tag_id in rows:
        found = tags.setdefault(images_by_id[image_id], [])
        if tag_id in names:
            found.append(names[tag_id])
    absent = [image for image in images_by_id.values() if image not in tags]
    return TagSource(
        name=file.name,
        tags={image: clean_tags(found) for image, found in tags.items()},
        categories=categories,
        ids={name: tag_id for tag_id, name in names.items()},
        notes=_note(without_id, "images are not named by an id and are left out")
        + _note(absent, f"images have no tags in {file.name} and are left out"),
    )


def _tag_names(connection: sqlite3.Connection, file: Path) -> tuple[dict[int, str], dict[str, int]]:
    columns = {row[1].lower() for row in connection.execute("PRAGMA table_info(tags)")}
    key = next((name for name in ("tag_id", "id") if name in columns), None)
    if key is None or "name" not in columns:
        raise DataError(f"{file} has no table tags (tag_id, name, category): it is no tag database")
    category = "category" if "category" in columns else "0"
    rows = connection.execute(f"SELECT {key}, name, {category} FROM tags").fetchall()
    names = {int(tag_id): str(name) for tag_id, name, _ in rows}
    return names, {str(name): int(kind or 0) for _, name, kind in rows}


def _image_tags(
    connection: sqlite3.Connection, images_by_id: Mapping[int, str]
) -> list[tuple[int, int]]:
    connection.execute("CREATE TEMP TABLE wanted (image_id INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO wanted VALUES (?)", [(number,) for number in images_by_id])
    return connection.execute(
        "SELECT imageTags.image_id, imageTags.tag_id FROM imageTags JOIN wanted USING (image_id)"
    ).fetchall()


def _note(items: Sequence[str], what: str) -> list[str]:
    if not items:
        return []
    more = f" and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
    return [f"{len(items)} {what}: {', '.join(items[:_NAMED])}{more}"]
