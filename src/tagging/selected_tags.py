"""`selected_tags.csv`: the tags that a model knows, in the order of its outputs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from src.errors import DataError
from src.files import read_csv, write_csv
from src.images.processors import TAG_LIST

FILE_NAME = TAG_LIST
_LARGEST = 10**12
COLUMNS = ("tag_id", "name", "category", "count")

# Danbooru's numbers for kinds of tags; tags from elsewhere are all of kind 0.
CATEGORY_NAMES = {0: "general", 1: "artist", 3: "copyright", 4: "character", 5: "meta", 9: "rating"}
GENERAL, CHARACTER, RATING = 0, 4, 9


@dataclass(frozen=True)
class SelectedTag:
    """One tag: its number in the source, name, kind, and how many images have it."""

    tag_id: int
    name: str
    category: int
    count: int


def category_name(category: int) -> str:
    return CATEGORY_NAMES.get(category, f"category {category}")


def select_tags(
    tag_lists: Iterable[Sequence[str]],
    min_count: int = 1,
    categories: Mapping[str, int] | None = None,
    ids: Mapping[str, int] | None = None,
) -> list[SelectedTag]:
    """The tags that at least `min_count` images have, most frequent first, then by name."""
    counts = Counter(tag for tags in tag_lists for tag in set(tags))
    kept = [(-count, tag) for tag, count in counts.items() if count >= min_count]
    return [
        SelectedTag((ids or {}).get(tag, rank), tag, (categories or {}).get(tag, 0), -negative)
        for rank, (negative, tag) in enumerate(sorted(kept))
    ]


def write_selected_tags(file: Path, tags: Sequence[SelectedTag]) -> None:
    write_csv(file, [COLUMNS, *map(astuple, tags)])


def read_selected_tags(file: Path) -> list[SelectedTag]:
    """Read a list; `category` and `count` may be absent or empty (then 0), so may `tag_id`."""
    tags: dict[str, SelectedTag] = {}
    for line, row in read_csv(file, "name"):
        name = row["name"].strip()
        if not name:
            raise DataError(f"{file}, line {line}: the name is missing")
        if name in tags:
            raise DataError(f"{file}: the tag {name!r} is listed twice")
        try:
            number = int(row.get("tag_id") or len(tags))
            category, count = int(row.get("category") or 0), int(row.get("count") or 0)
            if not all(0 <= value <= _LARGEST for value in (number, category, count)):
                raise ValueError
        except ValueError:
            raise DataError(
                f"{file}, line {line}: tag_id, category and count must be whole numbers, up to "
                f"{_LARGEST:,}"
            ) from None
        tags[name] = SelectedTag(number, name, category, count)
    if not tags:
        raise DataError(f"{file} holds no tags")
    return list(tags.values())
