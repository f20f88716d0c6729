"""Whatever tags are written are read back; reading and writing again changes nothing."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from src.settings.tags import TagFiles
from src.tagging.tag_files import clean_tags, format_tags, parse_tags, read_tags

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
TAGS = st.lists(TEXT, max_size=8)


@settings(max_examples=30)
@given(TAGS)
@example(["\ufeffcat", "a\u2028b", "\x85"])
def test_lines_round_trip(tmp_path_factory, tags):
    file = tmp_path_factory.mktemp("tags") / "a.jpg.txt"
    file.write_bytes(format_tags(tags, TagFiles()).encode())
    assert read_tags(file, TagFiles()) == clean_tags(tags)


@settings(max_examples=30)
@given(st.lists(TEXT.map(lambda text: text.replace(",", "")), max_size=8))
def test_commas_round_trip(tmp_path_factory, tags):
    file = tmp_path_factory.mktemp("tags") / "a.jpg.txt"
    file.write_bytes(format_tags(tags, TagFiles(tag_commas=True)).encode())
    assert read_tags(file, TagFiles(tag_commas=True)) == clean_tags(tags)


@settings(max_examples=30)
@given(TEXT, st.booleans())
def test_parsing_is_stable(text, commas):
    style = TagFiles(tag_commas=commas)
    once = parse_tags(text, style)
    assert parse_tags("\n".join(once), style) == once
