"""From choices to changes: which samples are dropped and which become what, and whether that can be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Dataset, Sample
from carpet_data.errors import CarpetDataError, DataError, ProblemsError, UsageError
from carpet_data.store import description
from carpet_data.store.choices import Choices
from carpet_data.store.curation import Change, relabelled
from carpet_data.store.manifest import Tombstone

_CHOICES_MEND = "open it again (carpet-data browse), look at your choices and curate then"


def changes_of(dataset: Dataset, choices: Choices, *, real: bool) -> tuple[Change, ...]:
    """What choices change in a prepared data set, sorted by id.

    Args:
        dataset: As it is now.
        choices: As they were made.
        real: What is not kept goes even where it is real.

    Raises:
        DataError: The data set has changed since the choices were made, or one cannot be followed.
        ProblemsError: Several cannot be followed.
        UsageError: Nothing is to be kept.
    """
    _check_unchanged(dataset, choices)
    drops = {sample_id: choices.reasons.get(sample_id, "rejected") for sample_id in choices.reject}
    if choices.keep is not None:
        _check_keep(dataset, choices)
        kept = frozenset(choices.keep)
        train = dataset if choices.split is None else dataset.on_side("train", choices.split)
        for sample in train:
            if sample.id not in kept and (real or sample.origin == "synthetic"):
                drops.setdefault(sample.id, "not kept")
    by_id = dataset.by_id()
    problems = list(_problems(dataset, by_id, choices, drops))
    if problems:
        raise ProblemsError.of(problems)
    changes = [Change(by_id[sample_id], Tombstone(by_id[sample_id], why)) for sample_id, why in drops.items()]
    changes += [
        Change(by_id[sample_id], relabelled(by_id[sample_id], class_name))
        for sample_id, class_name in choices.relabel.items()
        if sample_id not in drops and by_id[sample_id].class_name != class_name
    ]
    return tuple(sorted(changes, key=lambda change: change.before.id))


def _check_unchanged(dataset: Dataset, choices: Choices) -> None:
    missing = choices.split is not None and choices.split not in dataset.splits
    if choices.fingerprint is not None and (missing or dataset.fingerprint(choices.split) != choices.fingerprint):
        raise DataError("the data set has changed since the choices were made", where=dataset.root, hint=_CHOICES_MEND)
    if missing:
        raise DataError(f"there is no split {choices.split!r}", where=dataset.root, hint="name one of its splits")


def _check_keep(dataset: Dataset, choices: Choices) -> None:
    if not choices.keep:
        raise UsageError(
            "no sample is to be kept, so all synthetic ones would go",
            where=dataset.root,
            hint="tag what you want to keep, or drop them: carpet-data drop --where origin=synthetic",
        )
    both = sorted(set(choices.keep) & set(choices.reject))
    if both:
        raise DataError(
            f"{counted(len(both), 'sample')} both to be kept and rejected, such as {both[0]}",
            where=dataset.root,
            hint="take one of the two tags away",
        )


def _problems(
    dataset: Dataset, by_id: Mapping[str, Sample], choices: Choices, drops: Mapping[str, str]
) -> Sequence[CarpetDataError]:
    """The choices that cannot be followed."""
    problems: list[CarpetDataError] = []
    named = {*choices.reject, *choices.relabel, *(choices.keep or ())}
    for sample_id in sorted(named - set(by_id)):
        what = f"{sample_id!r} is no sample of this data set"
        problems.append(DataError(what, where=dataset.root, hint="use ids of its manifest that are not dropped"))
    classes = (*description.read(dataset.root).classes, GOOD)
    allowed = tuple(dict.fromkeys(sorted(classes, key=lambda name: (name != GOOD, name))))
    for sample_id, class_name in sorted(choices.relabel.items()):
        sample = by_id.get(sample_id)
        if sample is None or sample_id in drops or sample.class_name == class_name:
            continue
        shown = relabelled(sample, class_name).defect_classes if class_name in allowed else (class_name,)
        if class_name not in allowed or not set(shown) <= set(dataset.categories):
            problems.append(
                DataError(
                    f"{sample_id} cannot become {class_name!r}: that is no class of this data set",
                    where=dataset.root,
                    hint=f"use one of {', '.join(allowed)}; for a new class, sort the source anew and prepare it again",
                )
            )
    return problems
