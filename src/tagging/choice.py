"""Which of a tagger's tags an image gets."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from src.errors import DataError, SettingsError
from src.settings.use_models import TagImages
from src.tagging.selected_tags import CATEGORY_NAMES, RATING, SelectedTag
from src.tagging.taggers import Tagger
from src.tagging.thresholds import USUAL
from src.text import counted

logger = logging.getLogger(__name__)

_LIKELIEST, _NEVER = "best", "off"  # in place of a category's threshold


class TagChoice(NamedTuple):
    """Which tags an image gets."""

    thresholds: np.ndarray  # (k,) float64; a tag is given where its probability reaches this
    allowed: np.ndarray  # (k,) bool
    top_k: int = 0  # the most probable so many instead, whatever the thresholds; 0: by thresholds
    one_of: tuple[np.ndarray, ...] = ()  # positions of tags of which the likeliest alone is given

    def given(self, probabilities: np.ndarray) -> np.ndarray:
        """Positions of the tags that an image with these probabilities gets, likeliest first."""
        reached = self.allowed & ((self.top_k > 0) | (probabilities >= self.thresholds))
        for group in self.one_of:
            reached[group] = False
            likeliest = group[probabilities[group].argmax()]
            reached[likeliest] = self.allowed[likeliest]
        order = np.argsort(-probabilities, kind="stable")
        order = order[reached[order]]
        return order[: self.top_k] if self.top_k else order


def choose(model: Tagger, settings: TagImages, allowed: np.ndarray | None = None) -> TagChoice:
    """The choice that the settings ask for; `allowed`, (k,) bool, as from `allowed_tags`."""
    kinds = np.array([tag.category for tag in model.tags])
    usual = model.thresholds.chosen_on == USUAL.chosen_on
    thresholds = model.thresholds.of(model.tags, "category" if usual else settings.threshold_scope)
    if settings.threshold:
        thresholds[:] = settings.threshold
    likeliest = {RATING} if usual else set[int]()
    for category, value in _by_category(settings).items():
        likeliest -= {category}
        if value == _LIKELIEST:
            likeliest |= {category}
        else:
            thresholds[kinds == category] = np.inf if value == _NEVER else float(value)
    given = (thresholds < np.inf) & (True if allowed is None else allowed)
    one_of = [np.flatnonzero(kinds == category) for category in likeliest & {*kinds.tolist()}]
    return TagChoice(thresholds, given, settings.top_k, tuple(one_of))


def _by_category(settings: TagImages) -> dict[int, str]:
    """Category -> its threshold, "best" or "off", as the user wants it."""
    known = {name: category for category, name in CATEGORY_NAMES.items()}
    wanted = {}
    for pair in settings.category_thresholds:
        name, _, value = (part.strip() for part in pair.rpartition("="))
        try:
            if value not in (_LIKELIEST, _NEVER) and not 0 <= float(value) <= 1:
                raise ValueError
            wanted[known[name]] = value
        except (KeyError, ValueError):
            raise SettingsError(
                f"category_thresholds: {pair!r} must be like 'general=0.35': {', '.join(known)}; "
                f"a number from 0 to 1, '{_LIKELIEST}' or '{_NEVER}'"
            ) from None
    return wanted


def allowed_tags(
    tags: Sequence[SelectedTag], whitelist: Sequence[str] = (), blacklist: Sequence[str] = ()
) -> np.ndarray:
    """Which tags may be given, (k,) bool: those on the whitelist, if any, and on no blacklist."""
    names = [tag.name for tag in tags]
    for listed, name in ((whitelist, "whitelist"), (blacklist, "blacklist")):
        if unknown := sorted(set(listed) - set(names)):
            text = "The model does not know %s of the %s, such as %r."
            logger.warning(text, counted(len(unknown), "tag"), name, unknown[0])
    allowed = ~np.isin(names, blacklist) & (np.isin(names, whitelist) | (not whitelist))
    if not allowed.any():
        raise DataError("the whitelist and the blacklist leave no tag that the model knows")
    return allowed
