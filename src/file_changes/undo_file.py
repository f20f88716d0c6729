"""The undo file: a line that names the folders, then a line for each change, written before it.

An undo file is not trusted: it acts inside the folders that it names, on images, sidecars and
tables only, and every value is checked before anything happens.
"""

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError

from src.errors import DataError
from src.file_changes.changes import AnyChange, Change, Folders

FORMAT: Literal["image-taste undo file"] = "image-taste undo file"
CHANGE: TypeAdapter[AnyChange] = TypeAdapter(AnyChange)


def _absolute(path: str) -> str:
    if not Path(path).is_absolute() or ".." in Path(path).parts or "\0" in path:
        raise ValueError("no absolute path")
    return path


AbsolutePath = Annotated[str, AfterValidator(_absolute)]


class _Header(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    format: Literal["image-taste undo file"] = FORMAT
    version: Literal[2] = 2
    made: str
    directory: AbsolutePath
    into: AbsolutePath
    new_folders: tuple[AbsolutePath, ...] = ()


class Recorded(NamedTuple):
    """What an undo file holds."""

    folders: Folders
    changes: Sequence[Change]  # in the order in which they were made
    new_folders: Sequence[Path] = ()  # that were made for them, each before those inside it


class UndoFile:
    """An undo file that is being written; what is added is on the disk when `add` returns.

    With `go_on` an existing one of the same folders is continued.
    """

    def __init__(
        self,
        file: Path,
        folders: Folders,
        changes: Sequence[Change] = (),
        new_folders: Iterable[Path] = (),
        *,
        go_on: bool = False,
    ) -> None:
        self._file = file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if go_on and file.exists():
                self._stream = file.open("rb+", buffering=0)
                self._stream.truncate(file.read_bytes().rfind(b"\n") + 1)
                self.add(changes)
                return
            self._stream = file.open("xb", buffering=0)
        except FileExistsError:
            raise DataError(f"{file} already exists: an undo file is never overwritten") from None
        except OSError as error:
            raise DataError(f"{file} cannot be written: {error.strerror or error}") from None
        header = _Header(
            made=time.strftime("%Y-%m-%d %H:%M:%S"),
            directory=str(folders.directory.resolve()),
            into=str(folders.into.resolve()),
            new_folders=tuple(str(folder.resolve()) for folder in new_folders),
        )
        try:
            self.add([header, *changes])
        except DataError:
            self.close()
            file.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        self._stream.close()

    def add(self, entries: Sequence[BaseModel]) -> None:
        """Write changes down that are about to be made."""
        end = self._stream.seek(0, os.SEEK_END)
        try:
            self._stream.write(b"".join(e.model_dump_json().encode() + b"\n" for e in entries))
            os.fsync(self._stream.fileno())
        except OSError as error:
            with suppress(OSError):
                self._stream.truncate(end)
            raise DataError(f"{self._file} cannot be written: {error.strerror or error}") from None


def new_undo_file(folder: Path, what: str) -> Path:
    """A path for an undo file, named after the action and the time, that does not exist yet."""
    stem = f"undo-{what}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = (f"{stem}{'' if n == 1 else f'-{n}'}.jsonl" for n in range(1, 1000))
    return next(path for name in names if not (path := folder / name).exists())


def parse(file: Path, content: bytes) -> Recorded | None:
    """What an undo file of this version holds; None if it is none."""
    # A kill may have cut the last line off; its change was not begun then.
    first, *lines = content[: content.rfind(b"\n") + 1].splitlines() or [b""]
    try:
        header = _Header.model_validate_json(first)
    except ValidationError:
        return None
    changes: list[Change] = []
    for number, line in enumerate(lines, start=2):
        try:
            changes.append(CHANGE.validate_json(line))
        except ValidationError as error:
            why = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise DataError(
                f"{file}, line {number}: nothing was undone, because this line is damaged or no "
                f"change that this program makes ({why})"
            ) from None
    folders = Folders(Path(header.directory), Path(header.into))
    return Recorded(folders, changes, [Path(folder) for folder in header.new_folders])
