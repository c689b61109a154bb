"""Progress of every command: a bar on a terminal, a line every ten seconds in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from carpet_data.core.progress import Progress, Step
from carpet_data.core.text import duration

__all__ = ["EVERY_S", "Lines", "bar"]

EVERY_S = 10.0
"""Seconds between two lines of a log."""


class Lines:
    """Progress as lines on standard error, for logs: `prepare: comparing images 1200/20000 (6 %), 12 s`.

    A command that ends within ten seconds writes none. Files that are written on the way are named at once.
    """

    def __init__(self, command: str, description: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._command = command
        self._description = description
        self._clock = clock
        self._begun = self._last = clock()

    def __call__(self, step: Step) -> None:
        """Take a step; write a line if it is time."""
        for path in step.files:
            self._write(f"step {step.done} of {step.total}, {step.metrics_text()}: {path}")
        now = self._clock()
        if now - self._last >= EVERY_S:
            self._last = now
            self._write(f"{self._command}: {self._text(step)}, {duration(now - self._begun)}")

    def _text(self, step: Step) -> str:
        what = step.what or self._description
        done = f"{step.done}" if step.total is None else f"{step.done}/{step.total}"
        share = f" ({100 * step.done // step.total} %)" if step.total else ""
        metrics = step.metrics_text()
        return f"{what} {done}{share}" + (f", {metrics}" if metrics else "")

    def _write(self, text: str) -> None:
        click.echo(text, err=True)


@contextmanager
def bar(description: str) -> Iterator[Progress]:
    """A bar on stderr that vanishes at the end; `description` is shown where a step does not say what is being done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[metrics]}"),
    )
    console = Console(stderr=True)
    with Bars(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {"": bars.add_task(description, total=None, metrics="")}

        def show(step: Step) -> None:
            what = step.what or description
            if what not in tasks:
                # One bar at a time: a new task takes the place of the last one.
                for task in tasks.values():
                    bars.remove_task(task)
                tasks.clear()
                tasks[what] = bars.add_task(what, total=step.total, metrics="")
            bars.update(tasks[what], completed=step.done, total=step.total, metrics=step.metrics_text())
            for path in step.files:
                console.print(f"step {step.done}: {path}", markup=False, highlight=False, soft_wrap=True)

        yield show
