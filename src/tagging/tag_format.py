"""How a model's tags are written into tag files: spelling, order, what is first, other words."""

import re
from collections.abc import Sequence

import numpy as np

from src.settings.use_models import TagImages
from src.tagging.selected_tags import SelectedTag, category_name
from src.tagging.tag_files import clean_tags

_ORDER = ("character", "copyright", "artist", "general", "meta", "rating")  # others after these
_WORD = re.compile(r"[^\W_]{2}")  # what emoticons such as ^_^ and o_o lack


class TagFormat:
    """The settings' way of writing the tags of one model."""

    def __init__(self, tags: Sequence[SelectedTag], settings: TagImages) -> None:
        self._format = set(settings.tag_format)
        pairs = [pair.rpartition("=") for pair in settings.replace_tags]
        self._replaced = {self._spelled(old.strip()): new.strip() for old, _, new in pairs}
        self._names = [self._written(tag.name) for tag in tags]  # "" where it is left out
        self._position = {name: position for position, name in enumerate(self._names)}
        self._first, self._merges = settings.first_tags, settings.existing == "merge"
        self.writable = np.array([bool(name) for name in self._names])  # (k,)
        if settings.tag_commas:  # a comma would cut the tag in two
            self.writable &= ["," not in name for name in self._names]
        self._rank = np.zeros(len(tags), int)
        if "by_category" in self._format:
            order = [*_ORDER, *sorted({category_name(tag.category) for tag in tags} - {*_ORDER})]
            self._rank = np.array([order.index(category_name(tag.category)) for tag in tags])
        elif "by_list" in self._format:
            self._rank = np.arange(len(tags))

    def tags(
        self, given: np.ndarray, probabilities: np.ndarray, there: Sequence[str] = ()
    ) -> list[str]:
        """What a file is to hold, of the positions of an image's tags, likeliest first.

        `there` are the tags that the file holds already.
        """
        if self._merges:
            there = [self._written(text) for text in there]
            known = [self._position[text] for text in there if text in self._position]
            there = [text for text in there if text not in self._position]
            given = np.union1d(given, np.array(known, given.dtype))
            given = given[np.argsort(-probabilities[given], kind="stable")]
        given = given[np.argsort(self._rank[given], kind="stable")]
        names = [self._names[position] for position in given.tolist()]
        first = [text for text in self._first if text in names or text not in self._position]
        return clean_tags([*first, *there, *names] if self._merges else [*there, *first, *names])

    def _written(self, text: str) -> str:
        spelled = self._spelled(text)
        return self._replaced.get(spelled, spelled)

    def _spelled(self, text: str) -> str:
        if "spaces" in self._format and _WORD.search(text):
            text = text.replace("_", " ")
        if "underscores" in self._format:
            text = text.replace(" ", "_")
        if "escaped" in self._format:
            text = re.sub(r"\\?([()])", r"\\\1", text)  # also where it is escaped already
        return text
