"""The fields of a sample in FiftyOne: names, types, groups in the App's sidebar, and colors."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from carpet_data.core.colors import CLASSES

__all__ = ["ID", "STATE", "Group", "color_scheme", "declare", "gate_field", "prediction_field", "shown", "sidebar"]

ID = "carpet_id"
"""Our id of the sample, by which curate finds it."""
STATE = "carpet_state"
"""What was last written, a hash of each part (see `content`)."""

Group: TypeAlias = Literal["model", "heatmap", "found", "found mask", "synthesis", "embeddings"]


class _Field(NamedTuple):
    kind: str  # text, texts, whole, number, yes, or a label class of FiftyOne
    group: str
    text: str | None = None


_FIELDS = {
    "ground_truth": _Field("Detections", "labels", "Box and mask of each instance, exact to the pixel"),
    "segmentation": _Field("Segmentation", "labels", "The mask file as it is"),
    "class": _Field("Classification", "image", "Class of the whole image; relabel it here, then carpet-data curate"),
    "split": _Field("text", "image", "Side of the split: train, val or test"),
    "origin": _Field("text", "image", "real or synthetic"),
    "group": _Field("text", "image", "Images of one group share a side of every split"),
    "instances": _Field("whole", "defect"),
    "area": _Field("whole", "defect", "Defect pixels"),
    "area_frac": _Field("number", "defect", "Defect pixels as a fraction of the image"),
    "prediction": _Field("Classification", "model", "Prediction of the last run, its confidence averaged over seeds"),
    "correct": _Field("yes", "model", "Whether the prediction is the class"),
    "loss": _Field("number", "model", "Cross-entropy, averaged over seeds"),
    "heatmap": _Field("Heatmap", "heatmap", "Where the model sees a defect; Grad-CAM for a whole-image classifier"),
    "detections": _Field("Detections", "found", "Box, mask and score of each defect that the model found"),
    "predicted_mask": _Field("Segmentation", "found mask", "Class of each pixel by the model"),
    "anomaly": _Field("number", "found", "How surely the model sees a defect of whatever class, 0 to 1"),
    "method": _Field("text", "synthesis"),
    "recipe": _Field("text", "synthesis", "Hash of the recipe; its text is in the dataset's info"),
    "host": _Field("text", "synthesis", "Id of the image that the defect was put into"),
    "donors": _Field("texts", "synthesis", "Ids of the images that the defect came from"),
    "seed": _Field("whole", "synthesis"),
    "number": _Field("whole", "synthesis", "Its number k among those of its recipe, class and seed"),
    "attempt": _Field("whole", "synthesis", "Number of attempts that the quality checks refused before it"),
    "parameters": _Field("text", "synthesis", "Parameters drawn for this image"),
    "family": _Field("text", "synthesis", "Shared by a host and its synthetic children"),
    "uniqueness": _Field("number", "embeddings"),
    "nearest_real": _Field("text", "embeddings", "Id of the nearest other real image by features; not its host"),
    "nearest_distance": _Field("number", "embeddings", "Cosine distance to it: 0 is the same"),
    ID: _Field("text", "carpet-data", "The id in carpet-data"),
    STATE: _Field("text", "carpet-data", "What was last written here, a hash of each part"),
}

_ALWAYS = ("labels", "image", "defect", "carpet-data")
_TILES = ("ground_truth", "class", "split", "origin")
_SIMPLE = {"text": "StringField", "whole": "IntField", "number": "FloatField", "yes": "BooleanField"}
_GROUPS = ("labels", "image", "defect", "synthesis", "model", "gates", "embeddings", "carpet-data")
_CLOSED = ("gates", "carpet-data")

_DEFECT_COLOR = "#D55E00"
LARGEST_INDEX = 254
"""Largest value of an instance in an index mask that has a color; 255 is a defect in a binary mask."""
_VALUE_COLORS = {
    "split": {"train": "#4477AA", "val": "#998800", "test": "#EE6677"},
    "origin": {"real": "#666666", "synthetic": "#AA3377"},
    "correct": {"true": "#009E73", "false": "#D55E00"},
}


def gate_field(name: str) -> str:
    """The field of a gate's score: gate_near_copy."""
    return f"gate_{_plain(name)}"


def prediction_field(condition: str) -> str:
    """The field of another condition's prediction: prediction_real_only."""
    return f"prediction_{_plain(condition)}"


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]+", "_", name.casefold()).strip("_")


