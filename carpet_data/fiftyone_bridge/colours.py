"""One colour a class, the same in every view and every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from carpet_data.samples import GOOD

__all__ = ["assign", "scheme"]

# Told apart by people with any kind of colour vision, and against grey and brown cloth: Okabe & Ito (2008), "Color
# Universal Design", then Tol (2021), "Colour schemes". Yellow is left out: the App writes names in white on the colour.
PALETTE = (
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
_GOOD = "#009E73"
_DEFECT = "#D55E00"
_LARGEST_INDEX = 254
_OF_FIELD = {
    "split": {"train": "#4477AA", "val": "#998800", "test": "#EE6677"},
    "origin": {"real": "#666666", "synthetic": "#AA3377"},
    "correct": {"true": "#009E73", "false": "#D55E00"},
}


def assign(classes: Sequence[str], before: Mapping[str, str]) -> dict[str, str]:
    """class -> colour.

    Args:
        classes: All classes, in order.
        before: Colours given earlier; they are kept, so that a new class changes no other's colour.
    """
    colours = {name: before[name] for name in classes if name in before}
    for name in classes:
        if name not in colours:
            colours[name] = _GOOD if name == GOOD else _next(list(colours.values()))
    return colours


def _next(taken: Sequence[str]) -> str:
    """The first colour of those that are used least."""
    return min(PALETTE, key=lambda colour: (taken.count(colour), PALETTE.index(colour)))


def scheme(fiftyone: Any, colours: Mapping[str, str], label_fields: Sequence[str], largest_index: int) -> Any:
    """The App's colour scheme.

    Args:
        fiftyone: The module.
        colours: class -> colour.
        label_fields: Fields whose labels are classes.
        largest_index: The largest value of an instance-index mask; 0 where there is none.
    """
    values = [{"value": name, "color": colour} for name, colour in colours.items()]
    fields: list[dict[str, Any]] = [
        {"path": path, "colorByAttribute": "label", "valueColors": values} for path in label_fields
    ]
    for path, of_value in _OF_FIELD.items():
        fields.append({"path": path, "valueColors": [{"value": key, "color": hue} for key, hue in of_value.items()]})
    targets = [
        {"intTarget": value, "color": PALETTE[(value - 1) % len(PALETTE)]}
        for value in range(1, min(largest_index, _LARGEST_INDEX) + 1)
    ]
    return fiftyone.ColorScheme(
        color_by="value",
        fields=fields,
        opacity=0.5,
        default_mask_targets_colors=[*targets, {"intTarget": 255, "color": _DEFECT}],
        default_colorscale={"name": "viridis", "list": None},
    )
