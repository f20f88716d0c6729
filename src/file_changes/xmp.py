"""Star ratings in XMP sidecar files, where photo programs read them.

Everything that other programs wrote into a sidecar stays. A rating that a person gave stays as
well: ours are told from theirs by a mark of our own beside them.

Source: ISO 16684-1 (XMP), property xmp:Rating, 1 to 5; 0 or none is "unrated", -1 "rejected".
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from xml.dom import Node, minidom
from xml.parsers.expat import ExpatError

from src.file_changes.changes import Folders, Write
from src.file_changes.plan import Plan
from src.text import counted

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


def rate(directory: Path, stars: Mapping[str, int], naming: Naming) -> Plan:
    """Sidecars with these ratings, 1 to 5, of images relative to the folder.

    They are named "image.xmp" (Lightroom, Bridge, Capture One) or "image.jpg.xmp" (digiKam,
    darktable).
    """
    plan, rated, problems = Plan(Folders(directory, directory)), 0, []
    names = {path: sidecar_of(path, naming) for path in stars}
    owners: dict[str, list[str]] = {}  # names that differ in case only are one on some systems
    for path, sidecar in names.items():
        owners.setdefault(sidecar.lower(), []).append(path)
    for path, sidecar in names.items():
        file, shared = directory / sidecar, owners[sidecar.lower()]
        try:
            if len(shared) > 1:
                raise ValueError(f"it would belong to {' and '.join(shared)}")
            before = file.read_bytes() if file.exists() else None
            after = with_rating(before, stars[path])
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            problems.append(f"{sidecar} is left alone: {why}")
            continue
        if after is None:
            rated += 1
        elif after != before:
            plan.changes.append(Write.of(directory, sidecar, after))
    counts = Counter(stars.values())
    shown = ", ".join(f"{counts[number]:,} × {number}★" for number in range(1, 6))
    plan.lines.append(f"{counted(len(plan.changes), 'sidecar')} to write: {shown}")
    if rated:
        plan.lines.append(f"{rated:,} keep the stars that you or a program gave")
    if (same := len(stars) - len(plan.changes) - rated - len(problems)) > 0:
        plan.lines.append(f"{same:,} have these stars already")
    plan.lines.extend(problems)
    return plan


def sidecar_of(path: str, naming: Naming) -> str:
    return str(PurePosixPath(path).with_suffix(".xmp")) if naming == "image.xmp" else path + ".xmp"


def with_rating(content: bytes | None, rating: int) -> bytes | None:
    """A sidecar, or a new one for None, with a rating of ours; None if it has a person's."""
    document = _parse(_NEW.encode() if content is None else content)
    roots = document.getElementsByTagNameNS(RDF, "RDF")
    if not roots:
        raise ValueError("it has no rdf:RDF, so it is not an XMP file")
    descriptions = [
        node for root in roots for node in root.childNodes if _is(node, RDF, "Description")
    ]
    given, ours = _rating(descriptions, XMP), _rating(descriptions, OURS)
    if given not in ("", "0") and given != ours:
        return None
    if given == ours == str(rating):
        return content
    descriptions = descriptions or [_new_description(document, roots[0])]
    _set(descriptions, XMP, "xmp", str(rating))
    _set(descriptions, OURS, "taste", str(rating))
    parts = [node.toxml() for node in document.childNodes]
    if content is None or content.removeprefix(b"\xef\xbb\xbf").startswith(b"<?xml"):
        parts.insert(0, '<?xml version="1.0" encoding="UTF-8"?>')
    return ("\n".join(parts) + "\n").encode("utf-8")


def _parse(content: bytes) -> Any:
    if b"<!DOCTYPE" in content:  # never in XMP; entities could blow up
        raise ValueError("it has a DOCTYPE, so it is not an XMP file")
    try:
        return minidom.parseString(content)
    except (ExpatError, LookupError, UnicodeError) as error:
        raise ValueError(f"it is damaged: {error}") from None


def _is(node: Any, namespace: str, name: str) -> bool:
    element: bool = node.nodeType == Node.ELEMENT_NODE
    return element and (node.namespaceURI, node.localName) == (namespace, name)


def _new_description(document: Any, rdf: Any) -> Any:
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
            if _is(child, namespace, "Rating"):
                return child
    return None


def _rating(descriptions: Any, namespace: str) -> str:
    node = _node(descriptions, namespace)
    texts = node.childNodes if node is not None else ()
    return "".join(text.data for text in texts if hasattr(text, "data")).strip()


def _set(descriptions: Any, namespace: str, prefix: str, value: str) -> None:
    """Change the property "Rating" of a namespace where it stands, or add it to the first."""
    node, home = _node(descriptions, namespace), descriptions[0]
    if node is not None and node.nodeType == Node.ATTRIBUTE_NODE:
        node.value = value
        return
    if node is not None:
        node.childNodes[:] = [node.ownerDocument.createTextNode(value)]
        return
    # Its own declaration on the element is right whatever the prefix means further up.
    declared = home.getAttributeNodeNS(XMLNS, prefix)
    while declared is not None and declared.value != namespace:
        prefix += "1"
        declared = home.getAttributeNodeNS(XMLNS, prefix)
    if declared is None:
        home.setAttributeNS(XMLNS, f"xmlns:{prefix}", namespace)
    home.setAttributeNS(namespace, f"{prefix}:Rating", value)