def declare(
    fiftyone: Any, dataset: Any, *, groups: Collection[Group], gates: Iterable[str], conditions: Iterable[str]
) -> None:
    """Add the fields that the dataset does not have yet: of every data set, and of groups that have values.

    `gates` and `conditions` are the fields of gates' scores and of further conditions' predictions.
    """
    wanted = {name: field for name, field in _FIELDS.items() if field.group in (*_ALWAYS, *groups)}
    wanted |= dict.fromkeys(gates, _Field("number", "gates"))
    wanted |= dict.fromkeys(conditions, _Field("Classification", "model"))
    known = dataset.get_field_schema()
    for name, (kind, _, text) in wanted.items():
        if name in known:
            continue
        if kind in _SIMPLE:
            dataset.add_sample_field(name, getattr(fiftyone, _SIMPLE[kind]), description=text)
        elif kind == "texts":
            dataset.add_sample_field(name, fiftyone.ListField, subfield=fiftyone.StringField, description=text)
        else:
            label = getattr(fiftyone, kind)
            dataset.add_sample_field(name, fiftyone.EmbeddedDocumentField, embedded_doc_type=label, description=text)
    if ID not in dataset.list_indexes():
        dataset.create_index(ID, unique=True)


def shown(fiftyone: Any) -> Any:
    """The fields that the tiles of a new dataset show, until a user chooses otherwise."""
    return fiftyone.core.odm.dataset.ActiveFields(exclude=False, paths=list(_TILES))


def sidebar(fiftyone: Any, dataset: Any) -> list[Any]:
    """The App's sidebar: our groups first, then the fields that the user added."""
    names = list(dataset.get_field_schema())
    paths: dict[str, list[str]] = {group: [] for group in _GROUPS}
    for name in (*(name for name in _FIELDS if name in names), *(name for name in names if name not in _FIELDS)):
        group = _group_of(name)
        if group is not None:
            paths[group].append(name)
    document = fiftyone.core.odm.dataset.SidebarGroupDocument
    groups = [document(name="tags", paths=["tags", "_label_tags"], expanded=True)]
    groups += [document(name=name, paths=paths[name], expanded=name not in _CLOSED) for name in _GROUPS if paths[name]]
    details = [f"metadata.{part}" for part in ("size_bytes", "mime_type", "width", "height", "num_channels")]
    groups.append(document(name="metadata", paths=details, expanded=False))
    others = [name for name in names if _group_of(name) is None]
    rest = ["id", "filepath", "created_at", "last_modified_at"]
    own = [name for name in others if name not in (*rest, "tags", "metadata")]
    groups.append(document(name="other", paths=[*own, *(name for name in rest if name in others)], expanded=bool(own)))
    return groups


def _group_of(name: str) -> str | None:
    if name in _FIELDS:
        group = _FIELDS[name].group
        return "model" if group in ("heatmap", "found", "found mask") else group
    prefixes = {"gate_": "gates", "prediction_": "model"}
    return next((group for prefix, group in prefixes.items() if name.startswith(prefix)), None)


def color_scheme(
    fiftyone: Any,
    colors: Mapping[str, str],
    label_fields: Sequence[str],
    largest_index: int,
    classes: Sequence[str] = (),
) -> Any:
    """The App's color scheme: class -> color in all fields of labels, the same in every view and every time.

    `largest_index` is the largest value of an instance-index mask; 0 where there is none. `classes` are those of the
    class maps that a model predicted.
    """
    values = [{"value": name, "color": color} for name, color in colors.items()]
    fields: list[dict[str, Any]] = [
        {"path": path, "colorByAttribute": "label", "valueColors": values} for path in label_fields
    ]
    for path, of_value in _VALUE_COLORS.items():
        fields.append({"path": path, "valueColors": [{"value": key, "color": hue} for key, hue in of_value.items()]})
    if classes:
        of_class = [
            {"intTarget": at, "color": colors.get(name, _DEFECT_COLOR)} for at, name in enumerate(classes) if at
        ]
        fields.append({"path": "predicted_mask", "maskTargetsColors": of_class})
    targets = [
        {"intTarget": value, "color": CLASSES[(value - 1) % len(CLASSES)]}
        for value in range(1, min(largest_index, LARGEST_INDEX) + 1)
    ]
    return fiftyone.ColorScheme(
        color_by="value",
        fields=fields,
        opacity=0.5,
        default_mask_targets_colors=[*targets, {"intTarget": 255, "color": _DEFECT_COLOR}],
        default_colorscale={"name": "viridis", "list": None},
    )
