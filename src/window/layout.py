"""Where the pictures go, and which part of one a zoom shows. Lengths are screen pixels."""

from collections.abc import Iterator
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

Size = tuple[int, int]  # width, height
_Size = tuple[float, float]


class Rect(NamedTuple):
    x: int
    y: int
    width: int
    height: int

    @property
    def size(self) -> Size:
        return self.width, self.height

    def grid(self, columns: int, rows: int, gap: int) -> list["Rect"]:
        """Equal cells that fill it, row by row."""
        across = [self.x + (self.width + gap) * number // columns for number in range(columns + 1)]
        down = [self.y + (self.height + gap) * number // rows for number in range(rows + 1)]
        return [
            Rect(left, top, right - left - gap, bottom - top - gap)
            for top, bottom in pairwise(down)
            for left, right in pairwise(across)
        ]

    def overlaps(self, other: "Rect") -> bool:
        """Whether the two have rows of pixels in common."""
        return self.y < other.y + other.height and other.y < self.y + self.height

    def contains(self, x: int, y: int) -> bool:
        return 0 <= x - self.x < self.width and 0 <= y - self.y < self.height


class Frame(NamedTuple):
    """The space for the pictures."""

    area: Rect
    margin: int  # kept free on all sides
    gap: int  # between the pictures
    caption: int = 0  # height kept free below each


Layout = tuple[Rect, ...]  # the pictures' places, row by row


def place_at(layout: Layout, x: int, y: int) -> int | None:
    """Which picture is at a point; None beside them."""
    return next((at for at, place in enumerate(layout) if place.contains(x, y)), None)


def arrange(frame: Frame, *sizes: Size) -> Layout:
    """Place pictures, of sizes in their own pixels, as large as the frame allows.

    One scale for all, so that none is favoured. Only one that has less than half the pixels of the
    largest is enlarged to the same area: judged is the picture, not its resolution. Two stand side
    by side; more stand in a row or in two, whichever makes them larger.
    """
    most = max(width * height for width, height in sizes)
    enlarged = []
    for width, height in sizes:
        ratio = most / (width * height)
        scale = ratio**0.5 if ratio > 2 else 1.0
        enlarged.append((width * scale, height * scale))
    columns = {len(sizes), max(-(-len(sizes) // 2), 2)}
    scale, rows = max((_fitted(frame, enlarged, number) for number in columns), key=itemgetter(0))
    return tuple(_placed(frame, scale, rows))


def _fitted(frame: Frame, sizes: list[_Size], columns: int) -> tuple[float, list[list[_Size]]]:
    """The largest scale at which the pictures fit in rows, and the rows."""
    rows = [sizes[start : start + columns] for start in range(0, len(sizes), columns)]
    area, margin, gap, caption = frame
    tall = sum(max(height for _, height in row) for row in rows)
    across = [
        max(area.width - 2 * margin - gap * (len(row) - 1), len(row))
        / sum(width for width, _ in row)
        for row in rows
    ]
    down = area.height - 2 * margin - gap * (len(rows) - 1) - caption * len(rows)
    return min(*across, max(down, len(rows)) / tall), rows


def _placed(frame: Frame, scale: float, rows: list[list[_Size]]) -> Iterator[Rect]:
    """The places at a scale; each row in the middle of the width, the rows of the height."""
    area, margin, gap, caption = frame
    free = area.height - 2 * margin - caption * len(rows) - gap * (len(rows) - 1)
    talls = [max(height for _, height in row) * scale for row in rows]
    y = area.y + margin + max(free - sum(talls), 0) / 2
    for row, tall in zip(rows, talls, strict=True):
        sizes = [(max(1, round(w * scale)), max(1, round(h * scale))) for w, h in row]
        x = area.x + (area.width - sum(width for width, _ in sizes) - gap * (len(row) - 1)) // 2
        for width, height in sizes:
            yield Rect(x, int(y + (tall - height) / 2), width, height)
            x += width + gap
        y += tall + caption + gap


def zoom_box(
    shown: Size, full: Size, spot: tuple[float, float]
) -> tuple[float, float, float, float]:
    """The part of a picture that fills its place when zoomed: (left, upper, right, lower).

    One pixel of the picture becomes one of the screen; a picture that is `shown` larger than its
    `full` size already is doubled. The box is in the picture's own pixels; the spot, as shares of
    width and height, stays where it is.
    """
    scale = 1.0 if shown[0] < full[0] else 2 * shown[0] / full[0]
    width, height = (min(shown[side] / scale, full[side]) for side in (0, 1))
    x, y = spot[0] * (full[0] - width), spot[1] * (full[1] - height)
    return x, y, x + width, y + height
