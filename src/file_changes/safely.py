"""Single files moved, copied and written so that none is ever half there under its real name."""

import errno
import os
import shutil
from pathlib import Path


def partial(path: Path) -> Path:
    """The temporary file of a path: always the same, so that one left by a kill is found again."""
    return path.with_name(f".{path.name}.partial")


def set_time(path: Path, mtime_ns: int) -> None:
    """Set the modification time only."""
    os.utime(path, ns=(path.stat().st_atime_ns, mtime_ns))


def write_file(path: Path, content: bytes, mtime_ns: int | None = None) -> None:
    """Replace a file, which keeps its permissions."""
    temporary = partial(path)
    try:
        temporary.write_bytes(content)
        if path.exists():
            shutil.copymode(path, temporary)
        _finish(temporary, path, mtime_ns)
    finally:
        temporary.unlink(missing_ok=True)


def move_file(source: Path, target: Path, mtime_ns: int | None = None) -> None:
    """Move a file; to another file system the original goes last, when the copy is on the disk."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_file(source, target, mtime_ns)
        source.unlink()


def copy_file(source: Path, target: Path, mtime_ns: int | None = None) -> None:
    """Copy a file with its times and permissions."""
    temporary = partial(target)
    temporary.unlink(missing_ok=True)
    try:
        shutil.copy2(source, temporary, follow_symlinks=False)
        _finish(temporary, target, mtime_ns)
    finally:
        temporary.unlink(missing_ok=True)


def _finish(temporary: Path, target: Path, mtime_ns: int | None) -> None:
    """Give a whole temporary file its name, and see to it that both are on the disk."""
    if not temporary.is_symlink():
        if mtime_ns is not None:
            set_time(temporary, mtime_ns)
        _sync(temporary)
    os.replace(temporary, target)
    if os.name == "posix":
        _sync(target.parent)


def _sync(path: Path) -> None:
    # Windows flushes only files that are open for writing.
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:  # folders on some network file systems
        if error.errno not in {errno.EINVAL, errno.EOPNOTSUPP}:
            raise
    finally:
        os.close(descriptor)
