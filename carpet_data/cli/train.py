"""`carpet-data train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from carpet_data.cli.common import (
    Ui,
    json_option,
    overwrite_option,
    quiet_option,
    resolve_root,
    root_argument,
    run_folder_option,
    skip_faulty_option,
    split_option,
    workers_option,
)
from carpet_data.cli.options import options, take
from carpet_data.training.options import TrainOptions


@click.command()
@root_argument()
@split_option
@options(TrainOptions)
@click.option("--real-only", is_flag=True, help="Skip synthetic training images.")
@skip_faulty_option
@click.option(
    "--worst",
    type=click.IntRange(min=0),
    default=12,
    show_default=True,
    help="Number of the worst test images to draw.",
)
@click.option(
    "--heatmaps",
    type=click.IntRange(min=0),
    default=200,
    show_default=True,
    help="Maximum number of test images that get a heat map for browse, mistakes first.",
)
@run_folder_option("train")
@overwrite_option
@workers_option
@json_option
@quiet_option
def train(root: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Train a classifier and score it on the test images.

    The network is ResNet-18 with ImageNet weights, downloaded once if needed; if they are unavailable,
    EfficientNet-Lite0 is used instead, with a note. The backbone is frozen by default (see --freeze): features are
    computed once, and the head trains on them in seconds. The validation images select the epoch; the test images are
    used once, at the end. The run folder contains the model, the metrics, the prediction of every image, learning
    curves, the confusion matrix, recalls, and Grad-CAM heat maps: pictures of the worst test images, and maps that
    browse shows over the images.

    Running the command again resumes an interrupted run and gives the same result.

    \b
    Example:
      carpet-data train carpet-prepared
      carpet-data train carpet-prepared --augment strong --sampling balanced
      carpet-data train carpet-prepared --arch resnet18 --freeze "until layer3" --epochs 30 --lr 0.0003
    """
    from carpet_data.training.train import train as run

    ui = Ui(as_json=as_json, quiet=quiet)
    chosen = take(TrainOptions, values)
    with ui.progress("training") as progress:
        done = run(resolve_root(root), options=chosen, progress=progress, **values)
    ui.result(done.to_json(), done.text())
