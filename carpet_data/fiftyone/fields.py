"""The fields that a sample has in FiftyOne: their names, types and groups in the App's sidebar."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any, Literal, TypeAlias

__all__ = ["ID", "STATE", "Group", "declare", "gate_field", "prediction_field", "shown", "sidebar"]

ID = "carpet_id"
"""Our id of the sample; what curating goes by."""
STATE = "carpet_state"
"""What was last written, a hash for each part (see `content`)."""

# name -> (type, what it is called in the sidebar's groups). Types: text, texts, whole, number, yes, or a label class.
_FIELDS: dict[str, tuple[str, str]] = {
    "ground_truth": ("Detections", "labels"),
    "segmentation": ("Segmentation", "labels"),
    "class": ("Classification", "image"),
    "split": ("text", "image"),
    "origin": ("text", "image"),
    "group": ("text", "image"),
    "instances": ("whole", "defect"),
    "area": ("whole", "defect"),
    "area_frac": ("number", "defect"),
    "prediction": ("Classification", "model"),
    "correct": ("yes", "model"),
    "loss": ("number", "model"),
    "heatmap": ("Heatmap", "heatmap"),
    "method": ("text", "synthesis"),
    "recipe": ("text", "synthesis"),
    "host": ("text", "synthesis"),
    "donors": ("texts", "synthesis"),
    "seed": ("whole", "synthesis"),
    "number": ("whole", "synthesis"),
    "attempt": ("whole", "synthesis"),
    "parameters": ("text", "synthesis"),
    "family": ("text", "synthesis"),
    "uniqueness": ("number", "embeddings"),
    "nearest_real": ("text", "embeddings"),
    "nearest_distance": ("number", "embeddings"),
    ID: ("text", "carpet-data"),
    STATE: ("text", "carpet-data"),
}

Group: TypeAlias = Literal["model", "heatmap", "synthesis", "embeddings"]
_ALWAYS = ("labels", "image", "defect", "carpet-data")
# What the grid shows on its tiles until a user chooses otherwise.
_SHOWN = ("ground_truth", "class", "split", "origin")

_DESCRIPTIONS = {
    "ground_truth": "One detection an instance: box and mask, exact to the pixel",
    "segmentation": "The mask file as it is",
    "heatmap": "Where the network of the last training looked for the class that it predicted (Grad-CAM)",
    "class": "Class of the whole image; relabel it here, then carpet-data curate",
    "split": "Side of the split: train, val or test",
    "origin": "real or synthetic",
    "group": "Images of one group share a side of every split",
    "area": "Defect pixels",
    "area_frac": "Defect pixels as a fraction of the image",
    "prediction": "What the last run predicts; its confidence is the mean over seeds",
    "correct": "Whether the prediction is the class",
    "loss": "Cross-entropy, mean over seeds",
    "recipe": "Hash of the recipe; its text is in the dataset's info",
    "host": "Id of the image that the defect was put into",
    "donors": "Ids of the images that the defect came from",
    "number": "Its number in the lot (k)",
    "attempt": "How many draws the gates refused before it",
    "parameters": "What was drawn for this image",
    "family": "A host and its synthetic children share it",
    "nearest_real": "Id of the nearest other real image, by the network's features; a host does not count",
    "nearest_distance": "Cosine distance to it: 0 is the same",
    ID: "The id in carpet-data",
    STATE: "What was last written here, a hash for each part",
}


def gate_field(name: str) -> str:
    """The field of a gate's score: gate_near_copy."""
    return f"gate_{_plain(name)}"


def prediction_field(condition: str) -> str:
    """The field of another condition's prediction: prediction_real_only."""
    return f"prediction_{_plain(condition)}"


def declare(
    fiftyone: Any,
    dataset: Any,
    *,
    groups: Collection[Group],
    gates: Iterable[str] = (),
    conditions: Iterable[str] = (),
) -> None:
    """Add the fields that the dataset does not have yet.

    Args:
        fiftyone: The module.
        dataset: A FiftyOne dataset.
        groups: Which groups have something to show besides those that every data set has.
        gates: Fields of gates' scores.
        conditions: Fields of further conditions' predictions.
    """
    wanted = {name: kind for name, (kind, group) in _FIELDS.items() if group in _ALWAYS or group in groups}
    wanted |= dict.fromkeys(gates, "number") | dict.fromkeys(conditions, "Classification")
    schema = dataset.get_field_schema()
    simple = {
        "text": fiftyone.StringField,
        "whole": fiftyone.IntField,
        "number": fiftyone.FloatField,
        "yes": fiftyone.BooleanField,
    }
    for name, kind in wanted.items():
        if name in schema:
            continue
        about = {"description": _DESCRIPTIONS.get(name)}
        if kind in simple:
            dataset.add_sample_field(name, simple[kind], **about)
        elif kind == "texts":
            dataset.add_sample_field(name, fiftyone.ListField, subfield=fiftyone.StringField, **about)
        else:
            label = getattr(fiftyone, kind)
            dataset.add_sample_field(name, fiftyone.EmbeddedDocumentField, embedded_doc_type=label, **about)
    if ID not in dataset.list_indexes():
        dataset.create_index(ID, unique=True)


def shown(fiftyone: Any) -> Any:
    """The fields that are ticked in the sidebar of a new dataset."""
    return fiftyone.core.odm.dataset.ActiveFields(exclude=False, paths=list(_SHOWN))


def sidebar(fiftyone: Any, dataset: Any) -> list[Any]:
    """The App's sidebar: our groups first, then the fields that the user added."""
    order = ["labels", "image", "defect", "synthesis", "model", "gates", "embeddings", "carpet-data"]
    paths: dict[str, list[str]] = {name: [] for name in order}
    others: list[str] = []
    for name in dataset.get_field_schema():
        if name in _FIELDS:
            group = _FIELDS[name][1]
            paths["model" if group == "heatmap" else group].append(name)
        elif name.startswith("gate_"):
            paths["gates"].append(name)
        elif name.startswith("prediction_"):
            paths["model"].append(name)
        else:
            others.append(name)
    for name, found in paths.items():
        found.sort(key=lambda path, group=name: _rank(path, group))  # type: ignore[misc]
    document = fiftyone.core.odm.dataset.SidebarGroupDocument
    closed = {"gates", "carpet-data"}
    groups = [document(name="tags", paths=["tags", "_label_tags"], expanded=True)]
    groups += [document(name=name, paths=paths[name], expanded=name not in closed) for name in order if paths[name]]
    details = [f"metadata.{part}" for part in ("size_bytes", "mime_type", "width", "height", "num_channels")]
    rest = ["id", "filepath", "created_at", "last_modified_at"]
    groups.append(document(name="metadata", paths=details, expanded=False))
    own = [name for name in others if name not in (*rest, "tags", "metadata")]
    groups.append(document(name="other", paths=[*own, *(name for name in rest if name in others)], expanded=bool(own)))
    return groups


def _rank(path: str, group: str) -> int:
    known = [name for name, (_, its_group) in _FIELDS.items() if its_group == group]
    return known.index(path) if path in known else len(known)


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]+", "_", name.casefold()).strip("_")
