"""Write docs/commands.md from the program's help, docs/api.md from the public names, docs/layouts.md from the layouts.

Run `python docs/make_reference.py` in the root of the project.
"""

from __future__ import annotations

from pathlib import Path
from types import FunctionType

import click

import carpet_data
from carpet_data.cli.app import COMMANDS, app
from carpet_data.core.options import Options, about
from carpet_data.formats.layouts.table import LAYOUTS

COMMANDS_PAGE = Path(__file__).parent / "commands.md"
API_PAGE = Path(__file__).parent / "api.md"

COMMANDS_HEAD = """# Commands

Made from the program's help by `python docs/make_reference.py`; a test compares the two.

Exit codes: 0 done, 1 data error, 2 usage error, 130 interrupted. Where ROOT may be left out, it is
`CARPET_DATA_ROOT`, else the current folder if it is a data set.
"""

LAYOUTS_PAGE = Path(__file__).parent / "layouts.md"

LAYOUTS_HEAD = """# Layouts of published data sets

These are recognized without options; `--from NAME` says which one is meant. Made from the table in
`carpet_data/formats/layouts/table.py` by `python docs/make_reference.py`; a test compares the two.

Names of folders and files may be in any case, and images of any type ([reading](reading.md) has the rest). Where the
folder that you name holds several categories, such as all of VisA, the error names them all: read one at a time.

BTAD, VisA in its one-class split and MVTec AD itself have the layout `mvtec`.
"""

API_HEAD = """# Python API

Everything here is imported from `carpet_data`; each name is loaded when it is first used. Functions that take an
options object also take its fields by name: `to_coco(ds, "out", segmentation="rle")`.
"""

# Title -> the rooms whose public names stand below it, in this order.
SECTIONS: dict[str, tuple[str, ...]] = {
    "Data": ("dataset", "samples", "core.pixels", "formats.reading", "formats.registry"),
    "Export and check": ("formats",),
    "Check and count": ("diagnosis", "statistics", "core.problems"),
    "Prepare": ("preparation",),
    "Tiles": ("tiling",),
    "Synthesize": ("synthesis",),
    "Learned recipes": ("learned",),
    "Train": ("training",),
    "Predict": ("prediction",),
    "Validate, score, sweep": ("experiments",),
    "Metrics": ("metrics",),
    "Report, browse, curate": ("reporting", "fiftyone", "store"),
    "Sample data and downloads": ("weave", "archives"),
    "Progress and workers": ("core",),
    "Errors": ("errors",),
}


def commands_page() -> str:
    """The help of every command."""
    parts = [COMMANDS_HEAD, f"## carpet-data\n\n```text\n{_help(app, 'carpet-data')}```\n"]
    for name in COMMANDS:
        command = app.get_command(click.Context(app), name)
        assert command is not None
        parts.append(f"## {name}\n\n```text\n{_help(command, f'carpet-data {name}')}```\n")
        for below, each in command.commands.items() if isinstance(command, click.Group) else ():
            parts.append(f"### {name} {below}\n\n```text\n{_help(each, f'carpet-data {name} {below}')}```\n")
    return "\n".join(parts)


def _help(command: click.Command, name: str) -> str:
    context = click.Context(command, info_name=name, terminal_width=100, **app.context_settings)
    return command.get_help(context).rstrip() + "\n"


def layouts_page() -> str:
    """A table of the layouts, then each with its tree."""
    rows = [f"| [{each.title}](#{each.name}) | `{each.name}` | {each.about} |" for each in LAYOUTS]
    parts = [LAYOUTS_HEAD, "\n".join(["| data set | `--from` | what is particular |", "|---|---|---|", *rows]) + "\n"]
    for each in LAYOUTS:
        tree = "\n".join(each.tree)
        parts.append(f"## {each.name}\n\n{each.title}: {each.source}.\n\n```text\n{tree}\n```\n")
    return "\n".join(parts)


def api_page() -> str:
    """One entry for each public name, for mkdocstrings to fill in."""
    left = {name: _home(name) for name in carpet_data.__all__ if name != "__version__"}
    parts = [API_HEAD]
    for title, rooms in SECTIONS.items():
        entries = []
        for room in rooms:
            prefix = f"carpet_data.{room}"
            here = [name for name, home in left.items() if home == prefix or home.startswith(f"{prefix}.")]
            for name in sorted(here, key=lambda name: (name[0].isupper(), name)):
                entries += [f"::: {left.pop(name)}.{name}", *_fields(getattr(carpet_data, name))]
        parts.append("\n".join([f"## {title}\n", *entries]) + "\n")
    assert not left, f"no section for {sorted(left)}"
    return "\n".join(parts)


def _fields(value: object) -> list[str]:
    """The table of an options class: its fields state their help once, outside the docstring."""
    if not (isinstance(value, type) and issubclass(value, Options)):
        return []
    rows = [
        f"| `{each.name}` | `{each.default!r}` | {each.help.replace('|', chr(92) + '|')} |" for each in about(value)
    ]
    return ["", "| field | default | meaning |", "|---|---|---|", *rows, ""]


def _home(name: str) -> str:
    """The module that defines a public name; only classes and functions know it themselves."""
    value = getattr(carpet_data, name)
    module = getattr(value, "__module__", "") if isinstance(value, type | FunctionType) else ""
    return module if module.startswith("carpet_data") else carpet_data._HOMES[name]


if __name__ == "__main__":
    COMMANDS_PAGE.write_text(commands_page(), encoding="utf-8")
    LAYOUTS_PAGE.write_text(layouts_page(), encoding="utf-8")
    API_PAGE.write_text(api_page(), encoding="utf-8")
