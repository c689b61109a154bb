"""Templates become pages: every value escaped, the style sheet and all pictures inside the one file."""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carpet_data.core.text import printable
from carpet_data.errors import ImageError
from carpet_data.reporting import charts
from carpet_data.reporting.texts import duration, p_text
from carpet_data.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["data_uri", "render"]

_TEMPLATES = Path(__file__).parent / "templates"
_KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


def render(template: str, **values: Any) -> str:
    """The text of a template; `.html` ones escape every value.

    Args:
        template: A file of the folder `templates`.
        values: What it needs; a missing one is an error.
    """
    return _environment().get_template(template).render(version=__version__, **values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(("html",), default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        # The style sheet is a file of this package, so it is trusted as it stands.
        style=Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8")),  # noqa: S704
        curves=charts.curves,
        forest=charts.forest,
        confusion_table=charts.confusion_table,
    )
    environment.filters.update(p=p_text, duration=duration, cell=_cell, shown=_shown)
    return environment


def _shown(value: object) -> str:
    """A setting or another value as text; bytes of a file name that are no text are written as escapes."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return printable(str(value))


def _cell(value: object) -> str:
    """Text for a cell of a Markdown table, where neither a column nor a tag may begin by accident."""
    text = _shown(value)
    for sign in ("\\", "|", "`", "*", "_", "[", "]"):
        text = text.replace(sign, f"\\{sign}")
    return text.replace("&", "&amp;").replace("<", "&lt;")


def data_uri(path: Path) -> str:
    """A PNG or JPEG file as an address that holds it.

    Raises:
        ImageError: The file is missing or of another kind.
    """
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise ImageError("only PNG and JPEG pictures go into a page", where=path, hint="convert the picture")
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError("the picture is missing", where=path, hint="make it again, or leave it out") from error
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
