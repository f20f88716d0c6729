"""The kinds of change to files: what each does, what state it finds, and how it is undone.

Images are never overwritten and never deleted: a copy or a link is removed only while the image
that it was made from is still there with the same content.
"""

import errno
import filecmp
import os
import shutil
from abc import ABC, abstractmethod
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from src.errors import DataError
from src.file_changes.sidecars import SUFFIXES, renamed, sidecars
from src.images import EXTENSIONS

TIME_TOLERANCE_NS = 2_000_000_000
"""FAT keeps times in steps of two seconds; other file systems may round as well."""

TABLES = frozenset({".csv", ".tsv"})
OLD_SCORES = "score.json"  # version bc9c4d7 wrote scores into it


class State(Enum):
    """How a change finds the files it is about."""

    BEFORE = "before"  # as they were before it was made
    AFTER = "after"  # as it left them, or as a kill left them in the middle of it
    OTHER = "changed since, so it is left as it is"


class Folders(NamedTuple):
    """The only folders that a list of changes touches.

    Attributes:
        directory: what every `path` is relative to: the image folder.
        into: what every `to` is relative to; the same folder unless files go elsewhere.
    """

    directory: Path
    into: Path


def _inside(path: str) -> str:
    plain = Path(path)
    if not plain.parts or plain.anchor or ".." in plain.parts or "\0" in path:
        raise ValueError("no relative path")
    return path


def _an_image(path: str) -> str:
    if Path(path).suffix.lower() not in EXTENSIONS:
        raise ValueError("no image")
    return path


def _image_or_sidecar(path: str) -> str:
    if Path(path).suffix.lower() not in EXTENSIONS | SUFFIXES:
        raise ValueError("neither an image nor a sidecar")
    return path


def _sidecar_or_table(path: str) -> str:
    name = Path(path).name
    if name.startswith(".") or (
        Path(path).suffix.lower() not in SUFFIXES | TABLES and name != OLD_SCORES
    ):
        raise ValueError("neither a sidecar nor a table")
    return path


Nanoseconds = Annotated[int, Field(ge=-(2**63), lt=2**63)]  # since 1970
Image = Annotated[str, AfterValidator(_inside), AfterValidator(_an_image)]
Movable = Annotated[str, AfterValidator(_inside), AfterValidator(_image_or_sidecar)]
Writable = Annotated[str, AfterValidator(_inside), AfterValidator(_sidecar_or_table)]


