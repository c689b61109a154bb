"""Colors that are distinguishable with any kind of color vision, the same for a class wherever it is shown.

Okabe and Ito (2008), "Color Universal Design", then Tol (2021), "Colour schemes".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from carpet_data.dataset import GOOD

__all__ = ["CLASSES", "GOOD_COLOR", "SERIES", "of_classes"]

SERIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#1a1a1a", "#777777")
"""Lines and points of plots on white: without Okabe and Ito's yellow, which is too pale there."""

GOOD_COLOR = "#009E73"

CLASSES = (
    "#E69F00",
    "#56B4E9",
    "#D55E00",
    "#999933",
    "#CC79A7",
    "#0072B2",
    "#EE6677",
    "#AA3377",
    "#44AA99",
    "#117733",
    "#4477AA",
    "#882255",
)
"""Of defect classes, over pictures and as swatches beside a name; without yellow, on which white text vanishes."""


def of_classes(classes: Sequence[str], before: Mapping[str, str] | None = None) -> dict[str, str]:
    """class -> color; more classes than colors share them evenly.

    Colors given earlier (`before`) are kept, so that a new class changes no other's color.
    """
    kept = {} if before is None else before
    colors = {name: kept[name] for name in classes if name in kept}
    for name in classes:
        if name not in colors:
            colors[name] = GOOD_COLOR if name == GOOD else _least_used(list(colors.values()))
    return colors


def _least_used(taken: Sequence[str]) -> str:
    return min(CLASSES, key=lambda color: (taken.count(color), CLASSES.index(color)))
