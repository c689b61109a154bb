"""Split a data set by whole groups: fractions and folds.

Every function takes `class_of` (sample id -> class) and `group_of` (sample id -> group; ids not in it are alone), and
gives Splits that depend on these and the seed alone, not on any order. Groups stay whole. What could not be met is
listed in `split.made["notices"]`. Protocols with fixed rules (first third, few shots) are in `protocols`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.core import seeds
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Side, Split
from carpet_data.errors import DataError, UsageError
from carpet_data.grouping.allocation import Allocation, allocate

_SIDES_OF: dict[int, tuple[Side, ...]] = {2: ("train", "test"), 3: ("train", "val", "test")}


@dataclass(frozen=True, slots=True)
class Pool:
    """Samples to split, in an order of their own.

    Attributes:
        class_of: sample id -> class, sorted by id.
        groups: The groups' sorted ids, groups in order of their smallest id.
    """

    class_of: Mapping[str, str]
    groups: tuple[tuple[str, ...], ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes present, `good` first, then sorted."""
        return tuple(sorted(set(self.class_of.values()), key=lambda name: (name != GOOD, name)))

    @property
    def defect_classes(self) -> tuple[str, ...]:
        """The classes present but `good`."""
        return tuple(name for name in self.classes if name != GOOD)

    def groups_of(self, class_name: str) -> list[int]:
        """The numbers of the groups with at least one image of a class, in order."""
        return [n for n, ids in enumerate(self.groups) if any(self.class_of[i] == class_name for i in ids)]


def pool_of(class_of: Mapping[str, str], group_of: Mapping[str, str] | None) -> Pool:
    """The pool of samples.

    Raises:
        DataError: There are no samples.
    """
    if not class_of:
        raise DataError("there are no images to split", hint="choose folders or classes that contain images")
    members: dict[tuple[str, str], list[str]] = {}
    for sample_id in sorted(class_of):
        group = None if group_of is None else group_of.get(sample_id)
        # Two name spaces, so that an id that is alone never falls into a group of the same name.
        key = ("alone", sample_id) if group is None else ("group", group)
        members.setdefault(key, []).append(sample_id)
    groups = tuple(sorted(tuple(ids) for ids in members.values()))
    return Pool({sample_id: class_of[sample_id] for sample_id in sorted(class_of)}, groups)


def generator(seed: int, *words: str) -> np.random.Generator:
    """A generator of its own for each seed and purpose."""
    return seeds.generator(seed, "\x1f".join(words))


def limit_per_class(class_of: Mapping[str, str], per_class: int, seed: int = 0) -> tuple[dict[str, str], list[str]]:
    """Sample this many images per class, at least 1; a class with fewer keeps all of them.

    Each class draws from the seed on its own, so that other classes change nothing.

    Returns:
        The chosen part of `class_of`, and notes about classes with fewer images.

    Raises:
        UsageError: `per_class` is below 1.
    """
    if per_class < 1:
        raise UsageError(f"--per-class must be at least 1 (got {per_class})")
    chosen: dict[str, str] = {}
    notes: list[str] = []
    for class_name in sorted(set(class_of.values())):
        ids = sorted(sample_id for sample_id, name in class_of.items() if name == class_name)
        if len(ids) < per_class:
            notes.append(f"{class_name} has {len(ids)} images, fewer than the {per_class} asked for")
        for place in generator(seed, "limit", class_name).permutation(len(ids))[:per_class]:
            chosen[ids[int(place)]] = class_name
    return dict(sorted(chosen.items())), notes


def held_out_targets(count: int, fractions: Sequence[float]) -> tuple[int, ...]:
    """How many of `count` images each side should get: ceil(count × fraction) on every held-out side, train the rest.

    Rounding up favors the held-out sides, which judge every model and are the smaller: 17 images at 0.8 / 0.2 are
    13 and 4. Train keeps at least one image; where there are too few, train comes first, then test, then val.
    """
    wanted = [math.ceil(count * fraction - 1e-9) for fraction in fractions[1:]]
    room = max(count - 1, 0)
    for place in reversed(range(len(wanted))):
        # Each later side leaves one image to each held-out side before it, as long as there are any.
        wanted[place] = min(wanted[place], max(room - sum(1 for w in wanted[:place] if w), min(room, 1)))
        room -= wanted[place]
    return (count - sum(wanted), *wanted)


def by_fractions(
    class_of: Mapping[str, str],
    group_of: Mapping[str, str] | None = None,
    *,
    fractions: Sequence[float] = (0.8, 0.2),
    seed: int = 0,
    name: str = "main",
    sides: Sequence[Side] | None = None,
) -> Split:
    """A stratified split: every class comes as near to the fractions as its groups allow.

    Two fractions stand for (train, test), three for (train, val, test), or for `sides`, train first. They sum to 1, and
    train is above 0.

    Raises:
        UsageError: The fractions or sides are invalid.
        DataError: There are no samples.
    """
    sides = checked_sides(fractions, sides)
    pool = pool_of(class_of, group_of)
    columns = pool.classes
    targets = np.zeros((len(sides), len(columns)))
    wanted = np.zeros(targets.shape, dtype=np.bool_)
    sizes = _sizes(pool)
    for column in range(len(columns)):
        targets[:, column] = held_out_targets(int(sizes[:, column].sum()), fractions)
        wanted[:, column] = _needed(int((sizes[:, column] > 0).sum()), fractions)
    bins = allocate(_with_total(sizes, targets, wanted), generator(seed, "fractions"))
    placed = {sample_id: sides[bins[n]] for n, ids in enumerate(pool.groups) for sample_id in ids}
    made: dict[str, Any] = {
        "protocol": "fractions",
        "seed": seed,
        "fractions": [float(fraction) for fraction in fractions],
        "sides": list(sides),
        "groups": len(pool.groups),
        "notices": _unmet(pool, placed, sides, targets),
    }
    return Split(name, dict(sorted(placed.items())), made)


