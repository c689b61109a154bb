"""What a training leaves in its run folder: model, metrics, predictions, history, plots, worst images, heat maps."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from carpet_data.core.progress import Progress
from carpet_data.metrics import Estimate
from carpet_data.networks import save_model
from carpet_data.reporting import figures
from carpet_data.store import runs
from carpet_data.store.runs import RunInfo
from carpet_data.training.evaluate import Predictions, predict, score
from carpet_data.training.fit import Fit
from carpet_data.training.options import TrainOptions
from carpet_data.training.pictures import write_heatmaps, write_worst
from carpet_data.training.tables import Sides
from carpet_data.training.task_result import ClassifyScores

__all__ = ["write_outputs"]


def write_outputs(
    run: RunInfo,
    fitted: Fit,
    sides: Sides,
    options: TrainOptions,
    *,
    split: str,
    worst: int,
    heatmaps: int,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write all files of a training but run.json, and return the contents of metrics.json.

    The split's name is the partition of the predictions; `worst` and `heatmaps` are numbers of test images.
    """
    folder = run.folder
    model = {
        "kind": "classifier",
        "resize": options.resize,
        "dataset": dict(run.dataset),
        "settings": options.to_json(),
        "best_epoch": fitted.best_epoch,
    }
    save_model(fitted.network, folder / "model", sides.classes, extra=model)
    found, scores = _scored(fitted, sides, options)
    named = {"condition": "train", "partition": split, "seed": options.seed}
    kept = [found[side].rows(sides.classes, side=side, **named) for side in found if side != "train"]  # type: ignore[arg-type]
    runs.write_predictions(folder, (row for rows in kept for row in rows))
    shown = fitted.network, sides.test, found["test"]
    sheet = folder / "plots" / "worst.png"
    write_worst(folder / "worst", *shown, count=worst, device=fitted.device, sheet_path=sheet)
    write_heatmaps(folder / runs.HEATMAPS, *shown, count=heatmaps, device=fitted.device, progress=progress)
    _write_history(run, fitted)
    _draw(folder / "plots", scores["test"])
    metrics = {
        **{side: each.to_json() for side, each in scores.items()},
        "epochs": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        "steps": fitted.steps,
        "training_seconds": fitted.seconds,
    }
    runs.write_json(folder / runs.METRICS, metrics)
    return metrics


def _scored(
    fitted: Fit, sides: Sides, options: TrainOptions
) -> tuple[dict[str, Predictions], dict[str, ClassifyScores]]:
    """Predictions and scores of each side that has images."""
    found: dict[str, Predictions] = {}
    scores: dict[str, ClassifyScores] = {}
    for side, table in (("train", sides.train), ("val", sides.val), ("test", sides.test)):
        if table is not None:
            # Full precision, whatever the training used: what is reported is what a loaded model gives.
            found[side] = predict(fitted.network, table, fitted.device, batch_size=max(options.batch_size, 32))
            scores[side] = score(table, found[side], seed=options.seed)
    return found, scores


def _write_history(run: RunInfo, fitted: Fit) -> None:
    first = [{"stage": 1, **asdict(epoch)} for epoch in fitted.history]
    runs.write_history(run.folder, [*first, *({"stage": 2, **asdict(epoch)} for epoch in fitted.second)])
    figures.save(figures.curves(first), run.folder / "plots" / "curves.png")


def _draw(folder: Path, test: ClassifyScores) -> None:
    figures.save(figures.confusion(test.scores.table, test.scores.classes), folder / "confusion.png")
    recalls = zip(test.scores.classes, test.scores.recalls, test.recall_intervals, strict=True)
    drawn = figures.recalls({"test": {name: Estimate(value, interval) for name, value, interval in recalls}})
    figures.save(drawn, folder / "recall.png")
