"""Saved views: the questions that people come with, one click each. Only those are kept whose data exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["save"]

_SHOWN = 200
_NEAR_DUPLICATE = 0.01
"""Cosine distance of features below which two pictures look the same, except for noise."""


def save(fiftyone: Any, dataset: Any, classes: Sequence[str], before: Sequence[str]) -> tuple[str, ...]:
    """Save the views and remove those of ours whose data are gone; views that the user saved are left alone.

    `before` are the names of our views the last time; returned are those of now, in order.
    """
    found = _views(fiftyone, dataset, classes)
    there = set(dataset.list_saved_views())
    names = [name for name in found if name in before or name not in there]  # else it is the user's own of that name
    for name in names:
        description, view = found[name]
        dataset.save_view(name, view, description=description, overwrite=True)
    for name in before:
        if name not in found and name in there:
            dataset.delete_saved_view(name)
    return tuple(names)


def _views(fiftyone: Any, dataset: Any, classes: Sequence[str]) -> Mapping[str, tuple[str, Any]]:
    """name -> (description, view)."""
    field = fiftyone.ViewField
    synthetic, real = field("origin") == "synthetic", field("origin") == "real"
    schema = dataset.get_field_schema()
    found: dict[str, tuple[str, Any]] = {}
    made = dataset.match(synthetic)
    of_class = made.count_values("class.label")
    for name in classes:
        if of_class.get(name):
            view = made.match(field("class.label") == name)
            found[f"synthetic {name}"] = (f"Synthetic images of the class {name}", view)
    if "family" in schema and of_class:
        hosts = [host for host in made.distinct("host") if host]
        text = "Each host, followed by its synthetic children"
        family = dataset.match(synthetic | field("family").is_in(hosts))
        found["real beside its synthetic children"] = (text, family.sort_by([("family", 1), ("origin", 1)]))
    text = f"The {_SHOWN} images with the smallest defects, the smallest first"
    found["smallest defects"] = (text, dataset.match(field("area") > 0).sort_by("area_frac").limit(_SHOWN))
    if "correct" in schema:
        wrong = dataset.match((field("split") == "test") & (field("correct") == False))  # noqa: E712  (an expression)
        text = "Test images with a wrong prediction of the last run, the most confident mistake first"
        found["test mistakes"] = (text, wrong.sort_by("loss", reverse=True))
    if "nearest_distance" in schema:
        near = dataset.exists("nearest_distance").sort_by("nearest_distance")
        text = "Synthetic images nearest to a real one that is not their host, the nearest first"
        found["looks memorized"] = (text, near.match(synthetic).limit(_SHOWN))
        twins = near.match(real & (field("nearest_distance") < _NEAR_DUPLICATE))
        found["near duplicates"] = ("Real images that look like another real one, the nearest first", twins)
    if "uniqueness" in schema:
        alone = dataset.exists("uniqueness").sort_by("uniqueness", reverse=True).limit(_SHOWN)
        found["most unusual"] = (f"The {_SHOWN} images least like the others", alone)
    return {name: (text, view) for name, (text, view) in found.items() if view.limit(1).values("id")}
