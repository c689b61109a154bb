"""Which agreements are evidence for one scene, and which are what all images of the set share.

Two bottles agree because they are bottles. So an agreement counts by how far it stands out:

- From SURE on it is a link, if the images agree far less with unrelated images of the set.
- From LIKELY on it is a link otherwise only if it stands out among all that the two images (or the groups they are in)
  agree with, seen from both ends, and if they agree all over the frame. A series of agreements without a step, 0.7,
  0.66, 0.63 …, is a family of like objects, and no link. So weak links cannot chain.
- Images too small for fine detail (less than 128 pixels) are compared at coarse scales in the same way. Like
  objects agree more there (two bottles 0.7, two capsules 0.8), so the step has to be higher.

Standing out is relative: (agreement - other) / (1 - other), the share of what is possible beyond the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from carpet_data.grouping.alignment import Match
from carpet_data.grouping.groups import UnionFind
from carpet_data.grouping.neighbors import FURTHER, PairToCompare

SURE = 0.8
"""Agreement of fine detail from which two images show one scene; unrelated ones stay below 0.72 (docs/grouping.md)."""

LIKELY = 0.5
"""Agreement from which two images may show one scene, if nothing else agrees nearly as much."""

STEP = 0.5
"""How far an agreement has to stand out."""

COMMON = 0.6
"""Where unrelated images agree by more than this, as printed boards do, nothing is sure, and only what stands out by
HIGH_STEP is a link."""

HIGH_STEP = 0.8

WHOLE = 0.8
"""Agreement all over the frame that a likely pair needs."""

_FEWEST_OTHERS = 3
# Where nothing is sure, more than this part of a set (but at least two others) is a kind of objects among other kinds,
# not one thing again and again.
_KIND = 0.05
# Among so few images nothing can show that all of them agree, and what is sure is believed.
_TOO_FEW = 5


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A pair that was compared, and how well it agrees."""

    pair: PairToCompare
    match: Match


@dataclass(frozen=True, slots=True)
class JudgedScale:
    """How to judge likely pairs at one scale.

    Attributes:
        of: The agreement of a pair at this scale.
        least: Agreement from which two images may show one scene.
        step: How far it has to stand out.
        sure: Agreement from which it may stand out together with many others.
    """

    of: Callable[[Compared], float]
    least: float
    step: float
    sure: float


_SCALES = (
    JudgedScale(lambda compared: compared.match.agreement, LIKELY, STEP, SURE),
    JudgedScale(lambda compared: compared.match.coarse, 0.8, HIGH_STEP, math.inf),
)


