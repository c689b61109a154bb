"""What `prepare` and `split` share: a request for partitions, checked early, and the partitions made of samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from carpet_data.dataset import Sample, Side, Split
from carpet_data.errors import DataError, UsageError
from carpet_data.grouping import partition, protocols

PoolName: TypeAlias = Literal["all", "train", "val", "test"]
Protocol: TypeAlias = Literal["first-third", "source", "rotations", "leave-one-out"]

DEFAULT_FRACTIONS = (0.8, 0.2)
_STRICTER: tuple[Side, ...] = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class SplitRequest:
    """How a data set is to be split; at most one of fractions, k_fold, k_shot and protocol.

    Attributes:
        fractions: Two (train, test) or three (train, val, test) that sum to 1. The default is 0.8 and 0.2.
        k_fold: So many splits, each group on the test side of exactly one.
        k_shot: So many groups of each defect class teach.
        protocol: "first-third": of each defect class, sorted by name, the first third teaches (AnomalyDiffusion, Hu
            et al. 2024). "source": as the source's own folders say. "rotations": 1-shot splits in turn.
            "leave-one-out": one group of each defect class tests, in turn.
        per_class: Choose so many images of every class by chance first.
        repeats: So many random partitions; the r-th is the one that the seed `seed + r` gives.
        pool: Which images take part, by the side that the source folder has them on.
        seed: What chance starts from.
    """

    fractions: tuple[float, ...] | None = None
    k_fold: int | None = None
    k_shot: int | None = None
    protocol: Protocol | None = None
    per_class: int | None = None
    repeats: int | None = None
    pool: PoolName = "all"
    seed: int = 0

    def check(self) -> None:
        """Refuse a request that makes no sense, before any work.

        Raises:
            UsageError: It contradicts itself or holds impossible values.
        """
        methods = {
            "--fractions": self.fractions,
            "--k-fold": self.k_fold,
            "--k-shot": self.k_shot,
            "--protocol": self.protocol,
        }
        given = [name for name, value in methods.items() if value is not None]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} are different ways to split", hint="give one of them")
        for name, value, least in (
            ("--k-fold", self.k_fold, 2),
            ("--k-shot", self.k_shot, 1),
            ("--per-class", self.per_class, 1),
            ("--repeats", self.repeats, 1),
            ("--seed", self.seed, 0),
        ):
            if value is not None and value < least:
                raise UsageError(f"{name} {value} is too small", hint=f"give {least} or more")
        if self.protocol is not None and self.protocol not in get_args(Protocol):
            raise UsageError(
                f"no protocol is called {self.protocol!r}", hint=f"use one of: {', '.join(get_args(Protocol))}"
            )
        if self.pool not in get_args(PoolName):
            raise UsageError(f"no pool is called {self.pool!r}", hint=f"use one of: {', '.join(get_args(PoolName))}")
        if self.repeats is not None and (self.k_fold is not None or self.protocol is not None):
            raise UsageError(
                "repeats are partitions drawn by chance", hint="give --repeats with --fractions or --k-shot only"
            )
        if self.fractions is not None:
            # The rules for fractions are the partition's own; one image is enough to ask it.
            partition.by_fractions({"": ""}, fractions=self.fractions)

    @property
    def many(self) -> bool:
        """Whether the request makes numbered splits rather than one."""
        return bool(self.k_fold or self.repeats) or self.protocol in ("rotations", "leave-one-out")


def make(samples: Iterable[Sample], groups: Mapping[str, str], request: SplitRequest, name: str) -> list[Split]:
    """The partitions that a request asks for.

    Args:
        samples: All samples. Synthetic ones take no part, because what they were made from may be on any side; only the
            source's own train side, which it kept apart, may hold them.
        groups: sample id -> group.
        request: Checked.
        name: Of the one split; numbered ones are called name0, name1 …

    Raises:
        DataError: No sample takes part, or the source does not say its sides.
        UsageError: The request does not fit the data, such as more folds than groups.
    """
    chosen = [
        sample
        for sample in samples
        if (request.pool == "all" or sample.side == request.pool)
        and (sample.origin == "real" or (request.protocol == "source" and sample.side == "train"))
    ]
    if not chosen:
        raise DataError(f"no image is in the pool {request.pool!r}", hint="choose another --pool")
    if request.repeats is None:
        splits = _once(chosen, groups, request, name, request.seed)
    else:
        splits = [
            split
            for number in range(request.repeats)
            for split in _once(chosen, groups, request, f"{name}{number}", request.seed + number)
        ]
    return splits


def _once(samples: list[Sample], groups: Mapping[str, str], request: SplitRequest, name: str, seed: int) -> list[Split]:
    class_of = {sample.id: sample.class_name for sample in samples}
    side_of = {sample.id: sample.side for sample in samples}
    notes: list[str] = []
    if request.per_class is not None:
        class_of, notes = partition.limit_per_class(class_of, request.per_class, seed)
    if request.k_fold is not None:
        splits = partition.by_folds(class_of, groups, k=request.k_fold, seed=seed, name=name)
    elif request.k_shot is not None:
        splits = [protocols.k_shot(class_of, groups, k=request.k_shot, seed=seed, side_of=side_of, name=name)]
    elif request.protocol == "first-third":
        file_names = {sample.id: sample.source or sample.image_path for sample in samples}
        splits = [protocols.first_third(class_of, groups, side_of=side_of, name_of=file_names, name=name)]
    elif request.protocol == "rotations":
        splits = protocols.rotations(class_of, groups, side_of=side_of, name=name)
    elif request.protocol == "leave-one-out":
        splits = protocols.leave_one_out(class_of, groups, side_of=side_of, name=name)
    elif request.protocol == "source":
        splits = [_as_source(class_of, groups, side_of, name)]
    else:
        fractions = request.fractions or DEFAULT_FRACTIONS
        splits = [partition.by_fractions(class_of, groups, fractions=fractions, seed=seed, name=name)]
    return [_noted(split, request, notes) for split in splits]


def _as_source(
    class_of: Mapping[str, str], groups: Mapping[str, str], side_of: Mapping[str, Side | None], name: str
) -> Split:
    """The sides of the source's own folders; where a group is on two, only its held-out images stay."""
    sides = {sample_id: side for sample_id in sorted(class_of) if (side := side_of.get(sample_id)) is not None}
    if not sides:
        raise DataError(
            "the source does not say which images are train and which are test", hint="split by --fractions instead"
        )
    strictest: dict[str, int] = {}
    for sample_id, side in sides.items():
        group = groups.get(sample_id, sample_id)
        strictest[group] = max(strictest.get(group, 0), _STRICTER.index(side))
    left_out = [
        sample_id
        for sample_id, side in sides.items()
        if _STRICTER.index(side) < strictest[groups.get(sample_id, sample_id)]
    ]
    for sample_id in left_out:
        del sides[sample_id]
    notes = []
    if left_out:
        notes.append(f"{len(left_out)} images are left out: others of their groups are held out")
    made = {"protocol": "source", "left_out": left_out, "notices": notes}
    return Split(name, sides, made)


