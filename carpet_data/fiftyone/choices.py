"""Choices that a person made in the FiftyOne App: tags, a saved view, and labels that were edited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from carpet_data.dataset import Dataset, IndexFile, MaskFile, Sample
from carpet_data.errors import CarpetDataError, DataError, ProblemsError, UsageError
from carpet_data.fiftyone.connection import INFO, connect, datasets
from carpet_data.fiftyone.fields import ID
from carpet_data.fiftyone.options import CurateOptions
from carpet_data.store.choices import Choices

__all__ = ["collect"]

_REJECT = "reject"
"""The tag that drops a sample where neither a tag nor a view is named."""
_CLASS = "class.label"
_LABELS = "ground_truth.detections.label"


def collect(dataset: Dataset, options: CurateOptions) -> Choices:
    """The choices that were made in FiftyOne about a prepared data set, with its fingerprint when it was opened there.

    Raises:
        DataError: FiftyOne does not know the data set, it has changed since, or an edit cannot be applied.
        ProblemsError: Several edits cannot be applied.
        UsageError: The saved view is unknown, or nothing has the tag to keep.
        MissingExtraError: FiftyOne is not installed.
        DatabaseError: Its database cannot be reached.
    """
    view, keep = options.view, options.keep
    tag = _REJECT if options.tag is None and view is None else options.tag
    opened = _opened(connect(options.database_uri), dataset)
    about = opened.info.get(INFO) or {}
    fingerprint, split = about.get("fingerprint"), about.get("split")
    missing = split is not None and split not in dataset.splits
    if missing or fingerprint is None or dataset.fingerprint(split) != fingerprint:
        hint = "open it again (carpet-data browse): your tags stay; check them, then curate"
        raise DataError("the data set has changed since it was opened in FiftyOne", where=dataset.root, hint=hint)
    by_id = dataset.by_id()
    # Samples that a person has added in FiftyOne are not ours.
    tagged = [] if tag is None else [each for each in opened.match_tags(tag).values(ID) if each in by_id]
    # A tag was given to each sample by hand, so it is the reason where a view shows the sample as well.
    reasons = dict.fromkeys(tagged, f"tag {tag}")
    for each in [] if view is None else _of_view(opened, view):
        if each in by_id and (options.real or by_id[each].origin == "synthetic"):
            reasons.setdefault(each, f"view {view}")
    kept: list[str] | None = None
    if keep is not None:
        kept = [each for each in opened.match_tags(keep).values(ID) if each in by_id]
        if not kept:
            known = ", ".join(opened.distinct("tags")) or "none"
            raise UsageError(f"no sample has the tag {keep!r}", hint=f"existing tags: {known}")
    return Choices(
        reject=tuple(sorted(reasons)),
        relabel=_relabelled(opened, by_id, set(reasons)),
        keep=None if kept is None else tuple(sorted(kept)),
        fingerprint=fingerprint,
        split=split,
        reasons=reasons,
    )


def _opened(fiftyone: Any, dataset: Dataset) -> Any:
    wanted = str(dataset.root.resolve())
    for opened, about in datasets(fiftyone):
        if about.get("root") == wanted:
            return opened
    raise DataError(
        "this data set was not opened in FiftyOne yet, or has moved since",
        where=dataset.root,
        hint="open it with carpet-data browse and tag what you reject, then curate",
    )


def _of_view(opened: Any, name: str) -> list[str]:
    """The ids of the samples of a saved view, whatever it shows of them: samples, groups or patches."""
    known = opened.list_saved_views()
    if name not in known:
        hint = f"use one of: {', '.join(known)}" if known else "save one in the App"
        raise UsageError(f"unknown saved view {name!r}", hint=hint)
    shown = opened.load_saved_view(name)
    if shown._is_dynamic_groups:
        shown = shown.flatten()
    # A view of patches has samples of its own, which say whose they are.
    own = shown.values("sample_id" if shown._is_patches or shown._is_clips else "id")
    ids = dict(zip(*opened.values(["id", ID]), strict=True))
    return [ids[each] for each in dict.fromkeys(own)]


def _relabelled(opened: Any, by_id: Mapping[str, Sample], rejected: set[str]) -> dict[str, str]:
    """id -> the class of each image whose class, or whose instances' labels, were edited."""
    found: dict[str, str] = {}
    problems: list[CarpetDataError] = []
    schema = opened.get_field_schema()
    ids = opened.values(ID)
    classes = opened.values(_CLASS) if "class" in schema else [None] * len(ids)
    labels = opened.values(_LABELS) if "ground_truth" in schema else [None] * len(ids)
    for sample_id, name, names in zip(ids, classes, labels, strict=True):
        sample = by_id.get(sample_id)
        if sample is None or sample_id in rejected:
            continue
        try:
            edited = _edited(sample, name, names or [])
        except DataError as error:
            problems.append(error)
            continue
        if edited is not None:
            found[sample_id] = edited
    if problems:
        raise ProblemsError.of(problems)
    return found


def _edited(sample: Sample, name: str | None, labels: list[str]) -> str | None:
    """The class that a sample was given in the App; None where it was not edited."""
    of_class = name if name is not None and name != sample.class_name else None
    of_labels = None
    if labels and _changed(sample, labels):
        if len(set(labels)) > 1 or len(sample.defect_classes) > 1:
            raise DataError(
                f"its labels have several classes now ({', '.join(sorted(set(labels)))}), but an image has one class",
                where=sample.image_path,
                hint="give all its labels the same class, or edit the field class instead",
            )
        of_labels = labels[0]
    if of_class is not None and of_labels is not None and of_class != of_labels:
        raise DataError(
            f"its class was changed to {of_class!r}, but its labels to {of_labels!r}",
            where=sample.image_path,
            hint="give both the same class in the App",
        )
    return of_class or of_labels


def _changed(sample: Sample, labels: list[str]) -> bool:
    match sample.annotation:
        case MaskFile():
            return set(labels) != {sample.class_name}
        case IndexFile(table=table):
            # A label that was removed in the App is not a class that was changed.
            return bool(Counter(labels) - Counter(class_name for _, class_name in table))
        case _:
            return False
