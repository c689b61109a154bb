"""The progress bar of every command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from carpet_data.core.progress import Progress, Step

__all__ = ["bar"]


@contextmanager
def bar(description: str) -> Iterator[Progress]:
    """A bar on stderr that vanishes at the end; `description` is shown where a step does not say what is being done."""
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
