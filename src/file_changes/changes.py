"""The kinds of change to files: what each does, what state it finds, and how it is undone.

Images are never overwritten and never deleted: a copy or a link is removed only while the image
that it was made from is still there with the same content.
"""

import filecmp
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from src.errors import DataError
from src.file_changes.safely import copy_file, move_file, partial, set_time, write_file
from src.file_changes.sidecars import SUFFIXES, renamed, sidecars
from src.images import EXTENSIONS

TIME_TOLERANCE_NS = 2_000_000_000  # FAT keeps times in steps of two seconds; others may round
OLD_SCORES = "score.json"  # version bc9c4d7 wrote scores into it


class State(Enum):
    """How a change finds the files it is about."""

    BEFORE = "before"  # as they were before it was made
    AFTER = "after"  # as it left them, or as a kill left them in the middle of it
    OTHER = "changed since, so it is left as it is"


class Folders(NamedTuple):
    """The only folders that a list of changes touches."""

    directory: Path  # what every `path` is relative to: the image folder
    into: Path  # what every `to` is relative to; the same folder unless files go elsewhere


def _only(*suffixes: str) -> Callable[[str], str]:
    def check(path: str) -> str:
        plain = Path(path)
        if not plain.parts or plain.anchor or ".." in plain.parts or "\0" in path:
            raise ValueError("a path that leaves the folder")
        if plain.suffix.lower() not in suffixes and plain.name not in suffixes:
            raise ValueError("another kind of file")
        return path

    return check


Nanoseconds = Annotated[int, Field(ge=-(2**63), lt=2**63)]  # since 1970
Image = Annotated[str, AfterValidator(_only(*EXTENSIONS))]
Movable = Annotated[str, AfterValidator(_only(*EXTENSIONS, *SUFFIXES))]
Writable = Annotated[str, AfterValidator(_only(*SUFFIXES, ".csv", ".tsv", OLD_SCORES))]


