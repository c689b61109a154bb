"""The options of a command that serves several tasks: those of all of them, in sections, and only one's are taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import click

from carpet_data.cli.options import options
from carpet_data.core.options import About, Options, about
from carpet_data.errors import UsageError

__all__ = ["TaskCommand", "take_task", "task_options"]

F = TypeVar("F", bound=Callable[..., Any])
Classes = Mapping[str, type[Options]]


class TaskCommand(click.Command):
    """A command whose help lists the options of each task in a section of its own."""

    task_classes: ClassVar[Classes] = {}

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the common options, then those of each task."""
        of_tasks = {each.name for cls in self.task_classes.values() for each in about(cls)}
        common = [each for each in self.get_params(context) if each.name not in of_tasks]
        _section(context, formatter, "Options", common)
        for name, cls in self.task_classes.items():
            _section(context, formatter, f"Options of --task {name}", _parameters(cls))


def _section(context: click.Context, formatter: click.HelpFormatter, title: str, shown: list[click.Parameter]) -> None:
    records = [record for each in shown if (record := each.get_help_record(context)) is not None]
    if records:
        with formatter.section(title):
            formatter.write_dl(records)


def _parameters(cls: type[Options]) -> list[click.Parameter]:
    """The click options of a dataclass, in the order of its fields."""

    def command() -> None:
        pass

    found: list[click.Parameter] = options(cls)(command).__click_params__  # type: ignore[attr-defined]
    return found[::-1]


def task_options(classes: Classes) -> Callable[[F], F]:
    """A decorator that gives a `TaskCommand` the options of all tasks; each is None where it is not given."""

    def decorate(command: F) -> F:
        flags: dict[str, list[About]] = {}
        for cls in classes.values():
            for each in about(cls):
                if each.flag is not None:
                    flags.setdefault(each.name, []).append(each)
        for alike in reversed(flags.values()):
            command = _unset_option(alike)(command)
        return command

    return decorate


def _unset_option(alike: list[About]) -> Callable[[Any], Any]:
    """An option that several tasks may share; what a value may be, the task's dataclass says."""
    first = alike[0]
    assert first.flag is not None
    if first.kind is bool and not first.many:
        negative = any(each.default for each in alike)
        name = f"{first.flag}/--no-{first.flag[2:]}" if negative else first.flag
        return click.option(name, first.name, is_flag=True, default=None)
    if first.many:
        return click.option(first.flag, first.name, default=None, callback=_listed(first))
    kind = str if any(each.choices or each.kind is not first.kind for each in alike) else first.kind
    return click.option(first.flag, first.name, type=kind if kind in (int, float) else str, default=None)


def _listed(option: About) -> Callable[[click.Context, click.Parameter, str | None], tuple[Any, ...] | None]:
    def read(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[Any, ...] | None:  # noqa: ARG001
        if value is None:
            return None
        parts = [part.strip() for part in value.split(",") if part.strip()]
        try:
            return tuple(option.kind(part) for part in parts)
        except ValueError as error:
            hint = f"give numbers, such as {option.flag} 8,16"
            raise UsageError(f"invalid {option.flag} value {value!r}", hint=hint) from error

    return read


def take_task(classes: Classes, task: str, values: dict[str, Any]) -> Options:
    """The options of the chosen task, removed from `values` with those of the others.

    Raises:
        UsageError: An option was given that the task does not have, or the values contradict each other.
    """
    known = {each.name: each for each in about(classes[task])}
    taken = {}
    for name, flag, having in _all_options(classes):
        value = values.pop(name, None)
        if value is None:
            continue
        if name not in known:
            others = " or ".join([", ".join(having[:-1]), having[-1]][len(having) == 1 :])
            raise UsageError(f"{flag} has no effect with --task {task}", hint=f"leave it out, or use --task {others}")
        taken[name] = _of_choice(known[name], value)
    return classes[task](**taken)


def _all_options(classes: Classes) -> list[tuple[str, str, list[str]]]:
    """(name, flag, the tasks that have it) of every option."""
    found: dict[str, tuple[str, list[str]]] = {}
    for task, cls in classes.items():
        for each in about(cls):
            if each.flag is not None:
                found.setdefault(each.name, (each.flag, []))[1].append(task)
    return [(name, flag, having) for name, (flag, having) in found.items()]


def _of_choice(option: About, value: Any) -> Any:
    if option.choices:
        return {str(choice): choice for choice in option.choices}.get(str(value), value)
    return value
