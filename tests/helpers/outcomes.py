"""Outcomes for tests: by hand, and simulated with shots of one unit that are alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from carpet_data.metrics import Outcome

CLASSES = ("good", "hole", "thread")


def by_hand(rows: list[tuple[str, int, str, str, int, int]], name: str = "a", **given: Any) -> Outcome:
    """From rows (partition, seed, sample, unit, truth, predicted)."""
    columns = ("partitions", "seeds", "samples", "units", "truth", "predicted")
    table = {column: [row[place] for row in rows] for place, column in enumerate(columns)}
    return Outcome.of(name, CLASSES, **{**table, **given})


def simulated(
    random: np.random.Generator,
    sizes: tuple[int, ...],
    *,
    partitions: int = 2,
    shots: int = 4,
    spread: float = 1.5,
    lift: float = 0.0,
    grouped: bool = True,
) -> tuple[Outcome, Outcome]:
    """Two conditions on the same images; some units are easier for one than for the other.

    sizes: units of each class. spread: of the log odds over units. lift: what the second has more, in log odds. With
    lift 0 the two are equally good. grouped = False calls every image a unit of its own, as a naive test would.
    """
    units = np.repeat(np.arange(len(sizes)), sizes)
    image = np.repeat(np.arange(len(units)), shots)
    easy = random.normal(0.3, spread, (2, len(units))) + np.array([[0.0], [lift]])
    rows: list[np.ndarray] = []
    predicted: list[np.ndarray] = []
    for partition in range(partitions):
        tested = np.concatenate(
            [random.permutation(np.flatnonzero(units == label))[: max(2, 2 * n // 3)] for label, n in enumerate(sizes)]
        )
        side = np.flatnonzero(np.isin(image, tested))
        truth = units[image[side]]
        right = random.random((2, len(side))) < 1 / (1 + np.exp(-easy[:, image[side]]))
        wrong = (truth + random.integers(1, len(sizes), (2, len(side)))) % len(sizes)
        rows.append(np.stack([np.full(len(side), partition), side, image[side], truth]))
        predicted.append(np.where(right, truth, wrong))
    which, sample, unit, truth = np.concatenate(rows, axis=1)
    labels = np.concatenate(predicted, axis=1)
    common: dict[str, Any] = {
        "partitions": [f"p{number}" for number in which],
        "seeds": np.zeros(len(which), np.int64),
        "samples": [f"s{number:04}" for number in sample],
        "units": [f"u{number:04}" for number in (unit if grouped else sample)],
        "truth": truth,
    }
    classes = [f"c{label}" for label in range(len(sizes))]
    first, second = (
        Outcome.of(name, classes, predicted=row, **common)
        for name, row in zip(("baseline", "candidate"), labels, strict=True)
    )
    return first, second
