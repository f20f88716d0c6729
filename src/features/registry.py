"""Feature extractors by the name a user writes in arguments.py."""

from typing import Any

from src.errors import ModelError, SettingsError
from src.features.builtin import BuiltinExtractor
from src.features.extractor import Extractor
from src.features.file_names import open_file_names
from src.features.hub import NotFetched


def open_extractors(
    names: str,
    *,
    device: str = "auto",
    precision: str = "auto",
    hidden_states: tuple[int, ...] = (),
) -> list[Extractor]:
    """The extractors that a `feature_extractor` setting names, joined with `+`, each once."""
    parts = [part.strip() for part in names.split("+")]
    if not all(parts):
        raise SettingsError(f"feature_extractor {names!r}: a name is missing next to the '+'")
    if all(part.startswith("text:") for part in parts):
        raise SettingsError(
            f"feature_extractor {names!r} uses no image features: add an extractor with '+'"
        )
    how: Any = {"device": device, "precision": precision, "hidden_states": hidden_states}
    try:
        opened = [open_extractor(part, **how) for part in parts]
    except NotFetched as error:
        raise ModelError(f"{error}, or set feature_extractor to 'builtin'") from None
    return list({extractor.identity: extractor for extractor in opened}.values())


def open_extractor(
    name: str,
    *,
    device: str = "auto",
    precision: str = "auto",
    hidden_states: tuple[int, ...] = (),
) -> Extractor:
    """One extractor by name.

    That is `builtin`, a transformers model on the hub or in a folder, an OpenAI CLIP name such as
    `ViT-L/14`, `clip:NAME` for the clip package's own loader, or `text:NAME` for the file names by
    that model. The means of a transformers model's `hidden_states`, by their indexes, join its
    pooled output; negative ones count from the last.
    """
    if name == "builtin":
        return BuiltinExtractor()
    if name.startswith("clip:"):
        from src.features.openai_clip import OpenAIClipExtractor

        return OpenAIClipExtractor(name.removeprefix("clip:"), device=device, precision=precision)
    if name.startswith("text:"):
        return open_file_names(name, device=device)
    from src.features.transformer import TransformerExtractor

    return TransformerExtractor(
        name, device=device, precision=precision, hidden_states=hidden_states
    )
