"""Command line options, generated from the `Options` dataclasses that the functions take."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from carpet_data.core.options import About, Options, about

__all__ = ["options", "take"]

F = TypeVar("F", bound=Callable[..., Any])
O = TypeVar("O", bound=Options)  # noqa: E741 - the one letter that says it


def options(cls: type[Options], *, skip: Collection[str] = (), prefix: str = "", **defaults: Any) -> Callable[[F], F]:
    """A decorator that gives a command one option for each field of `cls` outside `skip`; `take` builds the dataclass.

    `defaults` replace those of the dataclass. With a prefix such as "dense" the option of `steps` is --dense-steps, so
    that two dataclasses with fields of one name fit on one command.
    """

    def decorate(command: F) -> F:
        for each in reversed(about(cls)):
            if each.flag is not None and each.name not in skip:
                command = _option(_prefixed(each, prefix), defaults.get(each.name, each.default))(command)
        return command

    return decorate


def _prefixed(option: About, prefix: str) -> About:
    if not prefix:
        return option
    assert option.flag is not None
    return replace(option, name=f"{prefix}_{option.name}", flag=f"--{prefix}-{option.flag[2:]}")


def take(cls: type[O], values: dict[str, Any], *, prefix: str = "", **fixed: Any) -> O:
    """The dataclass of a command's parameters, removed from `values`; `fixed` are fields that no option gives.

    Raises:
        UsageError: The values contradict each other.
    """
    start = f"{prefix}_" if prefix else ""
    known = {start + each.name: each for each in about(cls)}
    taken = {known[name].name: _value(known[name], values.pop(name)) for name in list(values) if name in known}
    return cls(**{**taken, **fixed})


def _value(option: About, value: Any) -> Any:
    if option.many and option.optional and not value:
        return None
    if option.choices and option.kind is not str:
        return {str(choice): choice for choice in option.choices}.get(value, value)
    return value


def _option(option: About, default: Any) -> Callable[[Any], Any]:
    assert option.flag is not None
    text = option.help if option.unset is None or default is not None else f"{option.help}  [default: {option.unset}]"
    more: dict[str, Any] = {"help": text, "default": default, "show_default": default is not None}
    if option.metavar is not None:
        more["metavar"] = option.metavar
    if option.kind is bool and not option.many:
        if default:
            return click.option(f"{option.flag}/--no-{option.flag[2:]}", option.name, **more)
        return click.option(option.flag, option.name, is_flag=True, help=text)
    if option.many and (option.metavar or "").endswith(",…"):
        return click.option(option.flag, option.name, callback=_listed, help=text, metavar=option.metavar)
    if option.many:
        more |= {"multiple": True, "show_default": bool(default)}
    if option.choices and option.kind is not str and default is not None:
        more["default"] = str(default)
    return click.option(option.flag, option.name, type=_type(option), **more)


def _listed(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:  # noqa: ARG001
    """`a,b` as two values."""
    return () if value is None else tuple(part.strip() for part in value.split(",") if part.strip())


def _type(option: About) -> Any:
    if option.choices:
        return click.Choice([str(choice) for choice in option.choices])
    if option.kind is Path:
        return click.Path(path_type=Path)
    if option.kind not in (int, float):
        return str
    lowest = option.minimum if option.above is None else option.above
    highest = option.maximum if option.below is None else option.below
    if lowest is None and highest is None:
        return option.kind
    open_ends = {"min_open": option.above is not None, "max_open": option.below is not None}
    return (click.IntRange if option.kind is int else click.FloatRange)(lowest, highest, **open_ends)  # type: ignore[arg-type]
