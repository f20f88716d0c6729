"""Self-contained HTML pages from the templates beside this file."""

import html
import json
import re
from pathlib import Path
from typing import Any

from src.files import write_text

_TEMPLATES = Path(__file__).with_name("templates")


def write_page(path: Path, template: str, **values: Any) -> None:
    """Render a template into one HTML file that needs nothing beside it.

    Args:
        path: the file to write.
        template: name of a file in `src/reports/templates`, which extends `base.html`.
        values: what the template shows; text is escaped.

    Raises:
        DataError: the file cannot be written.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _figure
    write_text(path, environment.get_template(template).render(**values))


def write_data_page(path: Path, template: str, *, title: str, content: object) -> None:
    """Write a page whose script draws everything from data, without jinja2.

    Args:
        path: the file to write.
        template: name of a template that extends `base.html`, has blocks and nothing else of
            jinja2, and shows `{{ title }}` and `{{ content }}`, the latter inside a script element.
        title: plain text.
        content: JSON values.

    Raises:
        DataError: the file cannot be written.
    """
    text = (_TEMPLATES / template).read_text(encoding="utf-8")
    blocks = dict(re.findall(r"\{% block (\w+) %\}\n?(.*?)\{% endblock %\}", text, re.DOTALL))
    data = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":  # nothing that ends the script element, or its lines
        data = data.replace(character, f"\\u{ord(character):04x}")
    values = {"title": html.escape(title), "content": data}
    page = (_TEMPLATES / "base.html").read_text(encoding="utf-8")
    page = re.sub(r"\{% block (\w+) %\}\{% endblock %\}", lambda found: blocks[found[1]], page)
    write_text(path, re.sub(r"\{\{ (\w+) \}\}", lambda found: values[found[1]], page))


def _figure(value: object, digits: int = 3) -> str:
    """A number for a table; a dash for what could not be measured."""
    if value is None:
        return "–"
    if isinstance(value, (list, tuple)):
        return " … ".join(_figure(part, digits) for part in value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{float(str(value)):.{digits}f}"
