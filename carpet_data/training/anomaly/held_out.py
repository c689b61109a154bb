"""Scores of held-out images, and the scales that they set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carpet_data.training.anomaly.cells import Scored
from carpet_data.training.anomaly.options import AnomalyOptions
from carpet_data.training.anomaly.threshold import Scale, best_separation, threshold_of

__all__ = ["HeldOutScores", "collected", "scales_of"]


@dataclass(frozen=True, slots=True)
class HeldOutScores:
    """What held-out images score, in units of the model.

    Attributes:
        images: Of good images.
        cells: The largest cell of each of them.
        defects: Of images with synthetic defects; empty where none were asked for.
        defect_cells: The largest cell of each of them.
        notes: How they were held out, where it was not the usual way.
    """

    images: tuple[float, ...]
    cells: tuple[float, ...]
    defects: tuple[float, ...] = ()
    defect_cells: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()


def collected(good: Sequence[Scored], defects: Sequence[Scored], notes: tuple[str, ...]) -> HeldOutScores:
    """What images scored, good ones and those with synthetic defects."""
    (images, cells), (bad, bad_cells) = (
        (tuple(score for _, score in scored), tuple(float(grid.max()) for grid, _ in scored))
        for scored in (good, defects)
    )
    return HeldOutScores(images, cells, bad, bad_cells, notes)


def scales_of(held_out: HeldOutScores, options: AnomalyOptions) -> tuple[Scale, Scale, tuple[str, ...]]:
    """The scales of image and of cell scores, and notes on how far they can be trusted."""
    notes = list(held_out.notes)
    if held_out.defects:
        thresholds = [
            best_separation(good, defects)
            for good, defects in ((held_out.images, held_out.defects), (held_out.cells, held_out.defect_cells))
        ]
        alarms = np.mean(np.asarray(held_out.images) >= thresholds[0])
        notes.append(
            f"the threshold separates {len(held_out.images)} held-out good images best from"
            f" {len(held_out.defects)} synthetic defects; it rejects {alarms:.1%} of the good ones"
        )
    else:
        found = [threshold_of(scores, options.false_alarms) for scores in (held_out.images, held_out.cells)]
        thresholds = [value for value, _ in found]
        if found[0][1]:
            notes.append(
                f"{len(held_out.images)} held-out scores are too few to tell a threshold for"
                f" {options.false_alarms:.2%} false alarms: it is extrapolated"
            )
    good = held_out.images, held_out.cells
    image, pixel = (Scale.of(threshold, scores) for threshold, scores in zip(thresholds, good, strict=True))
    return image, pixel, tuple(notes)
