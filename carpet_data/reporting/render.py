"""Templates become pages: every value escaped, the style sheet and all figures inside the one file."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carpet_data.core.text import duration, p_text, printable, sentence
from carpet_data.reporting.pages import LEARNERS, TASKS, titled
from carpet_data.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["render"]

_TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """The text of a template in `templates`; `.html` ones escape every value, and a missing value is an error."""
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
    # The style sheet is a file of this package, so it is trusted as it stands.
    style = Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))  # noqa: S704
    environment.globals.update(style=style, svg=_svg, tasks=TASKS, learners=LEARNERS)
    environment.filters.update(p=p_text, duration=duration, sentence=sentence, cell=_cell, shown=_shown, titled=titled)
    return environment


def _svg(kind: str, name: str, *args: Any, **kwargs: Any) -> Markup:
    """A figure of `figures` as markup, `name` unique on the page; matplotlib escapes the text in it."""
    from markupsafe import Markup

    # matplotlib takes half a second, and a data set without runs has no figures.
    from carpet_data.core.plots import to_svg
    from carpet_data.reporting import figures

    return Markup(to_svg(getattr(figures, kind)(*args, **kwargs), name))  # noqa: S704


def _shown(value: object) -> str:
    """A setting or another value as text; bytes of a file name that are not text are written as escapes."""
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
