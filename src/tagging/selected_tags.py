"""`selected_tags.csv`: the tags that a model knows, in the order of its outputs."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from src.errors import DataError
from src.files import write_csv

FILE_NAME = "selected_tags.csv"
COLUMNS = ("tag_id", "name", "category", "count")

# Danbooru's numbers for kinds of tags; tags from elsewhere are all of kind 0.
CATEGORY_NAMES = {0: "general", 1: "artist", 3: "copyright", 4: "character", 5: "meta", 9: "rating"}


@dataclass(frozen=True)
class SelectedTag:
    """One tag: its number in the source, name, kind, and how many images have it."""

    tag_id: int
    name: str
    category: int
    count: int


def category_name(category: int) -> str:
    """What a category is called in tables."""
    return CATEGORY_NAMES.get(category, f"category {category}")


def select_tags(
    tag_lists: Iterable[Sequence[str]],
    *,
    min_count: int = 1,
    categories: Mapping[str, int] | None = None,
    ids: Mapping[str, int] | None = None,
) -> list[SelectedTag]:
    """The tags that enough images have, most frequent first, then by name.

    Args:
        tag_lists: the tags of each image.
        min_count: rarer tags are left out.
        categories: tag -> category; 0 for those not named.
        ids: tag -> number in the source; otherwise tags are numbered from 0.
    """
    counts = Counter(tag for tags in tag_lists for tag in set(tags))
    kept = [(-count, tag) for tag, count in counts.items() if count >= min_count]
    return [
        SelectedTag((ids or {}).get(tag, rank), tag, (categories or {}).get(tag, 0), -negative)
        for rank, (negative, tag) in enumerate(sorted(kept))
    ]


def write_selected_tags(file: Path, tags: Sequence[SelectedTag]) -> None:
    """Write the list.

    Raises:
        DataError: the file cannot be written.
    """
    write_csv(file, [COLUMNS, *map(astuple, tags)])


def read_selected_tags(file: Path) -> list[SelectedTag]:
    """Read a list; `category` and `count` may be absent or empty (then 0), so may `tag_id`.

    Raises:
        DataError: no such file, no CSV, a wrong number, or a name that stands there twice.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            if "name" not in (rows.fieldnames or ()):
                raise DataError(f"{file}: the first line must read {','.join(COLUMNS)}")
            tags = [_row(file, rows.line_num, rank, row) for rank, row in enumerate(rows)]
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} is no CSV file in UTF-8: {error}") from None
    twice = [name for name, count in Counter(tag.name for tag in tags).items() if count > 1]
    if twice:
        raise DataError(f"{file}: the tag {twice[0]!r} stands there twice")
    if not tags:
        raise DataError(f"{file} holds no tags")
    return tags


def _row(file: Path, line: int, rank: int, row: Mapping[str, str | None]) -> SelectedTag:
    name = (row.get("name") or "").strip()
    if not name:
        raise DataError(f"{file}, line {line}: the name is missing")
    try:
        return SelectedTag(
            int(row.get("tag_id") or rank),
            name,
            int(row.get("category") or 0),
            int(row.get("count") or 0),
        )
    except ValueError:
        raise DataError(
            f"{file}, line {line}: tag_id, category and count must be whole numbers"
        ) from None
