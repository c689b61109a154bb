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
from carpet_data.cli.task_options import TaskCommand, take_task, task_options
from carpet_data.core.options import Options
from carpet_data.training.tasks import TASKS

_CLASSES: dict[str, type[Options]] = {name: entry.options_class() for name, entry in TASKS.items()}


class _Train(TaskCommand):
    task_classes = _CLASSES


@click.command(cls=_Train)
@root_argument()
@click.option(
    "--task",
    type=click.Choice([*TASKS]),
    default="classify",
    show_default=True,
    help="What to train: " + "; ".join(f"{name}, {entry.summary}" for name, entry in TASKS.items()) + ".",
)
@split_option
@task_options(_CLASSES)
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
def train(root: Path | None, task: str, as_json: bool, quiet: bool, **values: Any) -> None:
    """Train a model and score it on the test images.

    --task classify trains a classifier of whole images. The network is ResNet-18 with ImageNet weights, downloaded once
    if needed; if they are unavailable, EfficientNet-Lite0 is used instead, with a note. The backbone is frozen by
    default (see --freeze): features are computed once, and the head trains on them in seconds. The validation images
    select the epoch. Running the command again resumes an interrupted run and gives the same result.

    --task dense learns from the masks: a head on the feature maps of a frozen EfficientNet-Lite0 tells the class of
    each place. One training gives the class of the image, its defects with boxes and masks, and an anomaly score. What
    is not given is chosen by cross-fitting on the training images. An interrupted run starts over; its feature maps are
    kept.

    --task segment and --task detect train a whole network on crops of the images, for those with a GPU or patience:
    U-Net, DeepLabV3, LR-ASPP or DRAEM's U-Net for the class of each pixel; Faster R-CNN, Mask R-CNN, RetinaNet or
    SSDlite for boxes. They need the extra finetune. An interrupted run resumes.

    The test images are used once, at the end. The run folder contains the model, the metrics, the prediction of every
    image, plots, pictures of the worst test images, and heat maps that browse shows over the images.

    \b
    Example:
      carpet-data train carpet-prepared
      carpet-data train carpet-prepared --task dense
      carpet-data train carpet-prepared --task segment --model unet --epochs 40
      carpet-data train carpet-prepared --task detect --model maskrcnn
      carpet-data train carpet-prepared --augment strong --sampling balanced
      carpet-data train carpet-prepared --arch resnet18 --freeze "until layer3" --epochs 30 --lr 0.0003
    """
    from carpet_data.training.tasks import train as run

    ui = Ui(as_json=as_json, quiet=quiet)
    chosen = take_task(_CLASSES, task, values)
    with ui.progress("training") as progress:
        done = run(resolve_root(root), options=chosen, progress=progress, **values)
    ui.result(done.to_json(), done.text())
