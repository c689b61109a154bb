"""`carpet-data validate`."""

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
    split_option,
    workers_option,
)
from carpet_data.cli.options import options, take
from carpet_data.experiments.conditions import BASELINE_DENSE, BASELINE_TRAINING
from carpet_data.experiments.options import ValidateOptions
from carpet_data.training.dense.options import DenseOptions
from carpet_data.training.options import TrainOptions

_OFFERED = {
    "architecture", "weights", "pooling", "resize", "freeze", "steps", "learning_rate", "batch_size", "augment",
    "views", "good_share", "synthetic_share", "device",
}  # fmt: skip
_OF_DENSE_FIXED = ("device", "seed", "test_views", "background_cells", "defect_cells", "batch_cells", "good_recall")
"""Options of the dense head that validate does not offer."""
_FIXED = {name: value for name, value in BASELINE_TRAINING.to_json().items() if name not in _OFFERED}


@click.command()
@root_argument()
@split_option
@options(ValidateOptions)
@options(DenseOptions, skip=_OF_DENSE_FIXED, prefix="dense", **BASELINE_DENSE.to_json())
@options(TrainOptions, skip=_FIXED, **BASELINE_TRAINING.to_json())
@run_folder_option("validate")
@overwrite_option
@click.option("--dry-run", is_flag=True, help="Show the training plan and exit.")
@workers_option
@json_option
@quiet_option
def validate(root: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Test whether synthetic images improve a model.

    Models are trained on real images as they are, on real images with augmentation and balanced sampling (the
    baseline), on synthetic defects only, and on both, all with the same number of steps. Their predictions on the real
    test images are compared: scores with intervals, a paired test against the baseline, and a verdict: helps, no
    evidence, or hurts. It also checks for artifacts that reveal synthetic images.

    The dense head learns from the masks; one run of it gives a verdict on segmentation, image class, detection and
    anomaly. A --task puts one of them first, and its p-value is then not adjusted for the others. The whole-image
    classifier is trained beside it, or alone with --task classify. Options that begin with --dense are those of the
    dense head, the other training options those of the classifier.

    An interrupted run resumes when the same command is run again.

    \b
    Example:
      carpet-data validate carpet-prepared
      carpet-data validate carpet-prepared --task segment
      carpet-data validate carpet-prepared --partitions 5 --to 100
      carpet-data validate carpet-prepared --recipes donor-paste,nsa --methods crt,lmr
      carpet-data validate carpet-prepared --splits fold0,fold1,fold2 --recipes donor-paste
    """
    from carpet_data.experiments.validate import validate as run

    ui = Ui(as_json=as_json, quiet=quiet)
    dense = take(DenseOptions, values, prefix="dense")
    training = take(TrainOptions, values, **_FIXED)
    compared = take(ValidateOptions, values)
    with ui.progress("validating") as progress:
        done = run(resolve_root(root), options=compared, training=training, dense=dense, progress=progress, **values)
    ui.result(done.to_json(), done.text())
