"""What a folder keeps of its ratings: `score.json` and the choice log, made to agree.

The log is what counts; `score.json` is computed from it. A `score.json` without a log (of the old
tool, or copied from elsewhere) is where the log begins.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Mapping
from pathlib import Path

from src.errors import DataError
from src.rating.storage import choice_log, score_file
from src.rating.storage.choice_log import ANSWERS, ChoiceLog, Event, Start
from src.rating.storage.score_file import DamagedScoreFile, ScoreFile

logger = logging.getLogger(__name__)


class FolderRecords:
    """The open records of one folder.

    Attributes:
        log: the choice log.
        events: what stands in it, oldest first.
        starts: the scores that images had before any choice in the log.
        notices: what the user should know about the files, one line each.
        stale: `score.json` lacks what the log holds.

    Raises:
        DataError: the log cannot be opened (see `ChoiceLog`), or `score.json` is damaged and
            there are no choices to rebuild it from.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / score_file.NAME
        self.notices: list[str] = []
        self.log = ChoiceLog(directory)
        try:
            self.events: list[Event] = self.log.events()
            self.starts: dict[str, Start] = self.log.starts()
            self._state = self.log.state()
            self._kept = self._reconciled()
            last = str(self.events[-1].id) if self.events else "0"
            known = bool(self.events or self.starts)
            self.stale = known and (
                self._state.get("last_event", "0") != last or not self.path.exists()
            )
        except BaseException:
            self.log.close()
            raise

    @property
    def answered(self) -> int:
        """Choices that stand in the log; skips do not count."""
        return sum(event.outcome in ANSWERS for event in self.events)

    @property
    def old_evaluations(self) -> int:
        """Comparisons of the old tool, of which only their number is known."""
        return int(self._state.get("old_evaluations", 0))

    def append(self, event: Event) -> Event:
        """Keep an event; it is on the disk when this returns.

        Raises:
            DataError: it could not be written, and nothing changed.
        """
        event = event._replace(id=self.log.append(event), session=self.log.session)
        self.events.append(event)
        self.stale = True
        return event

    def take_back(self) -> Event:
        """Take the last event back.

        Raises:
            DataError: it could not be written, and nothing changed.
        """
        self.log.undo(self.events[-1])
        self.stale = True
        return self.events.pop()

    def add_model_scores(self, scores: Mapping[str, float]) -> None:
        """Keep a model's scores as the start of these images."""
        self._add_starts([Start(path, float(score), "model") for path, score in scores.items()])
        evaluated = int(self._state.get("model_evals", 0)) + len(scores)
        self._set_state(model_evals=str(evaluated))
        self.stale = True

    def write(self, scores: Mapping[str, float], unrated: Collection[str]) -> None:
        """Write `score.json`, keeping what is unknown in it.

        Raises:
            DataError: it cannot be written; it is as it was, and the choices are in the log.
        """
        meta = {
            **self._kept.meta,
            "evaluations": self.old_evaluations + self.answered,
            "model_evals": int(self._state.get("model_evals", 0)),
            "unrated": sorted(unrated),
        }
        content = ScoreFile(dict(scores), meta, self._kept.extra)
        digest = hashlib.sha256(score_file.as_text(content).encode("utf-8")).hexdigest()
        last = self.events[-1].id if self.events else 0
        try:
            if self._is_foreign(_digest(self.path)):
                copy = score_file.set_aside(self.path, "changed")
                self._notice(f"{self.path} was changed by another program; a copy is {copy.name}")
            self._set_state(next_sha256=digest)  # the process may end before the next but one line
            score_file.write_score_file(self.path, content)
        except DataError as error:
            raise DataError(
                f"{error}. The choices are safe in {choice_log.NAME}: "
                "free disk space or mend the folder's permissions"
            ) from error
        self._set_state(sha256=digest, last_event=str(last))
        self.stale = False

    def close(self) -> None:
        """Release the folder."""
        self.log.close()

    def _reconciled(self) -> ScoreFile:
        """The file's content, with what is new in it taken into the log."""
        digest = _digest(self.path)
        known = bool(self.events or self.starts)
        try:
            content = score_file.read_score_file(self.path)
        except DamagedScoreFile as error:
            copy = score_file.set_aside(self.path)
            if not known:
                raise DataError(
                    f"{error}; a copy is {copy.name}, and there are no choices in "
                    f"{choice_log.NAME} to rebuild it from: mend it, or delete it to start anew"
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
            compared = {path for event in self.events for path in event[:2]}
            evaluated = content.count("model_evals")
            filled = evaluated > int(self._state.get("model_evals", 0))  # by a model, meanwhile
            taken = content.scores if filled else content.rated()
            starts = self._new_starts(content, taken.keys() - compared)
            copy = score_file.set_aside(self.path, "changed")
            self._add_starts(starts)
            self._set_state(
                sha256=digest,
                last_event="",
                **({"model_evals": str(evaluated)} if filled else {}),
                old_evaluations=str(
                    max(
                        self.old_evaluations,
                        content.count("evaluations") - self.answered,
                    )
                ),
            )
            self._notice(
                f"{self.path} was changed by another program: {len(starts)} scores are taken "
                f"from it, for images with choices the choices count; a copy is {copy.name}"
            )
        return content

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
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}): mend its permissions"
        ) from error
