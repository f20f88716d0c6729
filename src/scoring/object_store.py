"""Images in an object store, or wherever else pyarrow reads: s3://, gs://, hdfs://, file://."""

import io
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from src.errors import DataError, MissingExtra, first_line
from src.images import EXTENSIONS, ImageFile, UnreadableImage, open_file, scan_images
from src.images.decode import MAX_FILE_BYTES


def scan(place: str) -> list[ImageFile]:
    """Every image below a folder or URI; see `scan_images`."""
    if "://" not in place:
        return scan_images(Path(place))
    system, root = _open(place)
    from pyarrow.fs import FileSelector  # type: ignore[import-untyped]

    try:
        entries = system.get_file_info(FileSelector(root, recursive=True))
    except OSError as error:
        raise DataError(f"{place} cannot be listed: {first_line(error)}") from None
    found = []
    for entry in entries:
        path = PurePosixPath(entry.path).relative_to(root)
        hidden = any(part.startswith(".") for part in path.parts)
        if entry.is_file and not hidden and path.suffix.lower() in EXTENSIONS:
            found.append(ImageFile(path.as_posix(), entry.size, entry.mtime_ns or 0))
    return sorted(found)


def reader(place: str) -> Callable[[str], BinaryIO]:
    """What opens an image by its path below a folder or URI."""
    if "://" not in place:
        return lambda path: open_file(Path(place) / path)
    system, root = _open(place)

    def read(path: str) -> BinaryIO:
        with system.open_input_file(f"{root.rstrip('/')}/{path}") as stream:
            if stream.size() > MAX_FILE_BYTES:
                raise UnreadableImage("file larger than 1 GiB")
            return io.BytesIO(stream.read())

    return read


def _open(uri: str) -> tuple[Any, str]:
    """pyarrow's file system and the path in it."""
    try:
        from pyarrow.fs import FileSystem
    except ImportError:
        raise MissingExtra("pyarrow", "an object store") from None
    try:
        system, root = FileSystem.from_uri(uri)
    except (OSError, ValueError, NotImplementedError) as error:  # ArrowInvalid is a ValueError
        raise DataError(f"{uri} cannot be opened: {first_line(error)}") from None
    return system, root
