"""`carpet-data predict` and `carpet-data export-model`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from carpet_data.cli.common import Ui, existing, json_option, out_option, overwrite_option, quiet_option
from carpet_data.cli.options import options, take
from carpet_data.prediction.options import PredictOptions

_INTERRUPTED = 130


@click.command()
@click.argument("model", type=click.Path(path_type=Path), callback=existing)
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@out_option()
@options(PredictOptions)
@click.option("--watch", is_flag=True, help="Keep looking for new images in the folders, until Ctrl-C.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Seconds between two looks, with --watch.",
)
@overwrite_option
@json_option
@quiet_option
def predict(
    model: Path,
    images: tuple[Path, ...],
    out: Path,
    watch: bool,
    interval: float,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    **values: Any,
) -> int:
    """Predict images with a trained model of any task.

    MODEL is a run folder or model folder that `train` wrote. IMAGES are files, folders (searched to any depth),
    prepared folders, and patterns in quotes. The output folder contains predictions.jsonl, one image a line: class,
    probabilities, anomaly score, boxes, scores and masks; and the detections as a COCO data set (coco_instances.json)
    and as COCO results (coco_results.json).

    Files that cannot be read are listed, the rest is predicted, and the command exits with 1. With --watch, each new
    file is predicted once when it is complete, also after a restart; Ctrl-C ends it (exit code 130).

    \b
    Example:
      carpet-data predict carpet-prepared/runs/train-001 photos -o predictions --overlays
      carpet-data predict model large.png -o predictions --tile 512 --overlap 64 --heat-maps
      carpet-data predict model inbox -o predictions --watch
    """
    from carpet_data.prediction.predict import predict as run

    ui = Ui(as_json=as_json, quiet=quiet)
    chosen = take(PredictOptions, values)
    if watch:
        ui.note(f"watching {', '.join(map(str, images))}; press Ctrl-C to end")
    with ui.progress("predicting") as progress:
        done = run(model, images, out, chosen, overwrite=overwrite, watch=watch, interval_s=interval, progress=progress)
    ui.result(done.to_json(), done.text())
    # Only Ctrl-C ends the watching, and it ends this command as it ends every other.
    return _INTERRUPTED if watch else done.exit_code


@click.command("export-model")
@click.argument("model", type=click.Path(path_type=Path), callback=existing)
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The ONNX file, *.onnx.")
@click.option("--height", type=click.IntRange(min=1), help="Rows of the images, for a dense model.")
@click.option("--width", type=click.IntRange(min=1), help="Columns of the images, for a dense model.")
@overwrite_option
@json_option
@quiet_option
def export_model(model: Path, out: Path, as_json: bool, quiet: bool, **values: Any) -> None:
    """Export a trained model to ONNX, with its preprocessing inside.

    MODEL is a run folder or model folder that `train` wrote. The file takes uint8 RGB images (n, height, width, 3) and
    gives class probabilities and anomaly scores. A classifier takes images of any size; a dense model takes images of
    one size and also gives a heat map. The metadata contain classes, task and sizes. The file is compared with the
    model in onnxruntime before it is written.

    \b
    Example:
      carpet-data export-model carpet-prepared/runs/train-001 -o carpet.onnx
      carpet-data export-model dense-run -o carpet.onnx --height 1024 --width 1024
    """
    from carpet_data.prediction.export_model import export_model as run

    ui = Ui(as_json=as_json, quiet=quiet)
    with ui.progress("exporting"):
        done = run(model, out, **values)
    ui.result(done.to_json(), done.text())
