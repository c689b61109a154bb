"""Which good images an anomaly model learns from. No torch here."""

from __future__ import annotations

from collections.abc import Sequence

from carpet_data.core import seeds
from carpet_data.dataset import GOOD, Sample
from carpet_data.errors import DataError

__all__ = ["chosen_good"]


def chosen_good(samples: Sequence[Sample], count: int | None, *, seed: int) -> tuple[Sample, ...]:
    """The real good images to learn from: all, or `count` at random, of different groups as far as there are.

    Raises:
        DataError: There is none.
    """
    good = sorted((each for each in samples if each.class_name == GOOD and each.origin == "real"), key=lambda s: s.id)
    if not good:
        raise DataError(
            "there are no good training images, and an anomaly model learns from nothing else",
            hint="put good images on the train side, or train on defects: --task dense",
        )
    if count is None or count >= len(good):
        return tuple(good)
    order = seeds.generator(seed, "good images").permutation(len(good))
    seen: dict[str, int] = {}
    ranked: list[tuple[int, int, int]] = []
    for place in order.tolist():
        group = good[place].group or good[place].id
        ranked.append((seen.get(group, 0), len(ranked), place))
        seen[group] = seen.get(group, 0) + 1
    return tuple(good[place] for _, _, place in sorted(ranked)[:count])
