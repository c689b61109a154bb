"""The colours of the house: told apart with any kind of colour vision, and the same for a class wherever it is shown.

Okabe and Ito (2008), "Color Universal Design", then Tol (2021), "Colour schemes".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from carpet_data.dataset import GOOD

__all__ = ["CLASSES", "GOOD_COLOUR", "SERIES", "of_classes"]

SERIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#1a1a1a", "#777777")
"""Lines and points of plots on white: without Okabe and Ito's yellow, which is too pale there."""

GOOD_COLOUR = "#009E73"

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
"""Of defect classes, over pictures and as swatches beside a name; without yellow, on which white letters vanish."""


def of_classes(classes: Sequence[str], before: Mapping[str, str] | None = None) -> dict[str, str]:
    """class -> colour; more classes than colours share them evenly.

    Args:
        classes: All classes, in order.
        before: Colours given earlier; they are kept, so that a new class changes no other's colour.
    """
    kept = {} if before is None else before
    colours = {name: kept[name] for name in classes if name in kept}
    for name in classes:
        if name not in colours:
            colours[name] = GOOD_COLOUR if name == GOOD else _least_used(list(colours.values()))
    return colours


def _least_used(taken: Sequence[str]) -> str:
    return min(CLASSES, key=lambda colour: (taken.count(colour), CLASSES.index(colour)))
