"""Where the two pictures go, and which part of one a zoom shows. Lengths are screen pixels."""

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

    def contains(self, x: int, y: int) -> bool:
        return 0 <= x - self.x < self.width and 0 <= y - self.y < self.height


class Layout(NamedTuple):
    left: Rect
    right: Rect

    def side_at(self, x: int, y: int) -> str | None:
        """ "left" or "right", the picture at a point; None beside them."""
        if self.left.contains(x, y):
            return "left"
        return "right" if self.right.contains(x, y) else None


def arrange(
    area: Rect, left: Size, right: Size, *, margin: int, gap: int, caption: int = 0
) -> Layout:
    """Place two pictures side by side, as large as the area allows, at one scale.

    One scale for both, so that neither is favoured. Only where one has less than half the
    pixels of the other it is enlarged to the same area: judged is the picture, not its
    resolution.

    Args:
        area: what may be used.
        left, right: sizes of the whole pictures in their own pixels.
        margin: kept free on all sides.
        gap: between the pictures.
        caption: height kept free below them.
    """
    left_scale, right_scale = _relative_scales(left, right)
    widths = left[0] * left_scale, right[0] * right_scale
    heights = left[1] * left_scale, right[1] * right_scale
    free_width = max(area.width - 2 * margin - gap, 2)
    free_height = max(area.height - 2 * margin - caption, 1)
    scale = min(free_width / sum(widths), free_height / max(heights))
    sizes = [
        (max(1, round(width * scale)), max(1, round(height * scale)))
        for width, height in zip(widths, heights, strict=True)
    ]
    x = area.x + (area.width - sizes[0][0] - gap - sizes[1][0]) // 2
    places = []
    for width, height in sizes:
        y = area.y + margin + (free_height - height) // 2
        places.append(Rect(x, y, width, height))
        x += width + gap
    return Layout(*places)


def _relative_scales(left: Size, right: Size) -> tuple[float, float]:
    ratio = (left[0] * left[1]) / (right[0] * right[1])
    if ratio < 0.5:
        return ratio**-0.5, 1.0
    if ratio > 2:
        return 1.0, ratio**0.5
    return 1.0, 1.0


def zoom_box(
    shown: Size, full: Size, spot: tuple[float, float]
) -> tuple[float, float, float, float]:
    """The part of a picture that fills its place when zoomed: (left, upper, right, lower).

    One pixel of the picture becomes one of the screen; a picture that is shown larger than that
    already is doubled.

    Args:
        shown: the size of the whole picture on the screen.
        full: the picture's own size; the box is in these pixels.
        spot: what stays where it is, as shares of width and height.
    """
    scale = 1.0 if shown[0] < full[0] else 2 * shown[0] / full[0]
    box = []
    for length, whole, share in zip(shown, full, spot, strict=True):
        visible = min(length / scale, whole)
        box.append((share * (whole - visible), visible))
    (x, width), (y, height) = box
    return x, y, x + width, y + height
