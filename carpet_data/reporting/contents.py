"""What a data set holds, for its page: classes, the long tail, contact sheets, recipes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from carpet_data.core.colors import of_classes
from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import Dataset, Sample
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.formats.export import ALL, parts
from carpet_data.reporting.dataset_page import ClassRow, RecipeRow, Sheet, Tail
from carpet_data.reporting.thumbnails import MOST_BYTES, sheet
from carpet_data.statistics.summary import imbalance
from carpet_data.store import recipes

__all__ = ["classes", "made_by", "sheets", "tail"]

_SHOWN = 6
_MOST_THUMBNAILS = 180


def classes(dataset: Dataset, split: str | None) -> tuple[ClassRow, ...]:
    """Every image class with its images on each side; samples outside the split are not counted."""
    colors = of_classes(dataset.classes)
    sides = parts(dataset, split)
    real = {side: Counter(s.class_name for s in samples if s.origin == "real") for side, samples in sides.items()}
    made = Counter(s.class_name for samples in sides.values() for s in samples if s.origin == "synthetic")
    return tuple(
        ClassRow(name, colors[name], {side: counts[name] for side, counts in real.items()}, made[name])
        for name in dataset.classes
    )


def tail(rows: Sequence[ClassRow], split: str | None) -> Tail:
    """The long tail before and after synthesis, on the train side where it holds more than one class.

    A raw folder in MVTec's layout has only good images there: then all images are counted.
    """
    trained = sum(row.sides.get("train", 0) > 0 for row in rows)
    side = "train" if split is not None and trained > 1 else ALL
    found = sorted(
        ((row.name, row.sides.get("train", 0) if side == "train" else row.real, row.synthetic) for row in rows),
        key=lambda row: (-row[1], row[0]),
    )
    return Tail(
        side=side,
        rows=tuple(found),
        most=max((real + synthetic for _, real, synthetic in found), default=0),
        before=imbalance(real for _, real, _ in found if real),
        after=imbalance(real + synthetic for _, real, synthetic in found if real + synthetic),
    )


def sheets(dataset: Dataset, progress: Progress | None = None) -> tuple[tuple[Sheet, ...], list[CarpetDataError]]:
    """A contact sheet of each class, all within MOST_BYTES, and the problems of samples that cannot be shown."""
    colors = of_classes(dataset.classes)
    of_class: dict[str, dict[str, list[Sample]]] = {name: {"real": [], "synthetic": []} for name in dataset.classes}
    for sample in dataset:
        of_class[sample.class_name][sample.origin].append(sample)
    groups = sum(bool(samples) for origins in of_class.values() for samples in origins.values())
    count = max(1, min(_SHOWN, _MOST_THUMBNAILS // max(1, groups)))
    # An equal share for each class, so that the last one gets some too.
    room = MOST_BYTES // max(1, groups)
    found: list[Sheet] = []
    problems: list[CarpetDataError] = []
    for done, (name, origins) in enumerate(of_class.items(), start=1):
        real, real_problems = sheet(dataset.root, origins["real"], count, room)
        made, made_problems = sheet(dataset.root, origins["synthetic"], count, room)
        problems += [*real_problems, *made_problems]
        found.append(Sheet(name, colors[name], real, made, len(origins["real"]), len(origins["synthetic"])))
        if progress is not None:
            progress(Step(done, len(of_class), "reading samples"))
    return tuple(found), problems


def made_by(dataset: Dataset) -> tuple[RecipeRow, ...]:
    """The recipes of the synthetic samples, by method and hash."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for sample in dataset:
        if sample.origin == "synthetic":
            provenance: Mapping[str, object] = sample.provenance or {}
            key = (str(provenance.get("method", "unknown")), str(provenance.get("recipe", "")))
            counts.setdefault(key, Counter())[sample.class_name] += 1
    rows = []
    for (method, code), made in sorted(counts.items()):
        document = _document(dataset.root, code)
        version = "" if document is None else str(document.get("version", ""))
        text = "" if document is None else json.dumps(document, ensure_ascii=False, indent=2)
        rows.append(RecipeRow(code, f"{method} {version}".strip(), dict(sorted(made.items())), text))
    return tuple(rows)


def _document(root: Path, code: str) -> dict[str, Any] | None:
    try:
        return recipes.load(root, code)
    except (DataError, ValueError):
        # The page says that the file is missing; `doctor` names it and how to fix it.
        return None