def by_folds(
    class_of: Mapping[str, str],
    group_of: Mapping[str, str] | None = None,
    *,
    k: int,
    seed: int = 0,
    name: str = "fold",
) -> list[Split]:
    """k splits for cross-validation, name0, name1 …: every group is in test exactly once, stratified by class.

    Raises:
        UsageError: k is below 2 or above the number of groups.
        DataError: There are no samples.
    """
    pool = pool_of(class_of, group_of)
    if not 2 <= k <= len(pool.groups):
        raise UsageError(
            f"{k} folds cannot be made of {len(pool.groups)} groups",
            hint="give at least 2 folds, and at most as many as groups",
        )
    sizes = _sizes(pool)
    targets = np.repeat(sizes.sum(axis=0, keepdims=True) / k, k, axis=0)
    wanted = np.repeat((sizes > 0).sum(axis=0, keepdims=True) >= k, k, axis=0)
    bins = allocate(_with_total(sizes, targets, wanted), generator(seed, "folds"))
    notes = []
    for column, class_name in enumerate(pool.classes):
        groups = int((sizes[:, column] > 0).sum())
        if groups < k:
            notes.append(f"{class_name} has {groups} groups, too few for a test image in each of {k} folds")
    splits = []
    for fold in range(k):
        placed: dict[str, Side] = {
            sample_id: "test" if bins[n] == fold else "train" for n, ids in enumerate(pool.groups) for sample_id in ids
        }
        made = {"protocol": "folds", "seed": seed, "k": k, "fold": fold, "groups": len(pool.groups)}
        splits.append(Split(f"{name}{fold}", dict(sorted(placed.items())), {**made, "notices": list(notes)}))
    return splits


def checked_sides(fractions: Sequence[float], sides: Sequence[Side] | None = None) -> tuple[Side, ...]:
    """The sides that fractions stand for, train first; fractions that make no sense are refused."""
    hint = "give two or three fractions that sum to 1, such as 0.8 0.2"
    if len(fractions) not in _SIDES_OF:
        raise UsageError(f"--fractions needs two or three values (got {len(fractions)})", hint=hint)
    if not all(math.isfinite(f) and f >= 0 for f in fractions) or fractions[0] <= 0:
        raise UsageError(
            f"the fractions {_listed(fractions)} must not be negative, and train must be above 0", hint=hint
        )
    if abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(f"the fractions {_listed(fractions)} sum to {sum(fractions):g}, not to 1", hint=hint)
    chosen = tuple(sides) if sides is not None else _SIDES_OF[len(fractions)]
    if len(chosen) != len(fractions) or len(set(chosen)) != len(chosen) or chosen[0] != "train":
        raise UsageError(
            f"the sides {', '.join(chosen)} do not fit {len(fractions)} fractions", hint="name train first"
        )
    return chosen


def _listed(fractions: Sequence[float]) -> str:
    return " ".join(f"{fraction:g}" for fraction in fractions)


def _needed(groups: int, fractions: Sequence[float]) -> list[bool]:
    """Which sides need a group of a class with this number of groups: train first, then test, then val."""
    ranked = [0, *reversed(range(1, len(fractions)))]
    asked = [place for place in ranked if fractions[place] > 0][:groups]
    return [place in asked for place in range(len(fractions))]


def _sizes(pool: Pool) -> NDArray[np.int64]:
    columns = {class_name: column for column, class_name in enumerate(pool.classes)}
    sizes = np.zeros((len(pool.groups), len(columns)), dtype=np.int64)
    for number, ids in enumerate(pool.groups):
        for sample_id in ids:
            sizes[number, columns[pool.class_of[sample_id]]] += 1
    return sizes


def _with_total(sizes: NDArray[np.int64], targets: NDArray[np.float64], wanted: NDArray[np.bool_]) -> Allocation:
    """The problem with a last column for all images: else the odd image of every class would go to the same bin."""
    return Allocation(
        np.hstack([sizes, sizes.sum(axis=1, keepdims=True)]),
        np.hstack([targets, targets.sum(axis=1, keepdims=True)]),
        np.hstack([wanted, np.zeros((len(wanted), 1), dtype=np.bool_)]),
    )


def _unmet(pool: Pool, placed: Mapping[str, Side], sides: Sequence[Side], targets: NDArray[np.float64]) -> list[str]:
    notes = []
    for column, class_name in enumerate(pool.classes):
        held = [placed[sample_id] for sample_id, name in pool.class_of.items() if name == class_name]
        got = [held.count(side) for side in sides]
        aim = [int(target) for target in targets[:, column]]
        groups = len(pool.groups_of(class_name))
        missing = [side for side, n in zip(sides, got, strict=True) if not n]
        asked = [side for side in missing if targets[sides.index(side)].sum() > 0]
        if asked:
            notes.append(f"{class_name}: no image in {' and '.join(asked)}; it has {counted(groups, 'group')}")
        elif got != aim:
            counts = ", ".join(f"{side} {n} (target {a})" for side, n, a in zip(sides, got, aim, strict=True))
            notes.append(f"{class_name}: {counts}, because groups stay whole")
    return notes
