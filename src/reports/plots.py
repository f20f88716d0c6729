"""Plots as SVG text for a page; they take the colours of the page, light or dark."""

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREY = "#3b82c4", "#e08a2c", "#8a8f98"
_ON_THE_PAGE = {BLUE: "accent", ORANGE: "warm", GREY: "soft"}
_POINTS = 12.5  # of the letters
_INCHES = 5.6, 3.7
_SIZE = "min-width: 355px; max-width: 520px"  # at 355, letters have 11 pixels

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": _POINTS,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "axes.titlecolor": GREY,
    "axes.grid": True,
    "grid.color": GREY,
    "grid.alpha": 0.2,
    "text.color": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: small, and can be searched
}


def plot(draw: "Callable[[Axes], None]") -> Markup:
    """Draw on fresh axes and return the picture as inline SVG."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=_INCHES, layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        draw(axes)
        buffer = io.StringIO()
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for colour, name in _ON_THE_PAGE.items():
        svg = svg.replace(colour, f"var(--{name})")
    return Markup(re.sub(r'<svg[^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg \1 style="{_SIZE}">', svg))


def in_percent(axes: "Axes") -> None:
    """Show shares on both axes as percentages."""
    from matplotlib.ticker import PercentFormatter

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
