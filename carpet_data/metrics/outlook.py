"""What a comparison of two classifiers can show on a test side, before anything is trained.

A verdict rests on groups of test images. With few of them in a class, a difference must be large to be seen, and with
fewer than three none is reported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from carpet_data.core.results import Result
from carpet_data.samples import GOOD

__all__ = ["DISAGREEMENT", "FEWEST_UNITS", "Outlook", "outlook"]

FEWEST_UNITS = 3
"""With two groups of test images in a class, equal conditions came out as different in up to 11 of 100 simulated data
sets, with the smallest possible p-value in up to 9: that supports no verdict."""
_NARROW = 6
"""Below this number of groups in a class, intervals are too narrow."""
DISAGREEMENT = 0.2
"""Share of test groups on which two classifiers are assumed to disagree."""
_SPLIT = 4
"""A class of this many groups can have three on the test side and still one to train on."""
_QUANTILES = 1.96 + 0.84
"""Of the normal distribution, for a two-sided level of 0.05 and a power of 0.8."""


@dataclass(frozen=True, slots=True)
class Outlook(Result):
    """What a comparison by balanced accuracy can show.

    Attributes:
        groups: Class -> number of groups of its test images.
        available: Class -> number of its groups on all sides.
        verdict: Whether a verdict can be given.
        detectable: The difference of balanced accuracy (0 to 1) that is found in 8 of 10 cases, where the two
            classifiers disagree on a fifth of the groups; None without a verdict.
        tasks: "classify", "segment", "detect", "anomaly" -> why no verdict can be given on it; None where one can.
    """

    groups: Mapping[str, int]
    available: Mapping[str, int]
    verdict: bool
    detectable: float | None
    tasks: Mapping[str, str | None] = field(default_factory=dict)

    def lacking(self) -> tuple[str, ...]:
        """The classes with too few groups of test images, in the order of `groups`."""
        return tuple(name for name, count in self.groups.items() if count < FEWEST_UNITS)

    def text(self) -> list[str]:
        """The outlook in words, a few lines."""
        counts = ", ".join(f"{name} {count}" for name, count in self.groups.items())
        lines = [f"groups of test images: {counts}"]
        if len(self.groups) < 2:
            return [*lines, "validate cannot give a verdict on the image class: a comparison needs two classes"]
        if self.detectable is None:
            return [*lines, *self._why_not(), *self._of_tasks()]
        unlikely = ", more than synthetic images usually bring" if self.detectable > DISAGREEMENT / 2 else ""
        lines.append(
            "validate can give a verdict on this split: it would find a difference of balanced accuracy of about "
            f"{self.detectable:.2f} or more{unlikely} (in 8 of 10 cases, if the classifiers disagree on "
            f"{DISAGREEMENT:.0%} of the groups); smaller ones mostly end as `no evidence`"
        )
        few = [name for name, count in self.groups.items() if count < _NARROW]
        if few:
            lines.append(
                f"with fewer than {_NARROW} groups ({', '.join(few)}) intervals are too narrow: read them with care"
            )
        return [*lines, *self._of_tasks()]

    def _of_tasks(self) -> list[str]:
        """Which tasks a verdict can be given on."""
        if not self.tasks:
            return []
        able = [task for task, why in self.tasks.items() if why is None]
        lines = [f"verdicts that this split can carry: {', '.join(able) or 'none'}"]
        reasons: dict[str, list[str]] = {}
        for task, why in self.tasks.items():
            if why is not None:
                reasons.setdefault(why, []).append(task)
        return lines + [f"not {', '.join(those)}: {why}" for why, those in reasons.items()]

    def _why_not(self) -> list[str]:
        lacking = self.lacking()
        lines = [
            "validate cannot give a verdict on the image class on this split, whatever the images are like: it needs "
            f"{FEWEST_UNITS} groups of test images in each class, and {', '.join(lacking)} "
            f"{'has' if len(lacking) == 1 else 'have'} fewer"
        ]
        movable = [name for name in lacking if self.available.get(name, 0) >= _SPLIT]
        if movable == list(lacking):
            lines.append(
                "what would help: a larger test side (such as --fractions 0.5 0.5), or validate --partitions 5, which "
                "tests other groups in each partition"
            )
        else:
            short = [name for name in lacking if name not in movable]
            lines.append(f"what would help: more images of {', '.join(short)}, {_SPLIT} groups or more in all")
        return lines


def outlook(
    class_of: Mapping[str, str],
    group_of: Mapping[str, str],
    test: Iterable[str],
    *,
    masked: Iterable[str] | None = None,
) -> Outlook:
    """What a comparison on a test side can show.

    The standard error of the difference of two balanced accuracies is taken as sqrt(sum of d / n_c) / K, for K classes
    with n_c groups and a share d of groups on which the two disagree (McNemar 1947, class by class).

    Args:
        class_of: Sample id -> class, of the real samples on any side.
        group_of: Sample id -> group; a sample that is not in it is a group of its own.
        test: The ids on the test side; of several partitions, those of all.
        masked: The ids of defect samples that have a mask; None to say nothing of tasks.

    Examples:
        >>> ids = [f"{name}{n}" for name in ("good", "hole") for n in range(20)]
        >>> round(outlook({each: each[:4] for each in ids}, {}, ids).detectable, 3)
        0.198
    """
    held_out = set(test)
    groups: dict[str, set[str]] = {}
    available: dict[str, set[str]] = {}
    for sample_id, name in class_of.items():
        group = group_of.get(sample_id, sample_id)
        available.setdefault(name, set()).add(group)
        groups.setdefault(name, set())
        if sample_id in held_out:
            groups[name].add(group)
    order = sorted(groups, key=lambda name: (name != "good", name))
    counts = {name: len(groups[name]) for name in order}
    verdict = len(counts) > 1 and min(counts.values()) >= FEWEST_UNITS
    tasks = {} if masked is None else _tasks(class_of, group_of, held_out, set(masked), verdict=verdict)
    error = math.sqrt(sum(DISAGREEMENT / count for count in counts.values())) / len(counts) if verdict else None
    return Outlook(
        groups=counts,
        available={name: len(available[name]) for name in order},
        verdict=verdict,
        detectable=None if error is None else min(1.0, _QUANTILES * error),
        tasks=tasks,
    )


def _tasks(
    class_of: Mapping[str, str],
    group_of: Mapping[str, str],
    test: set[str],
    masked: set[str],
    *,
    verdict: bool,
) -> dict[str, str | None]:
    """Why there is no verdict on each task; None where there is one."""
    defects = {each for each, name in class_of.items() if name != GOOD}

    def groups(ids: set[str]) -> int:
        return len({group_of.get(each, each) for each in ids & test})

    tested = masked & defects & test
    by_class = [groups({each for each in tested if class_of[each] == name}) for name in {class_of[e] for e in defects}]
    few = f"it needs {FEWEST_UNITS} groups of test images"
    no_masks = None if masked & defects else "no defect image has a mask"
    good = groups(set(class_of) - defects)
    segment = None if groups(tested) >= FEWEST_UNITS else f"{few} with a mask"
    detect = None if min(by_class, default=0) >= FEWEST_UNITS else f"{few} with a mask in each defect class"
    anomaly = None if good >= FEWEST_UNITS else f"{few} without a defect (got {good})"
    if anomaly is None and groups(defects) < FEWEST_UNITS:
        anomaly = f"{few} with a defect"
    return {
        "classify": None if verdict else f"{few} in each class",
        "segment": no_masks or segment,
        "detect": no_masks or detect,
        "anomaly": no_masks or anomaly,
    }
