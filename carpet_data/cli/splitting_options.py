"""The options that `prepare` and `split` share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from carpet_data.cli.common import seed_option

F = TypeVar("F", bound=Callable[..., Any])

_FRACTIONS = "--fractions"
_NUMBER = re.compile(r"[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?|[0-9]+\.")
_MOST = 3


def _numbers(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    """The numbers of a text, between commas or spaces; whether they make sense is the split's to say."""
    if value is None:
        return None
    try:
        return tuple(float(part) for part in re.split(r"[,\s]+", value) if part)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not two or three numbers, such as 0.8 0.2", ctx, param) from None


class SplittingCommand(click.Command):
    """A command whose --fractions takes two or three numbers, which click itself has no option for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Join the numbers behind --fractions before click sees them."""
        joined: list[str] = []
        rest = list(args)
        while rest:
            word = rest.pop(0)
            joined.append(word)
            if word == "--":
                break
            if word == _FRACTIONS:
                numbers: list[str] = []
                while rest and len(numbers) < _MOST and _NUMBER.fullmatch(rest[0].rstrip(",")):
                    numbers.append(rest.pop(0).rstrip(","))
                if numbers:
                    joined.append(",".join(numbers))
        return super().parse_args(ctx, [*joined, *rest])


def splitting_options(command: F) -> F:
    """How to split: passed to the command as the fields of a SplitRequest, all but `repeats`."""
    for option in reversed(
        (
            click.option(
                _FRACTIONS,
                callback=_numbers,
                metavar="F F [F]",
                default=None,
                help="Shares of train and test, or of train, val and test.  [default: 0.8 0.2]",
            ),
            click.option(
                "--per-class",
                type=click.IntRange(min=1),
                default=None,
                metavar="N",
                help="First draw N images of each class; the rest is on no side.",
            ),
            click.option(
                "--k-fold",
                type=click.IntRange(min=2),
                default=None,
                metavar="K",
                help="K splits for cross-validation, numbered from 0.",
            ),
            click.option(
                "--k-shot",
                type=click.IntRange(min=1),
                default=None,
                metavar="K",
                help="K groups of each defect class are in train, the rest in test.",
            ),
            click.option(
                "--protocol",
                type=click.Choice(["first-third", "source", "rotations", "leave-one-out"]),
                default=None,
                help="A fixed rule instead of chance.",
            ),
            click.option(
                "--pool",
                type=click.Choice(["all", "train", "val", "test"]),
                default="all",
                show_default=True,
                help="Which images take part: all, or those of one folder of the source.",
            ),
            seed_option,
        )
    ):
        command = option(command)
    return command
