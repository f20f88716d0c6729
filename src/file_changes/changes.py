"""The kinds of change to files: what each does, how it is undone, and what state it finds.

Images are never overwritten and never deleted. A copy or link is taken away again only while the
image it was made from is still there with the same content.
"""

import base64
import filecmp
import os
import shutil
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Self

from src.errors import DataError
from src.files import replacing


class State(Enum):
    """How a change finds the files it is about."""

    BEFORE = "before"  # as they were before it was made
    AFTER = "after"  # as it left them
    OTHER = "other"  # someone else has changed them since


@dataclass(frozen=True)
class Change(ABC):
    """One change; paths are relative to the image folder, or absolute.

    Attributes:
        path: the file that it is about.
    """

    path: str
    kind: ClassVar[str]

    @abstractmethod
    def make(self, directory: Path) -> None:
        """Do it.

        Raises:
            OSError, DataError: it cannot be done; nothing has changed.
        """

    @abstractmethod
    def state(self, directory: Path) -> State:
        """How things stand."""

    @abstractmethod
    def undo(self, directory: Path) -> None:
        """Take it back; the state is AFTER."""

    def to_json(self) -> dict[str, Any]:
        """JSON values for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Self:
        """The inverse of `to_json`; a TypeError where an entry is missing or unknown."""
        return cls(**entry)


@dataclass(frozen=True)
class Touch(Change):
    """A new modification time.

    Attributes:
        before_ns, after_ns: nanoseconds since 1970.
    """

    before_ns: int
    after_ns: int
    kind: ClassVar[str] = "touch"

    def make(self, directory: Path) -> None:
        _set_time(directory / self.path, self.after_ns)

    def state(self, directory: Path) -> State:
        try:
            now = (directory / self.path).stat().st_mtime_ns
        except FileNotFoundError:
            return State.OTHER
        # Before first: a file that had the time already needs nothing.
        if now == self.before_ns:
            return State.BEFORE
        # FAT keeps times in steps of two seconds; before_ns was read from there and is exact.
        return State.AFTER if abs(now - self.after_ns) < 2_000_000_000 else State.OTHER

    def undo(self, directory: Path) -> None:
        _set_time(directory / self.path, self.before_ns)


def _set_time(path: Path, mtime_ns: int) -> None:
    os.utime(path, ns=(path.stat().st_atime_ns, mtime_ns))


@dataclass(frozen=True)
class Write(Change):
    """New content for a small file that is no image: a sidecar, a score file.

    Attributes:
        before: its content until now, base64; None where there was no such file.
        after: the new content, base64.
    """

    before: str | None
    after: str
    kind: ClassVar[str] = "write"

    @classmethod
    def of(cls, path: str, before: bytes | None, after: bytes) -> Self:
        """From contents as bytes."""
        return cls(path, None if before is None else _encode(before), _encode(after))

    def make(self, directory: Path) -> None:
        path = directory / self.path
        if _content(path) != self._decoded(self.before):
            raise DataError("was changed by another program in the meantime")
        _replace(path, base64.b64decode(self.after))

    def state(self, directory: Path) -> State:
        now = _content(directory / self.path)
        if now == self._decoded(self.before):
            return State.BEFORE
        return State.AFTER if now == base64.b64decode(self.after) else State.OTHER

    def undo(self, directory: Path) -> None:
        before = self._decoded(self.before)
        if before is None:
            (directory / self.path).unlink()
        else:
            _replace(directory / self.path, before)

    @staticmethod
    def _decoded(text: str | None) -> bytes | None:
        return None if text is None else base64.b64decode(text)


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _replace(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@dataclass(frozen=True)
class Move(Change):
    """An image at another place.

    Attributes:
        to: its new path.
        size, mtime_ns: by which it is known again.
    """

    to: str
    size: int
    mtime_ns: int
    kind: ClassVar[str] = "move"

    def make(self, directory: Path) -> None:
        _free(directory / self.to)
        shutil.move(directory / self.path, directory / self.to)

    def state(self, directory: Path) -> State:
        here, there = directory / self.path, directory / self.to
        if here.exists():
            return State.BEFORE if not there.exists() else State.OTHER
        if not there.exists():
            return State.OTHER
        status = there.stat()
        # Other file systems may round the time of a moved file.
        same = abs(status.st_mtime_ns - self.mtime_ns) < 2_000_000_000
        return State.AFTER if same and status.st_size == self.size else State.OTHER

    def undo(self, directory: Path) -> None:
        back = directory / self.path
        back.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(directory / self.to, back)
        os.utime(back, ns=(back.stat().st_atime_ns, self.mtime_ns))
        _remove_empty(directory / self.to)


@dataclass(frozen=True)
class Copy(Change):
    """A copy of an image, with its modification time.

    Attributes:
        to: the copy.
    """

    to: str
    kind: ClassVar[str] = "copy"

    def make(self, directory: Path) -> None:
        _free(directory / self.to)
        with replacing(directory / self.to) as temporary:
            shutil.copyfile(directory / self.path, temporary)
        shutil.copystat(directory / self.path, directory / self.to)

    def state(self, directory: Path) -> State:
        here, there = directory / self.path, directory / self.to
        if not os.path.lexists(there):
            return State.BEFORE
        if there.is_symlink() or not here.is_file():
            return State.OTHER
        return State.AFTER if filecmp.cmp(here, there, shallow=False) else State.OTHER

    def undo(self, directory: Path) -> None:
        (directory / self.to).unlink()
        _remove_empty(directory / self.to)


@dataclass(frozen=True)
class Link(Change):
    """A link to an image: symbolic, or a hard one where the system allows no symbolic links.

    Attributes:
        to: the link.
    """

    to: str
    kind: ClassVar[str] = "link"

    def make(self, directory: Path) -> None:
        here, there = (directory / self.path).resolve(), directory / self.to
        _free(there)
        try:
            there.symlink_to(here)
        except OSError:  # Windows without the developer mode, FAT
            os.link(here, there)

    def state(self, directory: Path) -> State:
        here, there = directory / self.path, directory / self.to
        if not os.path.lexists(there):
            return State.BEFORE
        is_ours = here.exists() and there.exists() and os.path.samefile(here, there)
        return State.AFTER if is_ours else State.OTHER

    def undo(self, directory: Path) -> None:
        (directory / self.to).unlink()
        _remove_empty(directory / self.to)


def _free(path: Path) -> None:
    """Make the folder of a new file; a DataError if there is one of that name already."""
    if os.path.lexists(path):
        raise DataError(f"{path} is there already, and nothing is overwritten")
    path.parent.mkdir(parents=True, exist_ok=True)


def _remove_empty(path: Path) -> None:
    """Take away the folder of a file that was taken back, and those above, if they are empty."""
    for folder in path.parents:
        try:
            folder.rmdir()
        except OSError:
            return


KINDS: dict[str, type[Change]] = {
    change.kind: change for change in (Touch, Write, Move, Copy, Link)
}
