"""Write docs/commands.md from the program's own help: `python docs/make_cli_reference.py [--check]`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from carpet_data.cli.app import COMMANDS, app

PAGE = Path(__file__).parent / "commands.md"
HEAD = """# Commands

Made from the program's help by `python docs/make_cli_reference.py`; a test compares the two.

Exit codes: 0 done, 1 data error, 2 usage error, 130 interrupted. Where ROOT may be left out, it is
`CARPET_DATA_ROOT`, else the current folder if it is a data set.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, f"## carpet-data\n\n```text\n{_help(app, 'carpet-data')}```\n"]
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


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
