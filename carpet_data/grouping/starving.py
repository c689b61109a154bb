"""Classes that whole groups leave without enough images on a side of a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from carpet_data.core.text import counted
from carpet_data.dataset import Side, Split
from carpet_data.grouping.partition import held_out_targets

LEAST = 0.1
"""A side that asks for more of a class than this gets at least this part of its images."""


@dataclass(frozen=True, slots=True)
class Starved:
    """A class of which a side gets hardly any image.

    Attributes:
        class_name: The class.
        images: Number of its images.
        groups: Number of its groups.
        side: The side.
        got: Number of images that the side got.
        target: Number of images that it asked for.
        largest: The class's images in its largest group, sorted ids.
    """

    class_name: str
    images: int
    groups: int
    side: Side
    got: int
    target: int
    largest: tuple[str, ...]

    def text(self, name_of: Mapping[str, str] | None = None) -> str:
        """What is wrong, in words; `name_of` is sample id -> how to call it."""
        names = [sample_id if name_of is None else name_of[sample_id] for sample_id in self.largest]
        images = counted(self.images, "image")
        held = f"{self.class_name}: {self.side} gets {self.got} of {images} instead of {self.target}"
        if len(names) == self.images:
            return f"{held}: all of them are one group, such as {names[0]} and {names[-1]}"
        largest = f"the largest has {len(names)} images, such as {names[0]} and {names[-1]}"
        return f"{held}: they are in {counted(self.groups, 'group')}, {largest}"


def starved(split: Split, class_of: Mapping[str, str], group_of: Mapping[str, str]) -> Iterator[Starved]:
    """The classes that a split by fractions starves, because a group cannot be divided.

    A class is starved where a side asks for some of its images and gets none, or asks for more than a tenth and gets
    less. `class_of` is sample id -> class, `group_of` sample id -> group; ids not in it are alone. A class of one image
    is not starved by a group.
    """
    members: dict[str, list[str]] = {}
    for sample_id in sorted(split.sides):
        members.setdefault(class_of[sample_id], []).append(sample_id)
    sides: list[Side] = list(split.made["sides"])
    for class_name, ids in sorted(members.items()):
        groups = Counter(("group", group_of[i]) if i in group_of else ("alone", i) for i in ids)
        (kind, largest), _ = min(groups.items(), key=lambda item: (-item[1], item[0]))
        inside = [i for i in ids if (group_of.get(i) if kind == "group" else i) == largest]
        held = Counter(split.sides[sample_id] for sample_id in ids)
        for side, target in zip(sides, held_out_targets(len(ids), split.made["fractions"]), strict=True):
            got, least = held[side], LEAST * len(ids)
            if (target and not got) or got < least < target:
                yield Starved(class_name, len(ids), len(groups), side, got, target, tuple(inside))
