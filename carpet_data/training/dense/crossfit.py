"""Cross-fitting: each training image judged by a head that was trained without its group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.seeds import generator
from carpet_data.dataset import Sample
from carpet_data.store.leaks import ancestors

__all__ = ["Fold", "HeldOut", "folds_of"]

F16 = NDArray[np.float16]


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One fold.

    Attributes:
        train: bool (n,), the samples that a head is trained on.
        held_out: Numbers of the real samples that it judges.
    """

    train: NDArray[np.bool_]
    held_out: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """The map of one image by a head that has not seen its group.

    Attributes:
        row: The number of the sample.
        label: Of its class.
        logits: float16 (k, rows, columns), as the head gives them.
        cover: float16 (k - 1, rows, columns), see `class_cover`; None for a defect image without a mask.
        typed: Whether the head has seen other images of its class.
    """

    row: int
    label: int
    logits: F16
    cover: F16 | None
    typed: bool


def folds_of(samples: Sequence[Sample], count: int, *, seed: int) -> tuple[Fold, ...]:
    """Divide the real samples into folds by their groups, each class as evenly as it can be.

    A synthetic sample is left out where a sample that it was made from is held out, or one of its group. None are
    returned where there is one group only.
    """
    place = _places(samples, count, seed)
    used = sorted(set(place.values()))
    if len(used) < 2:
        return ()
    by_id = {sample.id: sample for sample in samples}
    folds = []
    for fold in used:
        gone = {group for group, number in place.items() if number == fold}
        train = np.array([not (_groups(sample, by_id) & gone) for sample in samples], np.bool_)
        held = tuple(row for row, sample in enumerate(samples) if sample.origin == "real" and _group(sample) in gone)
        folds.append(Fold(train, held))
    return tuple(folds)


def _places(samples: Sequence[Sample], count: int, seed: int) -> dict[str, int]:
    """group -> its fold: the groups of each class dealt out in turn, where the class before ended."""
    groups: dict[str, dict[str, None]] = {}
    for sample in samples:
        if sample.origin == "real":
            groups.setdefault(sample.class_name, {})[_group(sample)] = None
    place: dict[str, int] = {}
    turn = 0
    # Rare classes first: a group of several classes is dealt with its rarest.
    for name in sorted(groups, key=lambda each: (len(groups[each]), each)):
        own = sorted(set(groups[name]) - set(place))
        for number in generator(seed, "folds", name).permutation(len(own)):
            place[own[number]] = turn % count
            turn += 1
    return place


def _group(sample: Sample) -> str:
    return sample.group if sample.group is not None else sample.id


def _groups(sample: Sample, by_id: Mapping[str, Sample]) -> set[str]:
    """The groups that a sample shows: its own, and those of what it was made from."""
    if sample.origin == "real":
        return {_group(sample)}
    made_from = [by_id[name] for _, name in ancestors(sample.provenance or {}) if name in by_id]
    return {_group(each) for each in made_from}
