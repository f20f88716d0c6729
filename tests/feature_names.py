"""What each of the built-in features measures, as a phrase."""

from functools import cache
from itertools import combinations_with_replacement, product

from PIL import Image

from src.features import builtin

CHANNELS = ["lightness", "green-red", "blue-yellow", "chroma"]
STATISTICS = [
    *CHANNELS, "horizontal change", "vertical change", "green-red edges", "blue-yellow edges",
    "Laplacian",
]  # fmt: skip
AXES = {
    "channel": CHANNELS,
    "Lab": CHANNELS[:3],
    "RGB": ["red", "green", "blue"],
    "YCbCr": ["luma", "blue difference", "red difference"],
    "ratio": ["red to green", "blue to green"],
    "neutral": ["average", "brightest", "edges"],
    "moment": ["mean", "deviation", "skew", "kurtosis"],
    "quantile": [f"{percent}% quantile" for percent in (1, 5, 10, 25, 50, 75, 90, 95, 99)],
    "quartile": ["lowest", "lower quartile", "median", "upper quartile", "highest"],
    "hue": [f"{30 * i}°" for i in range(12)],
    "third": ["dark", "middle", "light"],
    "symmetry": ["one hue", "complements", "triad", "tetrad", "pentad"],
    "tone": [f"{i + 1} of 16" for i in range(16)],
    "block": ["blocks of 8 px", "blocks of 32 px"],
    "level": ["full detail", "half detail", "picture", "half picture", "quarter picture"],
    "detail": ["full detail", "half detail"],
    "sharpness": ["mean gradient", "peak gradient", "mean Laplacian", "peak Laplacian"],
    "normalised": ["local deviation", "magnitude", "deviation", "skew", "kurtosis"],
    "neighbour": ["right", "below", "below right", "below left"],
    "product": ["signed", "magnitude"],
    "side": ["horizontal", "vertical"],
    "pattern": [*(f"{i} brighter neighbours" for i in range(9)), "irregular"],
    "statistics": [
        f"{one} and {other}" for one, other in combinations_with_replacement(STATISTICS, 2)
    ],
    "band": [f"waves of {128 / 2 ** (i / 2):.3g} px and less" for i in range(12)],
    "row": [f"row {i + 1} of 4" for i in range(4)],
    "column": [f"column {i + 1} of 4" for i in range(4)],
    "direction": ["across", "down", "to lower right", "to upper right"],
    "place": ["off centre", "low", "wide", "high"],
}


@cache
def names() -> list[str]:
    """In the order of the features."""
    return [
        f"{what}: {', '.join(labels)}" if axes else what
        for what, *axes in builtin.measure(Image.new("RGB", (32, 32)))
        for labels in product(*(AXES[axis] for axis in axes))
    ]
