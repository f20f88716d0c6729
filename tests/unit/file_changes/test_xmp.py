"""Star ratings in sidecars: what others wrote stays."""

import xml.etree.ElementTree as ET

import pytest

from src.file_changes.xmp import rate, with_rating

LIGHTROOM = """<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
   xmp:CreatorTool="Grüße &amp; Co"{rating}
   crs:Exposure2012="+0.35">
   <dc:subject><rdf:Bag><rdf:li>lake &lt; sea</rdf:li><rdf:li>山</rdf:li></rdf:Bag></dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""
DIGIKAM = """<?xml version="1.0" encoding="UTF-8"?>
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<!-- written by hand -->
<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<r:Description r:about="" xmlns:digiKam="http://www.digikam.org/ns/1.0/" digiKam:PickLabel="2"/>
<r:Description r:about="" xmlns:a="http://ns.adobe.com/xap/1.0/"><a:Rating>{rating}</a:Rating>
</r:Description></r:RDF></x:xmpmeta>
<?xpacket end="w"?>"""
RATING = "{http://ns.adobe.com/xap/1.0/}Rating"


def rating_of(content: bytes) -> str:
    """The rating in a sidecar, an attribute or an element."""
    nodes = list(ET.fromstring(content).iter())
    (rating,) = [node.attrib[RATING] for node in nodes if RATING in node.attrib] or [
        node.text for node in nodes if node.tag == RATING
    ]
    return rating


def others(content: bytes) -> list[tuple[str, dict[str, str], str]]:
    """Every element with its attributes and text, but for what we write."""
    return [
        (
            node.tag,
            {k: v for k, v in node.attrib.items() if not k.endswith("}Rating")},
            (node.text or "").strip(),
        )
        for node in ET.fromstring(content).iter()
        if node.tag != RATING
    ]


@pytest.mark.parametrize("text", [LIGHTROOM.format(rating=""), LIGHTROOM.format(
    rating=' xmp:Rating="0"'), DIGIKAM.format(rating="0"), DIGIKAM.format(rating="")])  # fmt: skip
def test_other_programs_entries_stay(text):
    before = text.encode()
    after = with_rating(before, 4)
    assert after is not None
    assert rating_of(after) == "4"
    assert others(after) == others(before)
    for part in (b'<?xpacket begin="\xef\xbb\xbf"', b"<!-- written by hand -->", b"<?xml"):
        assert (part in after) == (part in before)


def test_a_rating_of_ours_follows_the_model_and_comes_out_the_same_twice():
    first = with_rating(LIGHTROOM.format(rating="").encode(), 2)
    second = with_rating(first, 5)
    assert rating_of(second) == "5"
    assert with_rating(second, 5) == second
    assert ET.fromstring(second).find(".//{*}Description").attrib[RATING] == "5"


@pytest.mark.parametrize("rating", ["3", "-1"])
@pytest.mark.parametrize("form", [LIGHTROOM, DIGIKAM])
def test_a_persons_rating_is_never_replaced(form, rating):
    shown = f' xmp:Rating="{rating}"' if form is LIGHTROOM else rating
    assert with_rating(form.format(rating=shown).encode(), 1) is None


def test_a_person_who_changes_our_rating_is_believed():
    ours = with_rating(None, 2)
    theirs = ours.replace(b'xmp:Rating="2"', b'xmp:Rating="5"')
    assert theirs != ours
    assert with_rating(theirs, 1) is None


def test_new_sidecars_are_valid_and_hold_nothing_but_the_rating():
    content = with_rating(None, 3)
    root = ET.fromstring(content)
    assert root.tag == "{adobe:ns:meta/}xmpmeta"
    description = root.find("{*}RDF/{*}Description")
    about = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about"
    assert description.attrib[RATING] == "3" and description.attrib[about] == ""
    assert content.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<x:xmpmeta')


def test_a_prefix_that_means_something_else_is_not_used():
    text = LIGHTROOM.format(rating="").replace("xap/1.0/", "other/")
    after = with_rating(text.encode(), 4)
    assert rating_of(after) == "4"
    assert others(after) == others(text.encode())


def test_rdf_without_a_description():
    text = '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>'
    assert rating_of(with_rating(text.encode(), 1)) == "1"


@pytest.mark.parametrize(
    "content", [b"", b"<x:xmpmeta", b"<a/>", b"no xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
                b"\xff\xfe\x00"]
)  # fmt: skip
def test_foreign_and_damaged_files_are_left_alone(tmp_path, content):
    (tmp_path / "a.xmp").write_bytes(content)
    plan = rate(tmp_path, {"a.jpg": 3, "b.jpg": 4}, "image.xmp")
    assert next(line for line in plan.lines if "left alone" in line).startswith("a.xmp is")
    assert [change.path for change in plan.changes] == ["b.xmp"]
    assert (tmp_path / "a.xmp").read_bytes() == content


def test_two_images_with_one_sidecar(tmp_path):
    stars = {"a.jpg": 3, "A.png": 4, "b.jpg": 1}
    plan = rate(tmp_path, stars, "image.xmp")
    assert [change.path for change in plan.changes] == ["b.xmp"]
    assert [line.split()[0] for line in plan.lines[1:]] == ["a.xmp", "A.xmp"]
    assert len(rate(tmp_path, stars, "image.jpg.xmp").changes) == 3