class Change(BaseModel, ABC):
    """One change to the file `path`; if `make` raises OSError or DataError, nothing has changed.

    `undo` is called only where the state is AFTER.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64"
    )
    path: str

    @abstractmethod
    def make(self, folders: Folders) -> None: ...

    @abstractmethod
    def state(self, folders: Folders) -> State: ...

    @abstractmethod
    def undo(self, folders: Folders) -> None: ...

    def text(self) -> str:
        return f"{type(self).__name__.lower()} {self.path}"

    def leftovers(self, folders: Folders) -> list[Path]:
        """Temporary files that a kill may have left."""
        return [partial(folders.directory / self.path)]


class Touch(Change):
    kind: Literal["touch"] = "touch"
    path: Image
    before_ns: Nanoseconds
    after_ns: Nanoseconds

    def make(self, folders: Folders) -> None:
        set_time(folders.directory / self.path, self.after_ns)

    def state(self, folders: Folders) -> State:
        path = folders.directory / self.path
        now = path.stat().st_mtime_ns if path.exists() else None
        if now == self.before_ns:  # exact, since it was read from there
            return State.BEFORE
        ours = now is not None and abs(now - self.after_ns) < TIME_TOLERANCE_NS
        return State.AFTER if ours else State.OTHER

    def undo(self, folders: Folders) -> None:
        set_time(folders.directory / self.path, self.before_ns)


class Write(Change):
    """New content for a sidecar, a tag file or a table of labels."""

    kind: Literal["write"] = "write"
    path: Writable
    before: bytes | None  # None where there was no such file
    after: bytes
    before_ns: Nanoseconds | None = None  # its modification time until now, if known

    @classmethod
    def of(cls, directory: Path, path: str, after: bytes) -> Self:
        """The change of the file as it is now."""
        file = directory / path
        before = _content(file)
        time = None if before is None else file.stat().st_mtime_ns
        return cls(path=path, before=before, after=after, before_ns=time)

    def make(self, folders: Folders) -> None:
        path = folders.directory / self.path
        if _content(path) != self.before:
            raise DataError("was changed by another program in the meantime")
        write_file(path, self.after)

    def state(self, folders: Folders) -> State:
        now = _content(folders.directory / self.path)
        if now == self.before:
            return State.BEFORE
        return State.AFTER if now == self.after else State.OTHER

    def undo(self, folders: Folders) -> None:
        path = folders.directory / self.path
        if self.before is None:
            path.unlink()
        else:
            write_file(path, self.before, self.before_ns)


class Placed(Change):
    """An image, or a sidecar of one, at another place `to`."""

    path: Movable
    to: Movable

    @model_validator(mode="after")
    def _same_suffix(self) -> Self:
        if Path(self.path).suffix != Path(self.to).suffix:
            raise ValueError("another kind of file")
        return self

    @classmethod
    def of(cls, directory: Path, path: str, to: str) -> Self:
        """The change of the file as it is now."""
        return cls(path=path, to=to)

    def places(self, folders: Folders) -> tuple[Path, Path]:
        return folders.directory / self.path, folders.into / self.to

    def text(self) -> str:
        return f"{super().text()} to {self.to}"

    def leftovers(self, folders: Folders) -> list[Path]:
        return [partial(place) for place in self.places(folders)]

    @abstractmethod
    def put(self, here: Path, there: Path) -> None: ...

    @abstractmethod
    def is_ours(self, here: Path, there: Path) -> bool:
        """Whether what is `there` was put there, and nothing is lost when it goes."""

    def make(self, folders: Folders) -> None:
        here, there = self.places(folders)
        if os.path.lexists(there):
            raise DataError(f"{there} is there already, and nothing is overwritten")
        there.parent.mkdir(parents=True, exist_ok=True)
        self.put(here, there)

    def state(self, folders: Folders) -> State:
        here, there = self.places(folders)
        if not os.path.lexists(there):
            return State.BEFORE
        return State.AFTER if self.is_ours(here, there) else State.OTHER

    def undo(self, folders: Folders) -> None:
        self.places(folders)[1].unlink()


class Move(Placed):
    kind: Literal["move"] = "move"
    size: int | None = None  # this and the time tell whether it is still that image, where known
    mtime_ns: Nanoseconds | None = None

    @classmethod
    def of(cls, directory: Path, path: str, to: str) -> Self:
        try:
            status = (directory / path).stat()
        except OSError as error:
            raise DataError(f"{directory / path}: {error.strerror or error}") from None
        return cls(path=path, to=to, size=status.st_size, mtime_ns=status.st_mtime_ns)

    def put(self, here: Path, there: Path) -> None:
        if here.is_symlink() and not Path(os.readlink(here)).is_absolute():
            raise DataError("is a relative link, which would break there")
        move_file(here, there)

    def state(self, folders: Folders) -> State:
        gone = not any(os.path.lexists(place) for place in self.places(folders))
        return State.OTHER if gone else super().state(folders)

    def is_ours(self, here: Path, there: Path) -> bool:
        if os.path.lexists(here):  # a kill came between the copy and the end of the original
            return _is_copy(here, there)
        return there.is_file() and (_is_sidecar(there) or self._is_same(there))

    def undo(self, folders: Folders) -> None:
        here, there = self.places(folders)
        if os.path.lexists(here):
            there.unlink()
            return
        here.parent.mkdir(parents=True, exist_ok=True)
        if not _is_sidecar(there):
            for sidecar in sidecars(there.parent, [there.name])[there.name]:  # made since
                home = here.parent / renamed(sidecar, there.name, here.name)
                if not os.path.lexists(home):
                    move_file(there.parent / sidecar, home)
        move_file(there, here, self.mtime_ns if self._is_same(there) else None)

    def _is_same(self, file: Path) -> bool:
        status = file.stat()
        return self.size in (None, status.st_size) and (
            self.mtime_ns is None or abs(status.st_mtime_ns - self.mtime_ns) < TIME_TOLERANCE_NS
        )


class Copy(Placed):
    """A copy, with its modification time."""

    kind: Literal["copy"] = "copy"

    def put(self, here: Path, there: Path) -> None:
        copy_file(here.resolve(), there)

    def is_ours(self, here: Path, there: Path) -> bool:
        return _is_copy(here, there)


class Link(Placed):
    """A link: symbolic, or a hard one where the system allows no symbolic links."""

    kind: Literal["link"] = "link"

    def put(self, here: Path, there: Path) -> None:
        try:
            there.symlink_to(here.resolve())
        except OSError:  # Windows without the developer mode, FAT
            os.link(here.resolve(), there)

    def is_ours(self, here: Path, there: Path) -> bool:
        leads_here = here.exists() and there.exists() and os.path.samefile(here, there)
        return leads_here and not _one_entry(here, there)


AnyChange = Annotated[Touch | Write | Move | Copy | Link, Field(discriminator="kind")]


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _is_sidecar(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _is_copy(original: Path, copy: Path) -> bool:
    """Whether `copy` could go and nothing would be lost."""
    if copy.is_symlink():  # left by a kill while a link was moved
        same_link = original.is_symlink() and os.readlink(original) == os.readlink(copy)
        return same_link and not _one_entry(original, copy)
    if not original.is_file() or not copy.is_file() or os.path.samefile(original, copy):
        return False
    return filecmp.cmp(original, copy, shallow=False)


def _one_entry(one: Path, other: Path) -> bool:
    """Whether two paths name one entry of one folder, perhaps spelled in two ways."""
    status = one.lstat()
    if not os.path.samestat(status, other.lstat()):
        return False
    same_name = one.name.casefold() == other.name.casefold()
    return status.st_nlink == 1 or (same_name and one.parent.resolve() == other.parent.resolve())
