"""Star ratings in XMP sidecar files, where photo programs read them.

Everything that other programs wrote into a sidecar stays. A rating that a person gave stays as
well: ours are told from theirs by a mark of our own beside them.

Source: ISO 16684-1 (XMP), property xmp:Rating, 1 to 5; 0 or none is "unrated", -1 "rejected".
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple
from xml.dom import Node, minidom
from xml.parsers.expat import ExpatError

from src.file_changes.changes import Write

Naming = Literal["image.xmp", "image.jpg.xmp"]

META, RDF = "adobe:ns:meta/", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XMP, OURS = "http://ns.adobe.com/xap/1.0/", "urn:image-taste:1.0/"
XMLNS = "http://www.w3.org/2000/xmlns/"
_NEW = f"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="{META}">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about=""/>
 </rdf:RDF>
</x:xmpmeta>"""


class Stars(NamedTuple):
    """What would be written, and what would not."""

    changes: list[Write]
    rated_by_person: list[str]  # images that keep the rating they have
    problems: dict[str, str]  # sidecar -> why it is left alone


def rate(directory: Path, stars: Mapping[str, int], naming: Naming) -> Stars:
    """Sidecars with these ratings.

    Args:
        directory: the image folder.
        stars: image, relative to it -> 1 to 5.
        naming: "image.xmp" (Lightroom, Bridge, Capture One) or "image.jpg.xmp" (digiKam,
            darktable).
    """
    plan = Stars([], [], {})
    owners: dict[str, list[str]] = {}  # names that differ in case only are one name on some systems
    for path in stars:
        owners.setdefault(sidecar_of(path, naming).lower(), []).append(path)
    for path, rating in stars.items():
        sidecar = sidecar_of(path, naming)
        together = owners[sidecar.lower()]
        if len(together) > 1:
            plan.problems[sidecar] = f"it would stand for {' and '.join(together)}"
            continue
        try:
            before = _read(directory / sidecar)
            after = with_rating(before, rating)
        except (OSError, ValueError) as error:
            plan.problems[sidecar] = getattr(error, "strerror", None) or str(error)
            continue
        if after is None:
            plan.rated_by_person.append(path)
        elif after != before:
            plan.changes.append(Write.of(directory, sidecar, after))
    return plan


def sidecar_of(path: str, naming: Naming) -> str:
    """The sidecar of an image, relative like it."""
    return str(PurePosixPath(path).with_suffix(".xmp")) if naming == "image.xmp" else path + ".xmp"


def with_rating(content: bytes | None, rating: int) -> bytes | None:
    """A sidecar with a rating of ours; None if it holds one that a person gave.

    Args:
        content: the sidecar as it is; None for a new one.
        rating: 1 to 5.

    Raises:
        ValueError: the content is no XMP.
    """
    document = _parse(_NEW.encode() if content is None else content)
    descriptions = [
        node
        for rdf in document.getElementsByTagNameNS(RDF, "RDF")
        for node in rdf.childNodes
        if node.nodeType == Node.ELEMENT_NODE
        and (node.namespaceURI, node.localName) == (RDF, "Description")
    ]
    if not document.getElementsByTagNameNS(RDF, "RDF"):
        raise ValueError("it holds no rdf:RDF, so it is no XMP file")
    given, ours = _rating(descriptions, XMP), _rating(descriptions, OURS)
    if given not in ("", "0") and given != ours:
        return None
    if given == ours == str(rating):
        return content
    home = descriptions[0] if descriptions else _new_description(document)
    _set(descriptions or [home], home, XMP, "xmp", str(rating))
    _set(descriptions or [home], home, OURS, "taste", str(rating))
    return _bytes(
        document, declared=content is None or content.lstrip(b"\xef\xbb\xbf")[:5] == b"<?xml"
    )


def rating_of(content: bytes) -> str:
    """The rating in a sidecar as text, "" for none.

    Raises:
        ValueError: the content is no XMP.
    """
    return _rating(_parse(content).getElementsByTagNameNS(RDF, "Description"), XMP)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _parse(content: bytes) -> Any:
    if b"<!DOCTYPE" in content:  # never in XMP; entities could blow up
        raise ValueError("it has a DOCTYPE, so it is no XMP file")
    try:
        return minidom.parseString(content)
    except (ExpatError, LookupError, UnicodeError) as error:
        raise ValueError(f"it is damaged: {error}") from None


def _new_description(document: Any) -> Any:
    rdf = document.getElementsByTagNameNS(RDF, "RDF")[0]
    prefix = f"{rdf.prefix}:" if rdf.prefix else ""
    node = document.createElementNS(RDF, f"{prefix}Description")
    if rdf.prefix:
        node.setAttributeNS(RDF, f"{rdf.prefix}:about", "")
    return rdf.appendChild(node)


def _node(descriptions: Any, namespace: str) -> Any:
    """Where the property "Rating" of a namespace stands: an attribute or a child element."""
    for description in descriptions:
        attribute = description.getAttributeNodeNS(namespace, "Rating")
        if attribute is not None:
            return attribute
        for child in description.childNodes:
            if child.nodeType == Node.ELEMENT_NODE and (
                (child.namespaceURI, child.localName) == (namespace, "Rating")
            ):
                return child
    return None


def _rating(descriptions: Any, namespace: str) -> str:
    node = _node(descriptions, namespace)
    if node is None:
        return ""
    return "".join(t.data for t in node.childNodes if hasattr(t, "data")).strip()


def _set(descriptions: Any, home: Any, namespace: str, prefix: str, value: str) -> None:
    """Change the property "Rating" of a namespace where it stands, or add it to `home`."""
    node = _node(descriptions, namespace)
    if node is not None and node.nodeType == Node.ATTRIBUTE_NODE:
        node.value = value
        return
    if node is not None:
        for part in list(node.childNodes):
            node.removeChild(part)
        node.appendChild(node.ownerDocument.createTextNode(value))
        return
    # Its own declaration on the element is right whatever the prefix means further up.
    declared = home.getAttributeNodeNS(XMLNS, prefix)
    while declared is not None and declared.value != namespace:
        prefix += "1"
        declared = home.getAttributeNodeNS(XMLNS, prefix)
    if declared is None:
        home.setAttributeNS(XMLNS, f"xmlns:{prefix}", namespace)
    home.setAttributeNS(namespace, f"{prefix}:Rating", value)


def _bytes(document: Any, *, declared: bool) -> bytes:
    parts = [node.toxml() for node in document.childNodes]
    if declared:
        parts.insert(0, '<?xml version="1.0" encoding="UTF-8"?>')
    return ("\n".join(parts) + "\n").encode("utf-8")
