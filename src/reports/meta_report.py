"""meta.html: what a search of training settings has tried, as a heat map and as lines."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.aesthetic.search.run import Found
from src.reports.html import write_page
from src.text import counted

REPORT = "meta.html"
_FEW = 9  # values that get a place each; more share a scale
_WIDE = 10  # from this factor on a scale is logarithmic
_RESULTS = ("train_loss", "eval_loss", "ab")
_SHOWN = 100  # rows of the table
_DIGITS = 7


def write(path: Path, found: Found) -> None:
    """Write the page of a finished search."""
    rows = sorted(found.rows, key=lambda row: -float(row["ab"] or -1))
    names = [name for name in rows[0] if name not in _RESULTS]
    varied = [name for name in names if len({row[name] for row in rows}) > 1]
    fixed = {name: rows[0][name] for name in names if name not in varied}
    diverged = sum(not row["ab"] for row in rows)
    write_page(
        path,
        "meta.html",
        title="Search of the training settings",
        headline=[
            ("of pairs of left-out images ordered as you do by the best (AB)", f"{found.ab:.1%}"),
            ("combinations tried", f"{len(rows) + found.given_up:,}"),
        ],
        notes=_notes(found, diverged, fixed),
        names=varied,
        rows=[{name: _short(text) for name, text in row.items()} for row in rows[:_SHOWN]],
        left_out=max(0, len(rows) - _SHOWN),
        data={
            "axes": [axis(name, [row[name] for row in rows if row["ab"]]) for name in varied],
            "rows": [
                {"at": [row[name] for name in varied], "ab": float(row["ab"])}
                for row in rows
                if row["ab"]
            ],
        },
    )


def axis(name: str, values: Sequence[str]) -> dict[str, Any]:
    """How the values of one setting are laid out, for the script of the page.

    Few values get `places` in order; otherwise there are `low`, `high` and `log`, whether the scale
    is logarithmic. `gap` tells that some combinations have no value.
    """
    given = sorted({value for value in values if value}, key=_order)
    numbers = [number for value in given if (number := _number(value)) is not None]
    found: dict[str, Any] = {"name": name, "gap": "" in values}
    if len(given) <= _FEW or len(numbers) < len(given):
        return found | {"places": given}
    low, high = min(numbers), max(numbers)
    return found | {"low": low, "high": high, "log": low > 0 and high / low >= _WIDE}


def _notes(found: Found, diverged: int, fixed: Mapping[str, str]) -> list[str]:
    notes = [
        found.sentence,
        "Each was trained on parts of the training images and judged on the rest of them. The "
        "test images played no part; report.html says how the best does on them.",
    ]
    if found.given_up:
        poor = counted(found.given_up, "poor combination")
        notes.append(f"Given up early and not shown: {poor}.")
    if diverged:
        notes.append(f"Diverged (the loss became infinite, so AB is empty): {diverged:,}.")
    if fixed:
        same = ", ".join(f"{name} {value or '–'}" for name, value in fixed.items())
        notes.append(f"The same in all: {same}.")
    return notes


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _short(text: str) -> str:
    """A number without the digits that nobody reads."""
    number = _number(text)
    return f"{number:.4g}" if number is not None and len(text) > _DIGITS else text


def _order(text: str) -> tuple[float, str]:
    number = _number(text)
    return (float("inf") if number is None else number, text)
