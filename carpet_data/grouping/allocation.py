"""Distribute whole groups over bins so that every class comes as near to its targets as its groups allow.

Groups with the same number of images of each class are interchangeable, so the search runs over kinds of groups and
counts; which groups of a kind go where is random. The cost of an allocation is the sum over bins and classes of
the squared distance from the target, relative to the size of the class, so that a rare class weighs as much as
`good`. Greedy in a seeded order, large groups first, then moves and exchanges until none lowers the cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MISSING = 1000.0
_MAX_PASSES = 50
_MAX_KINDS_EXCHANGED = 150
_SMALLEST_GAIN = 1e-9


@dataclass(frozen=True, slots=True)
class Allocation:
    """What to distribute.

    Attributes:
        sizes: int64 GxC: images of each class in each group.
        targets: float64 BxC: images of each class that each bin should get.
        wanted: bool BxC: the bin should get at least one group of the class.
    """

    sizes: NDArray[np.int64]
    targets: NDArray[np.float64]
    wanted: NDArray[np.bool_]


def allocate(problem: Allocation, random: np.random.Generator) -> NDArray[np.int64]:
    """The bin of each group, int64 G. The result depends on the problem and the generator's state alone."""
    count = len(problem.sizes)
    order = _large_first(problem.sizes.sum(axis=1), random)
    kinds, kind_of = np.unique(problem.sizes, axis=0, return_inverse=True)
    search = _Search(kinds, problem, random.permutation(len(problem.targets)))
    bins = np.empty(count, dtype=np.int64)
    for group in order:
        bins[group] = search.place(int(kind_of.reshape(-1)[group]))
    search.improve()
    return _deal(kind_of.reshape(-1), bins, search.counts, order)


def _large_first(totals: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """A seeded order, large groups first by powers of two: strictly by size the seed could change nothing."""
    shuffled = random.permutation(len(totals))
    magnitude = np.floor(np.log2(np.maximum(totals[shuffled], 1)))
    return np.asarray(shuffled[np.argsort(-magnitude, kind="stable")], dtype=np.int64)


class _Search:
    """Counts of each kind in each bin, and the moves that lower the cost."""

    def __init__(self, kinds: NDArray[np.int64], problem: Allocation, bins: NDArray[np.int64]) -> None:
        self._kinds = kinds.astype(np.float64)
        self._present = kinds > 0
        self._targets = problem.targets
        self._wanted = problem.wanted
        self._bins: Sequence[int] = [int(b) for b in bins]
        # Rare classes and common ones weigh the same; a class with nothing to distribute weighs nothing.
        self._weight = 1.0 / np.maximum(problem.targets.sum(axis=0), 1.0)
        self.counts = np.zeros((len(kinds), len(problem.targets)), dtype=np.int64)
        self._held = np.zeros_like(problem.targets)
        self._groups = np.zeros(problem.targets.shape, dtype=np.int64)

    def _cost(self, place: int, held: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
        distance = float((((held - self._targets[place]) ** 2) * self._weight).sum())
        return distance + _MISSING * int((self._wanted[place] & (groups == 0)).sum())

    def _gain(self, place: int, add: int | None, remove: int | None) -> float:
        """How much the bin's cost falls when a group of one kind comes and one of another goes."""
        held, groups = self._held[place], self._groups[place]
        before = self._cost(place, held, groups)
        if add is not None:
            held, groups = held + self._kinds[add], groups + self._present[add]
        if remove is not None:
            held, groups = held - self._kinds[remove], groups - self._present[remove]
        return before - self._cost(place, held, groups)

    def _shift(self, kind: int, place: int, step: int) -> None:
        self.counts[kind, place] += step
        self._held[place] += step * self._kinds[kind]
        self._groups[place] += step * self._present[kind]

    def place(self, kind: int) -> int:
        """Put one group where it helps most; returns the bin."""
        best = max(self._bins, key=lambda place: self._gain(place, kind, None))
        self._shift(kind, best, 1)
        return best

    def improve(self) -> None:
        for _ in range(_MAX_PASSES):
            moved = self._pass_of_moves()
            exchanged = self._pass_of_exchanges() if len(self._kinds) <= _MAX_KINDS_EXCHANGED else False
            if not moved and not exchanged:
                return

    def _pass_of_moves(self) -> bool:
        better = False
        for kind in range(len(self._kinds)):
            for source in self._bins:
                for goal in self._bins:
                    while source != goal and self.counts[kind, source]:
                        gain = self._gain(source, None, kind) + self._gain(goal, kind, None)
                        if gain <= _SMALLEST_GAIN:
                            break
                        self._shift(kind, source, -1)
                        self._shift(kind, goal, 1)
                        better = True
        return better

    def _pass_of_exchanges(self) -> bool:
        better = False
        places = [(a, b) for a in self._bins for b in self._bins if a < b]
        for first in range(len(self._kinds)):
            for second in range(len(self._kinds)):
                for a, b in places:
                    if first == second or not self.counts[first, a] or not self.counts[second, b]:
                        continue
                    if self._gain(a, second, first) + self._gain(b, first, second) > _SMALLEST_GAIN:
                        for kind, source, goal in ((first, a, b), (second, b, a)):
                            self._shift(kind, source, -1)
                            self._shift(kind, goal, 1)
                        better = True
        return better


def _deal(
    kind_of: NDArray[np.int64], bins: NDArray[np.int64], counts: NDArray[np.int64], order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Bins for the groups, with the counts of each kind, changing as few of `bins` as needed."""
    left = counts.copy()
    result = np.full(len(bins), -1, dtype=np.int64)
    for group in order:
        if left[kind_of[group], bins[group]] > 0:
            left[kind_of[group], bins[group]] -= 1
            result[group] = bins[group]
    for group in order:
        if result[group] < 0:
            place = int(np.flatnonzero(left[kind_of[group]])[0])
            left[kind_of[group], place] -= 1
            result[group] = place
    return result
