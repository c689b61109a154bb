"""Learning histories as lines: one a condition and side, the mean over its trainings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Line", "averaged"]


@dataclass(frozen=True, slots=True)
class Line:
    """A curve.

    Attributes:
        condition: Its condition; empty for a history of one training.
        side: "train" or "val".
        epochs: Where it was measured, rising.
        values: What was measured there.
    """

    condition: str
    side: str
    epochs: tuple[int, ...]
    values: tuple[float, ...]


def averaged(history: Sequence[Mapping[str, Any]], measure: str) -> list[Line]:
    """The lines of a measure, those without a single finite value left out.

    Args:
        history: One mapping an epoch: `epoch`, `train_{measure}`, `val_{measure}`, and `condition` where there are
            several.
        measure: "loss" or "accuracy".
    """
    found: dict[tuple[str, str], dict[int, list[float]]] = {}
    for row in history:
        for side in ("train", "val"):
            value = row.get(f"{side}_{measure}")
            if isinstance(value, int | float) and math.isfinite(value):
                line = found.setdefault((str(row.get("condition") or ""), side), {})
                line.setdefault(int(row["epoch"]), []).append(float(value))
    return [
        Line(condition, side, tuple(sorted(line)), tuple(sum(line[at]) / len(line[at]) for at in sorted(line)))
        for (condition, side), line in found.items()
    ]
