"""One colour a class, the same in every view and every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from carpet_data.core.colors import CLASSES

__all__ = ["scheme"]

_DEFECT = "#D55E00"
_LARGEST_INDEX = 254
_OF_FIELD = {
    "split": {"train": "#4477AA", "val": "#998800", "test": "#EE6677"},
    "origin": {"real": "#666666", "synthetic": "#AA3377"},
    "correct": {"true": "#009E73", "false": "#D55E00"},
}


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
        {"intTarget": value, "color": CLASSES[(value - 1) % len(CLASSES)]}
        for value in range(1, min(largest_index, _LARGEST_INDEX) + 1)
    ]
    return fiftyone.ColorScheme(
        color_by="value",
        fields=fields,
        opacity=0.5,
        default_mask_targets_colors=[*targets, {"intTarget": 255, "color": _DEFECT}],
        default_colorscale={"name": "viridis", "list": None},
    )
