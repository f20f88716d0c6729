"""What a folder keeps of its ratings: `score.json` and the choice log, made to agree.

The log is what counts; `score.json` is computed from it. A `score.json` without a log (of the old
tool, or copied from elsewhere) is where the log begins.
"""

import hashlib
import logging
from collections.abc import Collection, Mapping
from pathlib import Path

from src.errors import DataError
from src.files import write_text
from src.rating.storage import choice_log, score_file
from src.rating.storage.choice_log import ChoiceLog
from src.rating.storage.choice_rows import ANSWERS, Event, Start, as_count
from src.rating.storage.score_file import DamagedScoreFile, ScoreFile, read_bytes, set_aside

logger = logging.getLogger(__name__)


class RatingStore:
    """The open records of one folder; `notices` is what the user should know about them.

    Raises a DataError where the log cannot be opened (see `ChoiceLog`), or `score.json` is damaged
    and there are no choices to rebuild it from.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / score_file.NAME
        self.log = ChoiceLog(directory)
        try:
            for left_by_a_kill in directory.glob(f".{score_file.NAME}.*.tmp"):
                left_by_a_kill.unlink(missing_ok=True)
            self.notices = self.log.notices
            self.events: list[Event] = self.log.events()  # that stand, oldest first
            self.starts: dict[str, Start] = self.log.starts()  # scores before any choice
            self._state = self.log.state()
            self._kept = self._reconciled()
            written = self._state.get("last_event", "0")  # "" where it is to be written again
            self._written = as_count(written) if written and self.path.exists() else None
            if not self.events and not self.starts:
                self._written = self.last_event
        except BaseException:
            self.log.close()
            raise

    @property
    def last_event(self) -> int:
        return self.events[-1].id if self.events else 0

    @property
    def stale(self) -> bool:
        """Whether `score.json` lacks what the log holds."""
        return self._written != self.last_event

    @property
    def comparisons(self) -> int:
        """Choices that stand in the log, without skips, and those of the old tool."""
        return self.old_evaluations + self._answered()

    @property
    def old_evaluations(self) -> int:
        """Comparisons of the old tool, of which only their number is known."""
        return as_count(self._state.get("old_evaluations"))

    def append(self, event: Event) -> Event:
        """Keep an event; it is on the disk when this returns."""
        event = event._replace(id=self.log.append(event), session=self.log.session)
        self.events.append(event)
        return event

    def take_back(self) -> Event:
        self.log.undo(self.events[-1])
        return self.events.pop()

    def add_model_scores(self, scores: Mapping[str, float]) -> None:
        self._add_starts([Start(path, float(score), "model") for path, score in scores.items()])
        evaluated = as_count(self._state.get("model_evals")) + len(scores)
        self._set_state(model_evals=str(evaluated))
        self._written = None

    def content(self) -> ScoreFile:
        """What `score.json` should hold beside scores: counts, and what is unknown in it."""
        meta = {
            **self._kept.meta,
            "evaluations": self.comparisons,
            "model_evals": as_count(self._state.get("model_evals")),
        }
        return ScoreFile({}, meta, self._kept.extra)

    def write(self, text: str, last_event: int) -> None:
        """Write the text of `score.json`, in which all events up to the last one count."""
        digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
        try:
            present = _digest(self.path)
            if self._is_foreign(present):
                copy = set_aside(self.path, "changed")
                self._notice(f"{self.path} was changed by another program; a copy is {copy.name}")
            # The process may be killed after any of these lines, and again in the next session.
            self._set_state(sha256=present)
            self._set_state(next_sha256=digest)
            write_text(self.path, text)
        except DataError as error:
            raise DataError(
                f"{error}. The choices are safe in {choice_log.NAME}: "
                "free disk space or correct the folder's permissions"
            ) from error
        self._set_state(sha256=digest, last_event=str(last_event))
        self._written = last_event

    def close(self) -> None:
        self.log.close()

    def _reconciled(self) -> ScoreFile:
        """The file's content, with what is new in it taken into the log."""
        digest = _digest(self.path)
        known = bool(self.events or self.starts)
        try:
            content = score_file.read_score_file(self.path)
        except DamagedScoreFile as error:
            copy = set_aside(self.path)
            if not known:
                raise DataError(
                    f"{error}; a copy is {copy.name}, and there are no choices in "
                    f"{choice_log.NAME} to rebuild it from: repair it, or delete it to start again"
                ) from error
            self._notice(f"{error}: it is rebuilt from the choices; the copy is {copy.name}")
            self._set_state(sha256=digest, last_event="")
            return ScoreFile()
        if not known:
            self._add_starts(self._new_starts(content, content.scores))
            self._set_state(
                sha256=digest,
                old_evaluations=str(content.count("evaluations")),
                model_evals=str(content.count("model_evals")),
            )
        elif self._is_foreign(digest):
            self._take_over(content, digest)
        return content

    def _take_over(self, content: ScoreFile, digest: str) -> None:
        """Take what another program wrote about images without choices into the log."""
        compared = {path for event in self.events for path in event[:2]}
        evaluated = content.count("model_evals")
        filled = evaluated > as_count(self._state.get("model_evals"))  # by a model, meanwhile
        taken = content.scores if filled else content.rated()
        starts = self._new_starts(content, taken.keys() - compared)
        copy = set_aside(self.path, "changed")
        self._add_starts(starts)
        old = max(self.old_evaluations, content.count("evaluations") - self._answered())
        self._set_state(sha256=digest, last_event="", old_evaluations=str(old))
        if filled:
            self._set_state(model_evals=str(evaluated))
        self._notice(
            f"{self.path} was changed by another program: {len(starts)} scores are taken "
            f"from it, for images with choices the choices count; a copy is {copy.name}"
        )

    def _answered(self) -> int:
        return sum(event.outcome in ANSWERS for event in self.events)

    def _new_starts(self, content: ScoreFile, paths: Collection[str]) -> list[Start]:
        unrated = content.unrated()
        starts = [
            Start(path, score, "model" if path in unrated else "file")
            for path, score in content.scores.items()
            if path in paths and score != 0
        ]
        return [start for start in starts if self.starts.get(start.path) != start]

    def _add_starts(self, starts: list[Start]) -> None:
        if starts:
            self.log.add_starts(starts)
            self.starts.update((start.path, start) for start in starts)

    def _is_foreign(self, digest: str) -> bool:
        """Whether a `score.json` is one that this program did not write."""
        return digest not in ("", self._state.get("sha256"), self._state.get("next_sha256"))

    def _set_state(self, **values: str) -> None:
        self.log.set_state(**values)
        self._state.update(values)

    def _notice(self, text: str) -> None:
        logger.warning(text)
        self.notices.append(text)


def _digest(path: Path) -> str:
    content = read_bytes(path)
    return "" if content is None else hashlib.sha256(content).hexdigest()