def _noted(split: Split, request: SplitRequest, notes: list[str]) -> Split:
    made = dict(split.made)
    told = [*notes, *made.pop("notices", [])]
    made["pool"] = request.pool
    if request.per_class is not None:
        made["per_class"] = request.per_class
    return Split(split.name, split.sides, {**made, "notices": told})


def counts_by_class(split: Split, class_of: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """class -> side -> images, classes and sides sorted as they are shown; 0 where a side has none."""
    sides = list(split.counts())
    table: dict[str, dict[str, int]] = {}
    for class_name in sorted(set(class_of.values()), key=lambda name: (name != "good", name)):
        table[class_name] = dict.fromkeys(map(str, sides), 0)
    for sample_id, side in split.sides.items():
        table[class_of[sample_id]][side] += 1
    return table


def table_text(table: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The counts of one split as aligned lines, with their sums."""
    sides = list(next(iter(table.values()))) if table else []
    width = max((len(name) for name in (*table, "all")), default=0)
    lines = ["  ".join(["".ljust(width), *(side.rjust(6) for side in sides)])]
    for class_name, row in table.items():
        lines.append("  ".join([class_name.ljust(width), *(str(row[side]).rjust(6) for side in sides)]))
    sums = [str(sum(row[side] for row in table.values())).rjust(6) for side in sides]
    lines.append("  ".join(["all".ljust(width), *sums]))
    return [line.rstrip() for line in lines]
