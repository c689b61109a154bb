"""The options that `synthesize` and `rebalance` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from carpet_data.cli.common import json_option, quiet_option, seed_option, workers_option

F = TypeVar("F", bound=Callable[..., Any])


def synthesis_options(command: F) -> F:
    """How to synthesize: recipe, split, seed, workers, device, dry_run, as_json and quiet of the command."""
    for option in reversed(
        (
            click.option(
                "--recipe",
                default="donor-paste",
                show_default=True,
                metavar="NAME|FILE",
                help="A shipped recipe (carpet-data recipes list), or the path of a YAML file.",
            ),
            click.option("--split", default="main", show_default=True, help="The split whose train side teaches."),
            seed_option,
            workers_option,
            click.option(
                "--device",
                default="auto",
                show_default=True,
                metavar="NAME",
                help="Learned recipes only: auto (a GPU if there is one, with 2 workers unless --workers says "
                "otherwise), cpu, cuda, cuda:1 or mps.",
            ),
            click.option("--dry-run", is_flag=True, help="Only print the plan."),
            json_option,
            quiet_option,
        )
    ):
        command = option(command)
    return command
