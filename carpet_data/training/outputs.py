"""What a training leaves in its run folder: model, figures, predictions, history, plots, worst images, heat maps."""

from __future__ import annotations

from typing import Any

from carpet_data.core.progress import Progress
from carpet_data.metrics import Estimate
from carpet_data.networks import save_model
from carpet_data.reporting import figures
from carpet_data.store import runs
from carpet_data.store.runs import RunInfo
from carpet_data.training.evaluate import predict
from carpet_data.training.fit import Fit
from carpet_data.training.heatmaps import write_heatmaps
from carpet_data.training.options import TrainOptions
from carpet_data.training.scoring import SideScores, rows, score
from carpet_data.training.side_tables import Sides
from carpet_data.training.worst import write_worst

__all__ = ["write_outputs"]


def write_outputs(
    run: RunInfo,
    fitted: Fit,
    sides: Sides,
    settings: TrainOptions,
    *,
    split: str,
    worst: int,
    heatmaps: int,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write all files of a training but run.json.

    Args:
        run: Its folder.
        fitted: The trained network.
        sides: The images.
        settings: Of the training.
        split: The split's name, which is the partition of the predictions.
        worst: How many of the worst test images are drawn.
        heatmaps: How many test images get a heat map.
        progress: Told (done, total) in heat maps.

    Returns:
        What metrics.json holds.
    """
    folder = run.folder
    save_model(
        fitted.network,
        folder / "model",
        sides.classes,
        extra={
            "resize": settings.resize,
            "dataset": dict(run.dataset),
            "settings": settings.to_json(),
            "best_epoch": fitted.best_epoch,
        },
    )
    by_side = {"train": sides.train, "val": sides.val, "test": sides.test}
    scored: dict[str, SideScores] = {}
    kept: list[runs.Prediction] = []
    for side, table in by_side.items():
        if table is None:
            continue
        # Full precision, whatever the training used: what is reported is what a loaded model gives.
        found = predict(fitted.network, table, fitted.device, batch_size=max(settings.batch_size, 32))
        scored[side] = score(table, found, seed=settings.seed)
        if side != "train":
            kept += rows(found, sides.classes, partition=split, seed=settings.seed, side=side)
        if side == "test":
            write_worst(
                folder / "worst",
                fitted.network,
                table,
                found,
                count=worst,
                device=fitted.device,
                sheet_path=folder / "plots" / "worst.png",
            )
            write_heatmaps(
                folder / runs.HEATMAPS,
                fitted.network,
                table,
                found,
                count=heatmaps,
                device=fitted.device,
                progress=progress,
            )
    runs.write_predictions(folder, kept)
    history = [
        *({"stage": 1, **epoch.to_json()} for epoch in fitted.history),
        *({"stage": 2, **epoch.to_json()} for epoch in fitted.second),
    ]
    runs.write_history(folder, history)
    test = scored["test"]
    recalls = zip(test.scores.classes, test.scores.recalls, test.recall_intervals, strict=True)
    drawn = {
        "curves": figures.curves([row for row in history if row["stage"] == 1]),
        "confusion": figures.confusion(test.scores.table, sides.classes),
        "recall": figures.recalls({"test": {name: Estimate(value, interval) for name, value, interval in recalls}}),
    }
    for name, figure in drawn.items():
        figures.save(figure, folder / "plots" / f"{name}.png")
    metrics = {
        **{side: found.to_json() for side, found in scored.items()},
        "epochs": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        "steps": fitted.steps,
        "training_seconds": fitted.seconds,
    }
    runs.write_json(folder / runs.METRICS, metrics)
    return metrics
