"""Self-contained HTML pages, and models' cards, from the templates beside this file."""

import re
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from src.files import FORMULA, write_text

_TEMPLATES = Path(__file__).with_name("templates")


def write_page(path: Path, template: str, **values: Any) -> None:
    """Render a template that extends `base.html` into one HTML file that needs nothing beside it.

    The values are what the template shows; text is escaped.
    """
    write_text(path, render(template, **values))


def render(template: str, **values: Any) -> str:
    """The text of a template; values in HTML are escaped, in Markdown those marked as plain."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": _figure, "percent": _percent, "breakable": _breakable}
    environment.filters["plain"] = _plain
    environment.globals["formula"] = f"^{FORMULA.pattern}"
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}
    return environment.get_template(template).render(**values)


def _figure(value: object, digits: int = 3) -> str:
    """A number for a table; a dash for what could not be measured."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{float(str(value)):.{digits}f}"


def _percent(value: object, digits: int = 1) -> str:
    """A share; two shares are the ends of an interval."""
    if value is None:
        return "–"
    if isinstance(value, (list, tuple)):
        return " to ".join(_percent(part, digits) for part in value)
    return f"{float(str(value)):.{digits}%}"


def _plain(text: object) -> str:
    """Text in one line of Markdown, even in a table, that means nothing but itself."""
    return re.sub(r"([\\`*\[\]<>|~])", r"\\\1", " ".join(str(text).split()))


def _breakable(path: str) -> Markup:
    """A path that is broken between words where it is too long for its line."""
    return Markup(re.sub(r"([/_-]+)(?=\w)", r"\1<wbr>", str(escape(path))))
