"""Scores as CSV, JSON or Parquet, and what they say in a few lines of text."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from src.errors import MissingExtra
from src.files import replacing, write_csv, write_text
from src.scoring.scored import Scored
from src.text import counted

_BARS, _BAR_LENGTH, _SHOWN = 11, 40, 5


def write_table(path: Path, columns: Mapping[str, Sequence[str] | np.ndarray]) -> None:
    """Write columns of equal length as CSV, JSON (a list of objects) or Parquet, by the ending.

    Numbers have six digits after the point in CSV and JSON.
    """
    if path.suffix == ".parquet":
        try:
            import pyarrow  # type: ignore[import-untyped]
            import pyarrow.parquet  # type: ignore[import-untyped]
        except ImportError:
            raise MissingExtra("pyarrow", "a Parquet table") from None
        table = pyarrow.table({name: pyarrow.array(values) for name, values in columns.items()})
        with replacing(path) as temporary:
            pyarrow.parquet.write_table(table, temporary)
        return
    lists = [
        column.astype(float).round(6).tolist() if isinstance(column, np.ndarray) else column
        for column in columns.values()
    ]
    rows = list(zip(*lists, strict=True))
    if path.suffix == ".json":
        entries = [dict(zip(columns, row, strict=True)) for row in rows]
        write_text(path, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
    else:
        write_csv(path, [tuple(columns), *rows])


def histogram(values: np.ndarray | Sequence[float]) -> str:
    """One line for each of eleven equal ranges: its middle, a bar, the count."""
    values = np.asarray(values, np.float64)
    low, high = values.min(), values.max()
    if high - low < 1e-9 * max(abs(low), abs(high), 1):  # no room for eleven
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(values, _BARS, (low, high))
    lengths = np.ceil(counts * _BAR_LENGTH / counts.max()).astype(int)
    middles = (edges[1:] + edges[:-1]) / 2
    return "\n".join(
        f"{middle:8.2f}  {'█' * length:{_BAR_LENGTH}} {count:,}"
        for middle, length, count in zip(middles, lengths, counts, strict=True)
    )


def summary(scored: Scored, place: str) -> str:
    """How the scores lie, and the first and last few images of a place."""
    lines = [
        f"{counted(len(scored), 'image')} of {place}, {len(scored.unreadable):,} unreadable",
        histogram(scored.scores),
        "",
    ]
    chances = scored.numbers.get("probability")
    for number in dict.fromkeys([*range(len(scored))[:_SHOWN], *range(len(scored))[-_SHOWN:]]):
        if number == len(scored) - _SHOWN > _SHOWN:
            lines.append("     ...")
        chance = "" if chances is None else f"{chances[number]:8.1%}"
        lines.append(f"{scored.scores[number]:8.2f}{chance}  {scored.paths[number]}")
    return "\n".join(lines)
