"""Where the two pictures go, and which part of one a zoom shows. Lengths are screen pixels."""

from itertools import pairwise
from typing import NamedTuple

Size = tuple[int, int]  # width, height


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

    def contains(self, x: int, y: int) -> bool:
        return 0 <= x - self.x < self.width and 0 <= y - self.y < self.height


class Frame(NamedTuple):
    """The space for a pair."""

    area: Rect
    margin: int  # kept free on all sides
    gap: int  # between the pictures
    caption: int = 0  # height kept free below them


class Layout(NamedTuple):
    left: Rect
    right: Rect

    def side_at(self, x: int, y: int) -> str | None:
        """ "left" or "right", the picture at a point; None beside them."""
        if self.left.contains(x, y):
            return "left"
        return "right" if self.right.contains(x, y) else None


def arrange(frame: Frame, left: Size, right: Size) -> Layout:
    """Place two pictures, of sizes in their own pixels, as large as the frame allows.

    One scale for both, so that neither is favoured. Only where one has less than half the
    pixels of the other it is enlarged to the same area: judged is the picture, not its
    resolution.
    """
    area, margin, gap, caption = frame
    ratio = (left[0] * left[1]) / (right[0] * right[1])
    scales = (ratio**-0.5 if ratio < 0.5 else 1.0, ratio**0.5 if ratio > 2 else 1.0)
    widths, heights = ((left[side] * scales[0], right[side] * scales[1]) for side in (0, 1))
    free_width = max(area.width - 2 * margin - gap, 2)
    free_height = max(area.height - 2 * margin - caption, 1)
    scale = min(free_width / sum(widths), free_height / max(heights))
    sizes = [
        (max(1, round(width * scale)), max(1, round(height * scale)))
        for width, height in zip(widths, heights, strict=True)
    ]
    x = area.x + (area.width - sizes[0][0] - gap - sizes[1][0]) // 2
    first, second = (
        Rect(at, area.y + margin + (free_height - height) // 2, width, height)
        for at, (width, height) in zip((x, x + sizes[0][0] + gap), sizes, strict=True)
    )
    return Layout(first, second)


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
