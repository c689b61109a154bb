"""The splits that `SplitOptions` ask for, made of samples, and their tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from carpet_data.dataset import Sample, Side, Split
from carpet_data.errors import DataError, ProblemsError
from carpet_data.grouping import partition, protocols, starving
from carpet_data.preparation.options import SplitOptions

DEFAULT_FRACTIONS = (0.8, 0.2)
_UNSTARVE = (
    "look at these images: if they show different things, group by something else (--no-near-duplicates, --group-by); "
    "if they show one thing, add images, split by --protocol or --k-shot, or accept it with --allow-starved"
)
_STRICTER: tuple[Side, ...] = ("train", "val", "test")


def make(samples: Iterable[Sample], groups: Mapping[str, str], options: SplitOptions, name: str) -> list[Split]:
    """The splits that the options ask for, called `name`, or name0, name1 … where there are several.

    `groups` is sample id -> group. Synthetic samples take no part, because the images they were made from may be on
    any side; only with the protocol "source" those stay that the source itself has in train.

    Raises:
        DataError: No sample takes part, or the source has no train and test folders.
        ProblemsError: Groups leave classes almost no image on a side, without `allow_starved`.
        UsageError: The options do not fit the data, such as more folds than groups.
    """
    chosen = [
        sample
        for sample in samples
        if (options.pool == "all" or sample.side == options.pool)
        and (sample.origin == "real" or (options.protocol == "source" and sample.side == "train"))
    ]
    if not chosen:
        raise DataError(f"no image is in the pool {options.pool!r}", hint="choose another --pool")
    if options.repeats is None:
        return _once(chosen, groups, options, name)
    return [
        split
        for number in range(options.repeats)
        for split in _once(chosen, groups, options.but(seed=options.seed + number), f"{name}{number}")
    ]


def _once(samples: list[Sample], groups: Mapping[str, str], options: SplitOptions, name: str) -> list[Split]:
    class_of = {sample.id: sample.class_name for sample in samples}
    side_of = {sample.id: sample.side for sample in samples}
    notes: list[str] = []
    if options.per_class is not None:
        class_of, notes = partition.limit_per_class(class_of, options.per_class, options.seed)
    if options.k_fold is not None:
        splits = partition.by_folds(class_of, groups, k=options.k_fold, seed=options.seed, name=name)
    elif options.k_shot is not None:
        splits = [protocols.k_shot(class_of, groups, k=options.k_shot, seed=options.seed, side_of=side_of, name=name)]
    elif options.protocol == "first-third":
        file_names = {sample.id: sample.source or sample.image_path for sample in samples}
        splits = [protocols.first_third(class_of, groups, side_of=side_of, name_of=file_names, name=name)]
    elif options.protocol == "rotations":
        splits = protocols.rotations(class_of, groups, side_of=side_of, name=name)
    elif options.protocol == "leave-one-out":
        splits = protocols.leave_one_out(class_of, groups, side_of=side_of, name=name)
    elif options.protocol == "source":
        splits = [_as_source(class_of, groups, side_of, name)]
    else:
        fractions = options.fractions or DEFAULT_FRACTIONS
        splits = [partition.by_fractions(class_of, groups, fractions=fractions, seed=options.seed, name=name)]
    if options.by_fractions and not options.allow_starved:
        _refuse_starved(splits, samples, class_of, groups)
    return [_noted(split, options, notes) for split in splits]


def _refuse_starved(
    splits: Iterable[Split], samples: Iterable[Sample], class_of: Mapping[str, str], groups: Mapping[str, str]
) -> None:
    name_of = {sample.id: sample.source or sample.image_path for sample in samples}
    found = {each.text(name_of): each for split in splits for each in starving.starved(split, class_of, groups)}
    if found:
        raise ProblemsError(
            [DataError(what, where=name_of[each.largest[0]], hint=_UNSTARVE) for what, each in found.items()]
        )


def _as_source(
    class_of: Mapping[str, str], groups: Mapping[str, str], side_of: Mapping[str, Side | None], name: str
) -> Split:
    """The sides of the source's own folders; where a group is on two, only its held-out images stay."""
    sides = {sample_id: side for sample_id in sorted(class_of) if (side := side_of.get(sample_id)) is not None}
    if not sides:
        raise DataError("the source has no train and test folders", hint="split by --fractions instead")
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
    notes = [f"{len(left_out)} images are left out: others of their groups are held out"] if left_out else []
    return Split(name, sides, {"protocol": "source", "left_out": left_out, "notices": notes})


def _noted(split: Split, options: SplitOptions, notes: list[str]) -> Split:
    made = dict(split.made)
    notes = [*notes, *made.pop("notices", [])]
    made["pool"] = options.pool
    if options.per_class is not None:
        made["per_class"] = options.per_class
    return Split(split.name, split.sides, {**made, "notices": notes})


def counts_by_class(splits: Iterable[Split], class_of: Mapping[str, str]) -> dict[str, dict[str, dict[str, int]]]:
    """split -> class -> side -> images, classes and sides in the order they are shown; 0 where a side has none."""
    classes = sorted(set(class_of.values()), key=lambda name: (name != "good", name))
    tables: dict[str, dict[str, dict[str, int]]] = {}
    for split in splits:
        table = {class_name: dict.fromkeys(map(str, split.counts()), 0) for class_name in classes}
        for sample_id, side in split.sides.items():
            table[class_of[sample_id]][side] += 1
        tables[split.name] = table
    return tables


def notes_of(splits: Iterable[Split]) -> list[str]:
    """What the splits could not meet, each note once."""
    return sorted({note for split in splits for note in split.made["notices"]})


def table_text(table: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The counts of one split as aligned lines, with their sums."""
    sides = list(next(iter(table.values()))) if table else []
    width = max((len(name) for name in (*table, "all")), default=0)
    rows = [*table.items(), ("all", {side: sum(row[side] for row in table.values()) for side in sides})]
    lines = ["  ".join(["".ljust(width), *(side.rjust(6) for side in sides)])]
    lines += ["  ".join([name.ljust(width), *(str(row[side]).rjust(6) for side in sides)]) for name, row in rows]
    return [line.rstrip() for line in lines]