class Change(BaseModel, ABC):
    """One change to the file `path`."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        ser_json_bytes="base64",
        val_json_bytes="base64",
    )
    path: str

    @abstractmethod
    def make(self, folders: Folders) -> None:
        """Do it.

        Raises:
            OSError, DataError: it cannot be done; nothing has changed.
        """

    @abstractmethod
    def state(self, folders: Folders) -> State:
        """How things stand."""

    @abstractmethod
    def undo(self, folders: Folders) -> None:
        """Put things back; the state is AFTER."""

    @abstractmethod
    def text(self) -> str:
        """What it does, for people."""

    def leftovers(self, _folders: Folders) -> list[Path]:
        """Temporary files that a kill may have left."""
        return []


class Touch(Change):
    """A new modification time."""

    kind: Literal["touch"] = "touch"
    path: Image
    before_ns: Nanoseconds
    after_ns: Nanoseconds

    def make(self, folders: Folders) -> None:
        _set_time(folders.directory / self.path, self.after_ns)

    def state(self, folders: Folders) -> State:
        try:
            now = (folders.directory / self.path).stat().st_mtime_ns
        except FileNotFoundError:
            return State.OTHER
        if now == self.before_ns:  # exact, since it was read from there
            return State.BEFORE
        return State.AFTER if abs(now - self.after_ns) < TIME_TOLERANCE_NS else State.OTHER

    def undo(self, folders: Folders) -> None:
        _set_time(folders.directory / self.path, self.before_ns)

    def text(self) -> str:
        return f"touch {self.path}"


class Write(Change):
    """New content for a small file that is no image: a sidecar, a tag file, a table of labels.

    Attributes:
        before: its content until now; None where there was no such file.
        before_ns: its modification time until now, if known.
    """

    kind: Literal["write"] = "write"
    path: Writable
    before: bytes | None
    after: bytes
    before_ns: Nanoseconds | None = None

    @classmethod
    def of(cls, directory: Path, path: str, after: bytes) -> Self:
        """To the file as it is now.

        Raises:
            OSError: it cannot be read.
        """
        file = directory / path
        before = _content(file)
        time = None if before is None else file.stat().st_mtime_ns
        return cls(path=path, before=before, after=after, before_ns=time)

    def make(self, folders: Folders) -> None:
        path = folders.directory / self.path
        if _content(path) != self.before:
            raise DataError("was changed by another program in the meantime")
        _write(path, self.after)

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
            _write(path, self.before, self.before_ns)

    def text(self) -> str:
        return f"write {self.path}"

    def leftovers(self, folders: Folders) -> list[Path]:
        return [_partial(folders.directory / self.path)]


class _Placed(Change):
    """An image, or a sidecar of one, at another place `to`."""

    path: Movable
    to: Movable

    @model_validator(mode="after")
    def _same_suffix(self) -> Self:
        if Path(self.path).suffix != Path(self.to).suffix:
            raise ValueError("another kind of file")
        return self

    def places(self, folders: Folders) -> tuple[Path, Path]:
        """The file, and where it is put."""
        return folders.directory / self.path, folders.into / self.to

    def text(self) -> str:
        return f"{type(self).__name__.lower()} {self.path} to {self.to}"

    def leftovers(self, folders: Folders) -> list[Path]:
        return [_partial(place) for place in self.places(folders)]


class Move(_Placed):
    """A file moved.

    Attributes:
        size, mtime_ns: by which an image is recognised, where they are known.
    """

    kind: Literal["move"] = "move"
    size: int | None = None
    mtime_ns: Nanoseconds | None = None

    @classmethod
    def of(cls, directory: Path, path: str, to: str) -> Self:
        """Of the file as it is now."""
        status = (directory / path).stat()
        return cls(path=path, to=to, size=status.st_size, mtime_ns=status.st_mtime_ns)

    def make(self, folders: Folders) -> None:
        here, there = self.places(folders)
        _claim(there)
        if here.is_symlink() and not Path(os.readlink(here)).is_absolute():
            raise DataError("is a relative link, which would lead nowhere from there")
        _move(here, there)

    def state(self, folders: Folders) -> State:
        here, there = self.places(folders)
        if not os.path.lexists(there):
            return State.BEFORE if os.path.lexists(here) else State.OTHER
        if not there.is_file():
            return State.OTHER
        if os.path.lexists(here):  # a kill came between the copy and the end of the original
            return State.AFTER if _is_copy(here, there) else State.OTHER
        return State.AFTER if self._is_same(there) or _is_sidecar(there) else State.OTHER

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
                    _move(there.parent / sidecar, home)
        _move(there, here, self.mtime_ns if self._is_same(there) else None)

    def _is_same(self, file: Path) -> bool:
        status = file.stat()
        return self.size in (None, status.st_size) and (
            self.mtime_ns is None or abs(status.st_mtime_ns - self.mtime_ns) < TIME_TOLERANCE_NS
        )


class Copy(_Placed):
    """A copy, with its modification time."""

    kind: Literal["copy"] = "copy"

    def make(self, folders: Folders) -> None:
        here, there = self.places(folders)
        _claim(there)
        _copy(here.resolve(), there)

    def state(self, folders: Folders) -> State:
        here, there = self.places(folders)
        if not os.path.lexists(there):
            return State.BEFORE
        return State.AFTER if _is_copy(here, there) else State.OTHER

    def undo(self, folders: Folders) -> None:
        self.places(folders)[1].unlink()


class Link(_Placed):
    """A link: symbolic, or a hard one where the system allows no symbolic links."""

    kind: Literal["link"] = "link"

    def make(self, folders: Folders) -> None:
        here, there = self.places(folders)
        _claim(there)
        try:
            there.symlink_to(here.resolve())
        except OSError:  # Windows without the developer mode, FAT
            os.link(here.resolve(), there)

    def state(self, folders: Folders) -> State:
        here, there = self.places(folders)
        if not os.path.lexists(there):
            return State.BEFORE
        leads_here = here.exists() and there.exists() and os.path.samefile(here, there)
        return State.AFTER if leads_here and not _one_entry(here, there) else State.OTHER

    def undo(self, folders: Folders) -> None:
        self.places(folders)[1].unlink()


AnyChange = Annotated[Touch | Write | Move | Copy | Link, Field(discriminator="kind")]


def reason(error: Exception) -> str:
    """Why a change could not be made or undone, without the names of temporary files."""
    return getattr(error, "strerror", None) or str(error)


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


def _claim(path: Path) -> None:
    """Make the folder of a new file; a DataError if there is one of that name already."""
    if os.path.lexists(path):
        raise DataError(f"{path} is there already, and nothing is overwritten")
    path.parent.mkdir(parents=True, exist_ok=True)


def _set_time(path: Path, mtime_ns: int) -> None:
    os.utime(path, ns=(path.stat().st_atime_ns, mtime_ns))


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _partial(path: Path) -> Path:
    """The temporary file of a path: always the same, so that one left by a kill is found again."""
    return path.with_name(f".{path.name}.partial")


def _write(path: Path, content: bytes, mtime_ns: int | None = None) -> None:
    partial = _partial(path)
    try:
        partial.write_bytes(content)
        if path.exists():
            shutil.copymode(path, partial)
        _finish(partial, path, mtime_ns)
    finally:
        partial.unlink(missing_ok=True)


def _move(source: Path, target: Path, mtime_ns: int | None = None) -> None:
    """Move a file; to another file system the original goes last, when the copy is on the disk."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target, mtime_ns)
        source.unlink()


def _copy(source: Path, target: Path, mtime_ns: int | None = None) -> None:
    partial = _partial(target)
    partial.unlink(missing_ok=True)
    try:
        shutil.copy2(source, partial, follow_symlinks=False)
        _finish(partial, target, mtime_ns)
    finally:
        partial.unlink(missing_ok=True)


def _finish(partial: Path, target: Path, mtime_ns: int | None) -> None:
    """Give a whole temporary file its name, and see to it that both are on the disk."""
    if not partial.is_symlink():
        if mtime_ns is not None:
            _set_time(partial, mtime_ns)
        with partial.open("rb") as stream:
            _sync(stream.fileno())
    os.replace(partial, target)
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            _sync(folder)
        finally:
            os.close(folder)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:  # some network file systems and Windows' read-only files
        if error.errno not in {errno.EINVAL, errno.EBADF, errno.EACCES, errno.ENOTSUP}:
            raise
