"""The rating session of one folder: which pair to show, every choice kept, the scores.

`score.json` holds the scores, `score_choices.sqlite` beside it every choice; the scores can always
be computed again from the choices. A session is one `RatingDatabase`:

    with RatingDatabase("photos") as database:
        left, right = database.next_pair()
        database.record(left, right, "left")

All methods may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from numpy.typing import ArrayLike

from src.rating.statistics import Statistics

Pair = tuple[str, str]
Outcome = Literal["left", "right", "tie", "skip"]
Method = Literal["posterior", "elo"]
Selection = Literal["active", "least_shown", "random"]


class RatingDatabase:
    """The scores of a folder of images, learned from a person's choices between pairs.

    Args:
        directory: the folder; `score.json` and `score_choices.sqlite` live in it.
        images: relative posix paths to rate; None finds every image below the folder.
        features: relative path → vector, all of one length; images without one are fine.
        method: "posterior" (Bayesian, with features where there are any) or "elo" (K = 0.8).
        selection: "active" (most informative pairs), "least_shown" or "random".
        seed: makes the choice of pairs repeatable; None draws a new one.
        model_scores: relative path → a trained model's score, for the odd-one-out statistics only.
        goal: comparisons this session aims at; only reported in the statistics.

    Raises:
        DataError: the folder cannot be written; it is open in another window; `score.json` is
            damaged and there is no choice log to rebuild it from.
    """

    directory: Path
    goal: int

    def __init__(
        self,
        directory: str | Path,
        *,
        images: Iterable[str] | None = None,
        features: Mapping[str, ArrayLike] | None = None,
        method: Method = "posterior",
        selection: Selection = "active",
        seed: int | None = None,
        model_scores: Mapping[str, float] | None = None,
        goal: int = 100,
    ) -> None:
        raise NotImplementedError

    @property
    def images(self) -> list[str]:
        """Relative paths that can be shown: found, not excluded, not gone."""
        raise NotImplementedError

    def next_pair(self) -> Pair:
        """The pair to show now, as (left, right); the same one until it is recorded.

        Raises:
            DataError: fewer than two images can be shown.
        """
        raise NotImplementedError

    def following_pairs(self) -> dict[Outcome, Pair]:
        """For "left" and "right": the pair that `next_pair` will give after that answer.

        For decoding images ahead; `next_pair` keeps to it unless images vanish in between.
        Empty when there is no pair on show or fewer than two images are left.
        """
        raise NotImplementedError

    def record(
        self, left: str, right: str, outcome: Outcome, *, response_time: float | None = None
    ) -> None:
        """Keep a choice; it is on disk when this returns.

        Args:
            left, right: the pair as it was shown.
            outcome: the preferred side, "tie" (equally good), or "skip" (no answer: changes no
                score).
            response_time: seconds from showing the pair to the answer.

        Raises:
            DataError: the disk is full or the folder gone; nothing changed, so try again.
        """
        raise NotImplementedError

    def undo(self) -> Pair | None:
        """Take back this session's last choice or exclusion; the pair to show again.

        None when there is nothing to take back. `next_pair` gives the same pair until it is
        answered, then the pair that was on show before the undo.
        """
        raise NotImplementedError

    def exclude(self, path: str) -> None:
        """Never show this image again; its score leaves `scores` and `score.json`."""
        raise NotImplementedError

    def set_unavailable(self, path: str, reason: str = "cannot be read") -> None:
        """Stop showing an image that cannot be opened, for this session; its score is kept."""
        raise NotImplementedError

    def set_features(self, features: Mapping[str, ArrayLike]) -> None:
        """Use these features from now on; meant to be called from a background thread."""
        raise NotImplementedError

    def set_model_scores(self, model_scores: Mapping[str, float]) -> None:
        """Scores of a trained model, for the odd-one-out statistics of later choices."""
        raise NotImplementedError

    def scores(self) -> dict[str, float]:
        """Every image's score: Elo/400 (+1 is 10:1 odds), mean zero; unrated images included."""
        raise NotImplementedError

    def uncertainty(self) -> dict[str, float]:
        """The standard deviation of each score, in the same unit."""
        raise NotImplementedError

    def comparisons(self) -> dict[str, int]:
        """How often each image took part in a choice (skipped pairs do not count)."""
        raise NotImplementedError

    def unrated(self) -> list[str]:
        """Images that no person has compared yet; a model's score does not count."""
        raise NotImplementedError

    def initialise_from_model(self, scores: Mapping[str, float]) -> None:
        """Take rescaled model scores (see `model_scores.py`) as the start of unrated images.

        They are a prior for later choices, not ratings: the images stay unrated.

        Raises:
            DataError: an image is rated already, or is not in this folder.
        """
        raise NotImplementedError

    def statistics(self) -> Statistics:
        """The figures of R17, with series for plots, odd-one-out shares and advice."""
        raise NotImplementedError

    def take_notices(self) -> list[str]:
        """One-line messages for the user since the last call (files gone, file rebuilt …)."""
        raise NotImplementedError

    def save(self) -> None:
        """Refit all choices exactly and write `score.json` in one atomic step.

        Raises:
            DataError: the file cannot be written; the choices are safe in the log.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Save and release the folder; may be called twice."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
