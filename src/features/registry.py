"""Feature extractors by the name a user writes in arguments.py."""

from typing import Any, Protocol

import numpy as np
from PIL import Image

from src.errors import SettingsError


class Extractor(Protocol):
    """Turns images into feature vectors.

    The identity changes whenever the vectors would: with the weights, the preprocessing, the
    chosen hidden states or our own code. `load` is called once before the first `prepare`, so
    that an extractor whose features are all in the store costs nothing.
    """

    name: str  # as written by the user
    identity: str

    @property
    def min_side(self) -> int | None:
        """The shorter side, in pixels, that `prepare` shrinks images to; None: full size."""

    def load(self) -> None:
        """Bring the model into memory."""

    def prepare(self, image: Image.Image) -> np.ndarray:
        """What `extract` needs of one RGB image; called from several threads at once."""

    def extract(self, prepared: list[np.ndarray]) -> np.ndarray:
        """Features of a batch, (n, d) float32."""

    def describe(self) -> dict[str, Any]:
        """What a saved model must know to open this extractor again: JSON values."""


def open_extractors(
    names: str, *, device: str = "auto", hidden_states: tuple[int, ...] = ()
) -> list[Extractor]:
    """The extractors that a `feature_extractor` setting names, joined with `+`.

    Args:
        names: `builtin`, a transformers model on the hub or in a folder, an OpenAI CLIP name
            such as `ViT-L/14`, `clip:NAME` for the clip package's own loader, `text:NAME` for
            the file names by that model, or several of these joined with `+`.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        hidden_states: indexes into a transformers model's hidden states whose means join its
            pooled output; negative ones count from the last.

    Raises:
        SettingsError: an empty name.
        ModelError: the model cannot be found or fetched.
        MissingExtra: the clip package is named and not installed.
    """
    parts = [part.strip() for part in names.split("+")]
    if not all(parts):
        raise SettingsError(f"feature_extractor {names!r}: a name is missing beside the '+'")
    if all(part.startswith("text:") for part in parts):
        raise SettingsError(f"feature_extractor {names!r} looks at no image: join one with '+'")
    opened = [open_extractor(part, device=device, hidden_states=hidden_states) for part in parts]
    return list({extractor.identity: extractor for extractor in opened}.values())  # each once


def open_extractor(
    name: str, *, device: str = "auto", hidden_states: tuple[int, ...] = ()
) -> Extractor:
    """One extractor by name; arguments and errors as for `open_extractors`."""
    if name == "builtin":
        from src.features.builtin_extractor import BuiltinExtractor

        return BuiltinExtractor()
    if name.startswith("clip:"):
        from src.features.openai_clip import OpenAIClipExtractor

        return OpenAIClipExtractor(name.removeprefix("clip:"), device=device)
    if name.startswith("text:"):
        from src.features.file_names import open_file_names

        return open_file_names(name, device=device)
    from src.features.transformer import TransformerExtractor

    return TransformerExtractor(name, device=device, hidden_states=hidden_states)
