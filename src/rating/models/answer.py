"""A choice between images, and many of them as arrays."""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from src.rating.models.graph import Choices, Floats, Sets
from src.rating.storage.choice_rows import places


class Answer(NamedTuple):
    """One choice between images by their index."""

    left: int
    right: int
    outcome: str  # see `choice_rows.ANSWERS`
    others: tuple[int, ...] = ()

    @classmethod
    def of(
        cls, outcome: str, images: Sequence[int], known: Callable[[int], bool] = lambda image: True
    ) -> Self | None:
        """What the answer says of the known ones among its images, each of which may come twice.

        None where that is nothing. By Luce's axiom the best of all is the best of these, and what
        else was on show makes no difference.
        """
        best, worst = (None if at is None else images[at] for at in places(outcome))
        kept = [*dict.fromkeys(image for image in images if known(image))]
        if len(kept) < 2 or (best is not None and best not in kept):
            return None
        if best is not None:
            at = kept.index(best)
            outcome = ("left", "right")[at] if len(kept) == 2 else f"{at + 1}"
            if len(kept) > 2 and worst in kept and worst != best:
                outcome += f"/{kept.index(worst) + 1}"
        left, right, *others = kept
        return cls(left, right, outcome, tuple(others))

    @property
    def images(self) -> tuple[int, ...]:
        return (self.left, self.right, *self.others)

    @property
    def told(self) -> tuple[Floats, Floats]:
        """(k,) how often each image was the best, and (k,) the worst of the others."""
        best, worst = places(self.outcome)
        each, nobody = np.eye(len(self.images)), np.zeros(len(self.images))
        return (
            each.mean(axis=0) if best is None else each[best],
            nobody if worst is None else each[worst],
        )

    def among(self, known: NDArray[np.bool_]) -> Self | None:
        """What it says of the images that are known, (n,) bool."""
        return self.of(self.outcome, self.images, lambda at: at < len(known) and bool(known[at]))

    def duels(self) -> list[tuple[int, int, float]]:
        """The pairs of which the answer says something: two images and 1, or 0.5 for a tie."""
        best, worst = places(self.outcome)
        if best is None:
            return [(i, j, 0.5) for i, j in combinations(self.images, 2)]
        winner = self.images[best]
        rest = [image for image in self.images if image != winner]
        found = [(winner, image, 1.0) for image in rest]
        if worst is not None:
            loser = self.images[worst]
            found += [(image, loser, 1.0) for image in rest if image != loser]
        return found


def as_choices(answers: Sequence[Answer]) -> Choices:
    """Answers as arrays; a tie is half a win for either side."""
    pairs = [answer for answer in answers if not answer.others]
    left = np.array([answer.left for answer in pairs], dtype=np.intp)
    right = np.array([answer.right for answer in pairs], dtype=np.intp)
    outcome = np.array([answer.outcome for answer in pairs], dtype=object)
    left_won, tie = outcome != "right", outcome == "tie"
    winners, losers = np.where(left_won, left, right), np.where(left_won, right, left)
    larger: dict[int, list[Answer]] = {}
    for answer in answers:
        if answer.others:
            larger.setdefault(len(answer.images), []).append(answer)
    return Choices(
        np.concatenate([winners, losers[tie]]),
        np.concatenate([losers, winners[tie]]),
        np.concatenate([np.where(tie, 0.5, 1.0), np.full(int(tie.sum()), 0.5)]),
        [_as_sets(alike) for alike in larger.values()],
    )


def _as_sets(answers: Sequence[Answer]) -> Sets:
    best, worst = np.array([answer.told for answer in answers]).transpose(1, 2, 0)
    return Sets(np.array([answer.images for answer in answers]).T, best, worst)
