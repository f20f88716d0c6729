"""What a folder keeps of its ratings: `score.json` and the choice log, made to agree.

The log is what counts; `score.json` is computed from it. A `score.json` without a log (of the old
tool, or copied from elsewhere) is where the log begins.
"""

import hashlib
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from src.errors import DataError
from src.files import write_text
from src.rating.storage import choice_log, score_file
from src.rating.storage.choice_log import ChoiceLog
from src.rating.storage.choice_rows import ANSWERS, Start, as_count
from src.rating.storage.score_file import DamagedScoreFile, ScoreFile, read_bytes, set_aside
from src.text import counted

logger = logging.getLogger(__name__)

_GROUPS = "near_duplicates"


class RatingStore:
    """The open records of one folder."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / score_file.NAME
        self.log = ChoiceLog(directory)
        try:
            for left_by_a_kill in directory.glob(f".{score_file.NAME}.*.tmp"):
                left_by_a_kill.unlink(missing_ok=True)
            self._kept = self._reconciled()
        except BaseException:
            self.log.close()
            raise

    @property
    def last_event(self) -> int:
        return self.log.events[-1].id if self.log.events else 0

    @property
    def stale(self) -> bool:
        """Whether `score.json` lacks what the log holds."""
        written = self.log.state.get("last_event", "0")  # "" where it is to be written again
        current = written == str(self.last_event) and self.path.exists()
        return not current and bool(self.log.events or self.log.starts)

    @property
    def choices(self) -> int:
        """Those that stand in the log, without skips, and those of the old tool."""
        return self.old_evaluations + self._answered()

    @property
    def old_evaluations(self) -> int:
        """Choices made with the old tool, of which only their number is known."""
        return as_count(self.log.state.get("old_evaluations"))

    @property
    def near_duplicates(self) -> list[list[str]]:
        """Groups of images that are rated as one, from the one to show first."""
        groups = json.loads(self.log.state.get(_GROUPS, "[]"))
        return [[str(path) for path in group] for group in groups]

    def keep_near_duplicates(self, groups: Sequence[Sequence[str]]) -> None:
        self.log.set_state(**{_GROUPS: json.dumps(groups)}, last_event="")

    def add_model_scores(self, scores: Mapping[str, float]) -> None:
        self.log.add_starts(Start(path, float(score), "model") for path, score in scores.items())
        self.log.set_state(model_evals=str(self._model_evals() + len(scores)), last_event="")

    def content(self) -> ScoreFile:
        """What `score.json` should hold beside scores: counts, and what is unknown in it."""
        counts = {"evaluations": self.choices, "model_evals": self._model_evals()}
        return ScoreFile({}, self._kept.meta | counts, self._kept.extra)

    def write(self, content: ScoreFile, last_event: int) -> None:
        """Write `score.json`, in which all events up to the last one count."""
        text = score_file.as_text(content)
        digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
        try:
            present = _digest(self.path)
            if self._is_foreign(present):
                copy = set_aside(self.path, "changed")
                self._notice(f"{self.path} was changed by another program; a copy is {copy.name}")
            # The process may be killed after any of these lines, and again in the next session.
            self.log.set_state(sha256=present)
            self.log.set_state(next_sha256=digest)
            write_text(self.path, text)
        except DataError as error:
            raise DataError(
                f"{error}. The choices are safe in {choice_log.NAME}: "
                "free disk space or correct the folder's permissions"
            ) from error
        self.log.set_state(sha256=digest, last_event=str(last_event))

    def _reconciled(self) -> ScoreFile:
        """The file's content, with what is new in it taken into the log."""
        digest = _digest(self.path)
        known = bool(self.log.events or self.log.starts)
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
            self.log.set_state(sha256=digest, last_event="")
            return ScoreFile()
        if not known:
            self.log.add_starts(self._new_starts(content, content.scores))
            self.log.set_state(
                sha256=digest,
                old_evaluations=str(content.count("evaluations")),
                model_evals=str(content.count("model_evals")),
            )
        elif self._is_foreign(digest):
            self._take_over(content, digest)
        return content

    def _take_over(self, content: ScoreFile, digest: str) -> None:
        """Take what another program wrote about images without choices into the log."""
        compared = {path for event in self.log.events for path in event.images}
        starts = self._new_starts(content, content.rated().keys() - compared)
        copy = set_aside(self.path, "changed")
        self.log.add_starts(starts)
        old = max(self.old_evaluations, content.count("evaluations") - self._answered())
        self.log.set_state(sha256=digest, last_event="", old_evaluations=str(old))
        self._notice(
            f"{self.path} was changed by another program: {counted(len(starts), 'score')} taken "
            f"from it, for images with choices the choices count; a copy is {copy.name}"
        )

    def _answered(self) -> int:
        return sum(event.outcome in ANSWERS for event in self.log.events)

    def _model_evals(self) -> int:
        return as_count(self.log.state.get("model_evals"))

    def _new_starts(self, content: ScoreFile, paths: Collection[str]) -> list[Start]:
        unrated = content.unrated()
        starts = [
            Start(path, score, "model" if path in unrated else "file")
            for path, score in content.scores.items()
            if path in paths and score != 0
        ]
        return [start for start in starts if self.log.starts.get(start.path) != start]

    def _is_foreign(self, digest: str) -> bool:
        """Whether a `score.json` is one that this program did not write."""
        state = self.log.state
        return digest not in ("", state.get("sha256"), state.get("next_sha256"))

    def _notice(self, text: str) -> None:
        logger.warning(text)
        self.log.notices.append(text)


def _digest(path: Path) -> str:
    content = read_bytes(path)
    return "" if content is None else hashlib.sha256(content).hexdigest()
