"""How to split and how to group: the options of `prepare` and `split`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from carpet_data.core.options import Options, option
from carpet_data.errors import UsageError
from carpet_data.grouping import frame_runs
from carpet_data.grouping.frame_runs import NameGroups

__all__ = ["GroupOptions", "PoolName", "Protocol", "SplitOptions"]

PoolName: TypeAlias = Literal["all", "train", "val", "test"]
Protocol: TypeAlias = Literal["first-third", "source", "rotations", "leave-one-out"]


_WAYS = ("fractions", "k_fold", "k_shot", "protocol")


@dataclass(frozen=True, slots=True)
class SplitOptions(Options):
    """How to split a data set; at most one of fractions, k_fold, k_shot and protocol.

    The protocols: "first-third" trains on the first third of each defect class, sorted by name (AnomalyDiffusion, Hu et
    al. 2024). "source" takes the sides of the source's own folders. "rotations" are 1-shot splits in turn.
    "leave-one-out" tests one group of each defect class, in turn.

    Examples:
        >>> SplitOptions(fractions=(0.6, 0.2, 0.2), seed=1).but(fractions=None, k_fold=5).many
        True
    """

    fractions: tuple[float, ...] | None = option(
        None, "Fractions for train and test, or for train, val and test.", metavar="F F [F]", unset="0.8 0.2"
    )
    per_class: int | None = option(
        None,
        "Sample N images per class first; the others are left out of the split.",
        metavar="N",
        unset="all images",
        minimum=1,
    )
    k_fold: int | None = option(None, "Number of cross-validation splits, numbered from 0.", metavar="K", minimum=2)
    k_shot: int | None = option(
        None, "Number of groups per defect class in train; the rest is in test.", metavar="K", minimum=1
    )
    protocol: Protocol | None = option(None, "Fixed protocol instead of a random split.")
    repeats: int | None = option(
        None, "Number of random splits, numbered from 0; split r uses the seed S + r.", metavar="N", minimum=1
    )
    pool: PoolName = option("all", "Images to split: all, or those of one folder of the source.")
    seed: int = option(0, "Random seed.", minimum=0)
    allow_starved: bool = option(False, "Accept a split in which groups leave a class with almost no images on a side.")

    def __post_init__(self) -> None:
        """Refuse options that contradict each other."""
        Options.__post_init__(self)
        given = [f"--{name.replace('_', '-')}" for name in _WAYS if getattr(self, name) is not None]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} are different ways to split", hint="give one of them")
        if self.repeats is not None and (self.k_fold is not None or self.protocol is not None):
            raise UsageError(
                "--repeats needs a random split", hint="combine --repeats with --fractions or --k-shot only"
            )
        if self.fractions is not None:
            # numpy is imported there, which the help of a command can do without.
            from carpet_data.grouping.partition import checked_sides

            checked_sides(self.fractions)

    @property
    def by_fractions(self) -> bool:
        """Whether these options split by fractions, the default."""
        return all(getattr(self, name) is None for name in _WAYS if name != "fractions")

    @property
    def many(self) -> bool:
        """Whether these options make numbered splits instead of one."""
        return bool(self.k_fold or self.repeats) or self.protocol in ("rotations", "leave-one-out")


@dataclass(frozen=True, slots=True)
class GroupOptions(Options):
    """Which images belong together; a group is never split across train and test. Exact copies are always grouped.

    Examples:
        >>> GroupOptions(group_runs=r"num_(\\d+)", gap=100).to_json()
        {'group_by': None, 'group_runs': 'num_(\\\\d+)', 'gap': 100, 'near_duplicates': True}
    """

    group_by: str | None = option(
        None, "Regular expression; images whose paths give equal captures are one group.", metavar="REGEX"
    )
    group_runs: str | None = option(
        None, "Regular expression that captures a frame number; each run of numbers is one group.", metavar="REGEX"
    )
    gap: int | None = option(None, "Largest step between frame numbers of one run.", unset="1", minimum=0)
    near_duplicates: bool = option(True, "Find near-duplicate images and group them.")

    def __post_init__(self) -> None:
        """Refuse options that contradict each other."""
        Options.__post_init__(self)
        if self.gap is not None and self.group_runs is None:
            raise UsageError("--gap needs --group-runs", hint="give --group-runs REGEX too")
        # Wrong patterns are refused here, before any work.
        self.by_name(())

    def by_name(self, paths: Sequence[str]) -> list[NameGroups]:
        """The groups that the patterns make of image paths (relative to the root, POSIX), one entry a pattern."""
        found = []
        if self.group_by is not None:
            found.append(frame_runs.by_regex(paths, self.group_by))
        if self.group_runs is not None:
            found.append(frame_runs.by_runs(paths, self.group_runs, 1 if self.gap is None else self.gap))
        return found

    def made(self) -> dict[str, Any]:
        """The options in use as plain values, for the record in the prepared folder."""
        values = self.to_json()
        if self.group_runs is not None:
            values["gap"] = self.gap if self.gap is not None else 1
        return {key: value for key, value in values.items() if value is not None}
