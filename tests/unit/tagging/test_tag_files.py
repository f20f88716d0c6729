"""Tag files: what they may look like, and which images they belong to."""

import pytest

from src.errors import DataError
from src.settings.tags import TagFiles
from src.tagging.tag_files import format_tags, parse_tags, read_tags, scan_sidecars, sidecar_of

LINES, COMMAS = TagFiles(), TagFiles(tag_commas=True)
SHORT = TagFiles(tag_files="image1.txt")


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("cat\ndog\n", ["cat", "dog"]),
        ("\ufeffcat\r\ndog", ["cat", "dog"]),
        ("cat\r\rdog\n\n\n", ["cat", "dog"]),
        ("  cat \n\t\n dog  on   sofa\n", ["cat", "dog on sofa"]),
        ("dog\ncat\ndog\n dog", ["dog", "cat"]),
        ("rock, paper\n", ["rock, paper"]),
        ("e\u0301t\u00e9", ["\u00e9t\u00e9"]),  # a combining accent, as macOS writes file names
        ("", []),
    ],
)
def test_lines(text, tags):
    assert parse_tags(text, LINES) == tags


@pytest.mark.parametrize(
    ("text", "tags"),
    [("a, b,,c ,", ["a", "b", "c"]), ("a,b\nc,a\r\n", ["a", "b", "c"]), (" , \n", [])],
)
def test_commas(text, tags):
    assert parse_tags(text, COMMAS) == tags


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_editors_write(tmp_path, encoding):
    file = tmp_path / "a.txt"
    file.write_bytes("猫\r\nété\r\n".encode(encoding))
    assert read_tags(file, LINES) == ["猫", "été"]


@pytest.mark.parametrize("content", [b"caf\xe9\n", b"\x89PNG\0\0", b"\xff\xfea"])
def test_what_is_no_text_is_refused(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.txt"):
        read_tags(tmp_path / "a.txt", LINES)


def test_written_text():
    assert format_tags([" b", "a", "b", ""], LINES) == "b\na\n"
    assert format_tags(["b", "a"], COMMAS) == "b, a\n"
    assert format_tags([], COMMAS) == ""


def test_a_comma_would_cut_a_tag_in_two():
    with pytest.raises(DataError, match="'rock, paper'"):
        format_tags(["rock, paper"], COMMAS)


def test_names():
    assert sidecar_of("a/b.tar.jpg", LINES) == "a/b.tar.jpg.txt"
    assert sidecar_of("a/b.tar.jpg", SHORT) == "a/b.tar.txt"


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("tag")


def test_matching_files_with_images(tmp_path):
    make(tmp_path, "a.jpg.txt", "gone.png.txt", "notes.txt", "sub/b.jpg.txt", "empty/c.jpg.txt")
    make(tmp_path, ".hidden.jpg.txt", ".x/d.jpg.txt", "a.txt")
    scan = scan_sidecars(tmp_path, ["a.jpg", "sub/b.jpg", "sub/d.jpg"], LINES)
    assert scan.files == {"a.jpg": "a.jpg.txt", "sub/b.jpg": "sub/b.jpg.txt"}
    assert scan.missing == ["sub/d.jpg"]
    assert scan.orphans == ["empty/c.jpg.txt", "gone.png.txt"]


def test_a_short_name_that_two_images_would_share(tmp_path):
    make(tmp_path, "sub/a.txt", "sub/b.txt", "sub/gone.txt", "whitelist.txt")
    scan = scan_sidecars(tmp_path, ["sub/a.jpg", "sub/a.png", "sub/b.png"], SHORT)
    assert scan.files == {"sub/b.png": "sub/b.txt"}
    assert scan.shared == {"sub/a.jpg", "sub/a.png"}
    assert scan.missing == ["sub/a.jpg", "sub/a.png"]
    assert scan.orphans == ["sub/gone.txt"]
