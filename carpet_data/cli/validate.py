"""`carpet-data validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from carpet_data.cli.common import (
    Ui,
    json_option,
    overwrite_option,
    quiet_option,
    resolve_root,
    root_argument,
    run_folder_option,
    workers_option,
)
from carpet_data.cli.data_options import split_option
from carpet_data.experiments.conditions import DEFAULTS, METHODS
from carpet_data.training.options import PoolingName


def _listed(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:  # noqa: ARG001
    """`a,b` as two names."""
    return () if value is None else tuple(part.strip() for part in value.split(",") if part.strip())


@click.command()
@root_argument()
@split_option
@click.option(
    "--splits", callback=_listed, metavar="NAME,…", help="Existing splits as partitions, in place of --split."
)
@click.option(
    "--partitions",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Random partitions; with 2 or more, images are synthesized anew for each.",
)
@click.option("--recipes", callback=_listed, metavar="RECIPE,…", help="Recipes to compare: names or files.")
@click.option(
    "--to",
    type=click.IntRange(min=1),
    default=None,
    help="Train images that a recipe brings each defect class to.  [default: as in the data set, else 100]",
)
@click.option(
    "--methods", callback=_listed, metavar="NAME,…", help=f"Long-tail methods as further rows: {', '.join(METHODS)}."
)
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="Trainings of each condition.")
@click.option(
    "--arch", "architecture", default="auto", show_default=True, metavar="NAME", help="A network, as in train."
)
@click.option("--weights", default="auto", show_default=True, metavar="NAME|PATH", help="Its weights, as in train.")
@click.option(
    "--pooling",
    type=click.Choice(get_args(PoolingName)),
    default=DEFAULTS.pooling,
    show_default=True,
    help="Of the last map.",
)
@click.option(
    "--resize",
    type=click.IntRange(min=8),
    default=DEFAULTS.resize,
    show_default=True,
    help="Images are resized to this many pixels square.",
)
@click.option(
    "--freeze",
    default=DEFAULTS.freeze,
    show_default=True,
    metavar="WHAT",
    help="backbone (only heads learn: seconds a training), none, or 'until STAGE' (minutes a training).",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=DEFAULTS.steps,
    show_default=True,
    help="Optimiser steps of every training.",
)
@click.option(
    "--lr", "learning_rate", type=float, default=DEFAULTS.learning_rate, show_default=True, help="Learning rate."
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=DEFAULTS.batch_size, show_default=True, help="Images a step."
)
@click.option(
    "--augment",
    default=DEFAULTS.augment,
    show_default=True,
    metavar="RECIPE",
    help="Of every condition but real-only: none, light, strong, or a recipe of the method augment.",
)
@click.option(
    "--views", type=click.IntRange(min=1), default=DEFAULTS.views, show_default=True, help="Versions of an image."
)
@click.option(
    "--good-share",
    type=float,
    default=DEFAULTS.good_share,
    help="Share of good images in what balanced sampling draws.  [default: as any class]",
)
@click.option(
    "--synthetic-share",
    type=float,
    default=DEFAULTS.synthetic_share,
    show_default=True,
    help="Share of synthetic images in what is drawn of a defect class that has both.",
)
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.")
@run_folder_option("validate")
@overwrite_option
@click.option("--keep-work", is_flag=True, help="Leave the workspaces in which images were synthesized.")
@click.option("--dry-run", is_flag=True, help="Only say what would be trained on what.")
@workers_option
@json_option
@quiet_option
def validate(root: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Prove whether synthetic images help a classifier.

    Classifiers are trained on real images as they are, on real images with augmentation and balanced sampling (the
    baseline), on synthetic defects alone, and on both, for equally many steps. What each says of the real test images
    is compared: balanced accuracy, macro F1, recalls with intervals, a paired test against the baseline, and a verdict:
    helps, no evidence, or hurts. Whether synthetic images carry a mark that gives them away is looked at too.

    A stopped run goes on when the same command is run again.

    \b
    Example:
      carpet-data validate carpet-prepared
      carpet-data validate carpet-prepared --partitions 5 --to 100
      carpet-data validate carpet-prepared --recipes donor-paste,nsa --methods crt,lmr
      carpet-data validate carpet-prepared --splits fold0,fold1,fold2 --recipes donor-paste
    """
    from carpet_data.experiments.validate import validate as run

    ui = Ui(as_json=as_json, quiet=quiet)
    names = (
        "architecture",
        "weights",
        "pooling",
        "resize",
        "freeze",
        "steps",
        "learning_rate",
        "batch_size",
        "augment",
        "views",
        "good_share",
        "synthetic_share",
        "device",
    )
    settings = DEFAULTS.but(**{name: values.pop(name) for name in names})
    with ui.progress("validating") as progress:
        done = run(resolve_root(root), settings, progress=progress, **values)
    ui.result(done.to_json(), done.text())
