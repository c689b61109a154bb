"""`carpet-data fit`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from carpet_data.cli.common import (
    Ui,
    json_option,
    overwrite_option,
    quiet_option,
    resolve_root,
    root_argument,
    seed_option,
)
from carpet_data.cli.data_options import split_option


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
    from carpet_data.learned.fit import fit as run

    # Of several processes that share a fit, the first one speaks.
    ui = Ui(as_json=as_json, quiet=quiet or os.environ.get("RANK", "0") != "0")
    with ui.progress("reading images") as progress:
        done = run(
            resolve_root(root),
            recipe=recipe,
            split=split,
            seed=seed,
            device=device,
            overwrite=overwrite,
            dry_run=dry_run,
            progress=progress,
        )
    ui.result(done.to_json(), done.text())
