"""`carpet-data fit`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from carpet_data.cli.common import Ui, json_option, quiet_option, resolve_root, root_argument
from carpet_data.cli.options import options, take
from carpet_data.learned.options import FitOptions


@click.command()
@root_argument()
@click.option(
    "--recipe",
    required=True,
    metavar="NAME|FILE",
    help="Learned recipe: a shipped one by name (carpet-data recipes list), or the path of a YAML file.",
)
@options(FitOptions)
@json_option
@quiet_option
def fit(root: Path | None, recipe: str, as_json: bool, quiet: bool, **values: Any) -> None:
    """Train a learned recipe on the training images (once, before `synthesize`).

    The model is kept in ROOT/models, with its weights, a model card, the loss curve and sample sheets from during
    training. synthesize finds it there by the recipe and the training images, and refuses it when either has changed.

    An interrupted fit resumes when the same command is run again, on a CPU to the same weights; a finished one is left
    as it is. Several GPUs share a fit that is started with `accelerate launch -m carpet_data fit …`.

    \b
    Example:
      carpet-data fit carpet-prepared --recipe ddpm-inpaint
      carpet-data fit carpet-prepared --recipe my.yaml --split fold2 --device cuda
    """
    from carpet_data.learned.fit import fit as run

    # Of several processes that share a fit, only the first one prints.
    ui = Ui(as_json=as_json, quiet=quiet or os.environ.get("RANK", "0") != "0")
    with ui.progress("reading images") as progress:
        done = run(resolve_root(root), recipe, take(FitOptions, values), progress=progress)
    ui.result(done.to_json(), done.text())