class LinkEvidence:
    """Collects compared pairs and decides which of them are links.

    Args:
        count: Number of images; pairs name them by row.
        unrelated: row, rows related to it -> this image compared with unrelated ones; empty where there are too few
            to tell.
        whole: How far a pair agrees all over the frame, 0..1.
    """

    def __init__(
        self,
        count: int,
        unrelated: Callable[[int, set[int]], list[Compared]],
        whole: Callable[[Compared], float],
    ) -> None:
        self._few = count <= _TOO_FEW
        self._most_likely = max(2, int(_KIND * count))
        self._joined = UnionFind(range(count))
        self._unrelated, self._whole = unrelated, whole
        self._shared: dict[int, float | None] = {}
        self._related: dict[int, set[int]] = {}
        self._open: list[Compared] = []
        self._links: list[Compared] = []

    def candidates(self, pairs: Iterable[PairToCompare]) -> None:
        """Tell which pairs will be compared: none of them is unrelated."""
        for pair in pairs:
            self._related.setdefault(pair.a, set()).add(pair.b)
            self._related.setdefault(pair.b, set()).add(pair.a)

    def settled(self, pair: PairToCompare) -> bool:
        """Whether the two images are in one group already, so that comparing them could only add reasons."""
        return self._joined.root(pair.a) == self._joined.root(pair.b)

    def add(self, compared: Compared) -> None:
        """Add a compared pair."""
        if compared.match.agreement >= SURE and (self._few or self._own(compared.pair)):
            self._join(compared)
        else:
            self._open.append(compared)

    def links(self) -> list[Compared]:
        """The pairs that are links, after the last was added."""
        likely = [compared for scale in _SCALES for compared in self._likely(scale)]
        for compared in sorted(likely, key=lambda each: (-each.match.agreement, each.pair)):
            if not self.settled(compared.pair):
                self._join(compared)
        return self._links

    def _likely(self, scale: JudgedScale) -> list[Compared]:
        """The pairs that stand out from both ends, and agree all over the frame."""
        best = self._best_of_each(scale)
        chosen = {group: self._chosen(group, others, scale) for group, others in best.items()}
        return [
            compared
            for group, others in best.items()
            for other, compared in others.items()
            if group < other and other in chosen[group] and group in chosen[other] and self._agrees_all_over(compared)
        ]

    def _agrees_all_over(self, compared: Compared) -> bool:
        return compared.match.agreement >= SURE or self._whole(compared) >= WHOLE

    def _join(self, compared: Compared) -> None:
        a, b = self._joined.root(compared.pair.a), self._joined.root(compared.pair.b)
        self._joined.join(a, b)
        for known in (self._shared.pop(a, None), self._shared.pop(b, None)):
            if known is not None:
                self._shared[min(a, b)] = known
        self._links.append(compared)

    def _own(self, pair: PairToCompare) -> bool:
        """Whether what is sure is far above what these images share with unrelated ones; False if nobody can tell."""
        roots = [self._joined.root(row) for row in (pair.a, pair.b)]
        known = [self._shared[root] for root in roots if root in self._shared]
        if not known:
            row = pair.a
            agreements = [other.match.agreement for other in self._unrelated(row, self._related.get(row, set()))]
            # The median, because some of a small set's images may be repeats that were not among the candidates.
            self._shared[roots[0]] = float(np.median(agreements)) if agreements else None
            known = [self._shared[roots[0]]]
        shared = [value for value in known if value is not None]
        # Not the step of this pair: where all agree by 0.87, some pairs of different boards agree by 0.96.
        return bool(shared) and max(shared) <= COMMON

    def _best_of_each(self, scale: JudgedScale) -> dict[int, dict[int, Compared]]:
        """group -> other group -> the best pair between them."""
        best: dict[int, dict[int, Compared]] = {}
        for compared in self._open:
            a, b = self._joined.root(compared.pair.a), self._joined.root(compared.pair.b)
            if a == b:
                continue
            known = best.get(a, {}).get(b)
            if known is None or scale.of(compared) > scale.of(known):
                best.setdefault(a, {})[b] = best.setdefault(b, {})[a] = compared
        return best

    def _chosen(self, group: int, others: Mapping[int, Compared], scale: JudgedScale) -> set[int]:
        """The other groups before the largest step down in agreement, if it is large enough."""
        values = {other: scale.of(compared) for other, compared in others.items()}
        if max(values.values()) < scale.least:
            return set()
        last = _before_step(values.values(), scale)
        if last is None and len(values) < FURTHER:
            # Whoever was not compared is less alike; where comparing ended at the limit, nobody knows.
            unrelated = self._unrelated(group, self._related.get(group, set()))
            last = _before_step([*values.values(), *map(scale.of, unrelated)], scale)
        if last is None:
            return set()
        chosen = {other for other, value in values.items() if value >= last}
        return set() if last < scale.sure and len(chosen) > self._most_likely else chosen


def _before_step(values: Collection[float], scale: JudgedScale) -> float | None:
    """The value before the largest step down; None where none is large enough."""
    ranked = sorted(values, reverse=True)
    steps = [_step(before, after) for before, after in pairwise(ranked) if before >= scale.least]
    if not steps:
        return None
    place = int(np.argmax(steps))
    needed = max(scale.step, HIGH_STEP) if ranked[place + 1] > COMMON else scale.step
    clear = steps[place] >= needed and len(ranked) - place - 1 >= _FEWEST_OTHERS
    return ranked[place] if clear else None


def _step(agreement: float, other: float) -> float:
    """How far an agreement stands out against another one, as a part of what is possible."""
    return (agreement - other) / max(1 - other, 1e-6)
