"""The page on which a person decides about labels that are probably wrong."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from src.dataset.suspected_labels import ADD, FILE_NAME, SuspectedLabel
from src.reports.html import write_page
from src.reports.thumbnails import thumbnails

_SHOWN = 500  # the list has all
_TAGS = 12


def write_suspects(
    file: Path,
    directory: Path,
    suspects: Sequence[SuspectedLabel],
    *,
    tags: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write the page of the greatest surprises; `tags` are those that an image has now."""
    shown = suspects[:_SHOWN]
    paths = list(dict.fromkeys(suspect.path for suspect in shown))
    write_page(
        file,
        "suspects.html",
        title="Labels that may be wrong",
        total=len(suspects),
        list_name=FILE_NAME,
        content={
            "directory": str(directory.resolve()),
            "folder": f"{directory.resolve().as_uri()}/",
            "columns": SuspectedLabel._fields,
            "pictures": dict(zip(paths, thumbnails([directory / p for p in paths]), strict=True)),
            "suspects": [
                {"row": [*suspect], "question": _question(suspect), "more": _more(suspect, tags)}
                for suspect in shown
            ],
        },
    )


def _question(suspect: SuspectedLabel) -> str:
    if suspect.kind == "tag":
        return f"Is “{suspect.label}” {'missing' if suspect.suggested == ADD else 'wrong'}?"
    return f"Labelled “{suspect.label}”: is it “{suspect.suggested}”?"


def _more(suspect: SuspectedLabel, tags: Mapping[str, Sequence[str]] | None) -> str:
    text = f"“{suspect.label}” has a probability of {suspect.probability:.1%}"
    if tags is None:
        return text
    now = [*tags.get(suspect.path, ())]
    names = now if len(now) <= _TAGS else [*now[: _TAGS - 1], "…"]
    return f"{text}; now: {', '.join(names) or 'no tags'}"
