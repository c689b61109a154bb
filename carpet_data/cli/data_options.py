"""Options that commands which read or export a data set share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

split_option = click.option("--split", default=None, help="Named split.  [default: main, else the source's own]")
images_option = click.option(
    "--images",
    type=click.Choice(["link", "copy", "none"]),
    default="link",
    show_default=True,
    help="How images get into the output: hard links, copies, or none.",
)
export_out_option = click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Output folder.  [default: beside ROOT]"
)
