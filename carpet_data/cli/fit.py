"""`carpet-data fit`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from carpet_data.cli.common import (
    Ui,
    is_terminal,
    json_option,
    overwrite_option,
    quiet_option,
    resolve_root,
    root_argument,
    seed_option,
)
from carpet_data.cli.data_options import split_option

if TYPE_CHECKING:
    from carpet_data.generators.learning import Report, Tick


@click.command()
@root_argument()
@click.option(
    "--recipe",
    required=True,
    metavar="NAME|FILE",
    help="A shipped recipe that learns (carpet-data recipes list), or the path of a YAML file.",
)
@split_option
@seed_option
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.")
@overwrite_option
@click.option("--dry-run", is_flag=True, help="Only print the plan.")
@json_option
@quiet_option
def fit(
    root: Path | None,
    recipe: str,
    split: str | None,
    seed: int,
    device: str,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Fit a learned recipe to the train images, once, before it synthesizes.

    The model lies in ROOT/models, with its weights, a card that says what it was made from, the curve of its losses,
    and sheets of samples from on the way. synthesize finds it there by the recipe and the train images, and refuses it
    when either has changed.

    An interrupted fit goes on when the same command is run again, on a CPU to the same weights; a finished one is left
    as it is. Several GPUs share a fit that is begun with `accelerate launch -m carpet_data fit …`.

    \b
    Example:
      carpet-data fit carpet-prepared --recipe ddpm-inpaint
      carpet-data fit carpet-prepared --recipe my.yaml --split fold2 --device cuda
    """
    from carpet_data.verbs.fit import fit as run

    # Of several processes that share a fit, the first one speaks.
    ui = Ui(as_json=as_json, quiet=quiet or os.environ.get("RANK", "0") != "0")
    with _progress(ui) as report:
        done = run(
            resolve_root(root),
            recipe=recipe,
            split=split,
            seed=seed,
            device=device,
            overwrite=overwrite,
            dry_run=dry_run,
            report=report,
        )
    ui.result(done.to_json(), done.text())


@contextmanager
def _progress(ui: Ui) -> Iterator[Report | None]:
    """Show step, losses and time left; each new sheet of samples is a line of its own, also in a log."""
    if ui.quiet or ui.as_json:
        yield None
        return
    if not is_terminal(sys.stderr):
        yield lambda tick: None if tick.sheet is None else ui.note(f"{_where(tick)}, samples: {tick.sheet}")
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("fitting"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[figures]}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("fitting", total=None, figures="reading images")

        def show(tick: Tick) -> None:
            bar.update(task, completed=tick.step, total=tick.steps, figures=_figures(tick))
            if tick.sheet is not None:
                console.print(
                    f"samples of step {tick.step}: {tick.sheet}", markup=False, highlight=False, soft_wrap=True
                )

        yield show


def _where(tick: Tick) -> str:
    return f"step {tick.step} of {tick.steps}, {_figures(tick)}"


def _figures(tick: Tick) -> str:
    losses = ", ".join(f"{name} {value:.4f}" for name, value in tick.losses.items())
    return losses if tick.left_s is None else f"{losses}, {_left(tick.left_s)}"


def _left(seconds: float) -> str:
    """Time left in words that do not pretend to know the second of an hour."""
    if seconds < 90:
        return f"{seconds:.0f} s left"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min left"
    return f"{seconds / 3600:.1f} h left"
