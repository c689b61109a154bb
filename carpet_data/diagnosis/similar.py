"""Problems of images that show the same thing, from the links that `grouping` found: one function per code."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence

from carpet_data.core.problems import Problem
from carpet_data.dataset import SIDES, Split
from carpet_data.diagnosis import patterns
from carpet_data.diagnosis.codes import problem
from carpet_data.grouping import groups, partition, starving
from carpet_data.grouping.groups import Link

_HELD_OUT = 0.2
_MANY = 0.05


def exact(links: Iterable[Link], class_of: Mapping[str, str]) -> Iterator[Problem]:
    """duplicate-file, duplicate-pixels and class-conflict."""
    same = [link for link in links if link.reason in ("file", "pixels")]
    for members in _groups(same):
        classes = sorted({class_of[name] for name in members})
        reasons = {link.reason for link in same if link.a in members}
        how = "the same bytes" if reasons == {"file"} else "the same pixels"
        if len(classes) > 1:
            what = f"it has {how} as {_count(members)}, under the classes {', '.join(classes)}"
            yield problem("class-conflict", members[0], what, files=members[1:])
        code = "duplicate-file" if reasons == {"file"} else "duplicate-pixels"
        yield problem(code, members[0], f"it has {how} as {_count(members)}", files=members[1:])


def near_duplicates(
    links: Sequence[Link], class_of: Mapping[str, str], kin_of: Mapping[str, frozenset[str]] | None = None
) -> Iterator[Problem]:
    """near-duplicates: one problem per group of images that show the same thing.

    `class_of` and `kin_of` (what an image is known to show) go by image path. Links within a known group, and between a
    synthetic image and what it was made from, are not a problem.
    """
    kin_of = kin_of or {}
    none: frozenset[str] = frozenset()
    near = [link for link in links if link.reason == "near" and not kin_of.get(link.a, none) & kin_of.get(link.b, none)]
    of = groups.join(class_of, [*near, *(link for link in links if link.reason != "near")]).of
    found: dict[str, list[Link]] = {}
    for link in near:
        found.setdefault(of[link.a], []).append(link)
    members_of: dict[str, list[str]] = {}
    for name in sorted(of):
        if of[name] in found:
            members_of.setdefault(of[name], []).append(name)
    for group, members in members_of.items():
        scores = [link.score for link in found[group]]
        range_ = f"{min(scores):.2f}" if min(scores) == max(scores) else f"{min(scores):.2f} to {max(scores):.2f}"
        classes = sorted({class_of[name] for name in members})
        across = f", in the classes {', '.join(classes)}" if len(classes) > 1 else ""
        details = sorted({link.detail for link in found[group] if link.detail})
        turned = f", {details[0]}" if len(details) == 1 and len(members) == 2 else ""
        shows = "shows" if len(members) == 2 else "show"
        what = f"it shows what {_count(members)} {shows} (agreement {range_}{turned}){across}"
        yield problem("near-duplicates", group, what, files=tuple(name for name in members if name != group))


def split_leak(links: Sequence[Link], names: Sequence[str], root: str) -> Iterator[Problem]:
    """split-leak for a data set that is yet to be split: what a random split by image would do.

    `root` is the folder as the user would name it, for the command in the hint.
    """
    sizes = [len(members) for members in _groups(links)]
    held_out = _HELD_OUT * len(names)
    # A held-out image of a group of g is seen in training unless all the others are held out too.
    seen = sum(size * _HELD_OUT * (1 - _HELD_OUT ** (size - 1)) for size in sizes)
    torn = sum(1 - _HELD_OUT**size - (1 - _HELD_OUT) ** size for size in sizes)
    if seen < max(1.0, _MANY * held_out):
        return
    what = (
        f"{sum(sizes)} of {len(names)} images belong to {len(sizes)} groups that show the same thing; a random split "
        f"by image with {_HELD_OUT:.0%} held out would split about {torn:.0f} groups, so that about {seen:.0f} of "
        f"{held_out:.0f} held-out images show what training has seen"
    )
    guess = patterns.guess(names, [(link.a, link.b) for link in links])
    command = f"carpet-data prepare {shlex.quote(root)}"
    if guess is None:
        hint = (
            f"{command} keeps these groups together; if names show which images belong together, "
            "add --group-by REGEX or --group-runs REGEX --gap N"
        )
    else:
        hint = (
            f"{command} {guess.options}  (the names explain {guess.explained:.0%} of the pairs found by pixels, "
            f"and make {guess.groups} groups)"
        )
    yield problem("split-leak", ".", what, hint=hint)


def split_starved(links: Sequence[Link], class_of: Mapping[str, str]) -> Iterator[Problem]:
    """split-starved: classes that the groups would starve in the split that `prepare` makes by default."""
    group_of = groups.join(class_of, links).of
    split = partition.by_fractions(class_of, group_of, fractions=(1 - _HELD_OUT, _HELD_OUT))
    for each in starving.starved(split, class_of, group_of):
        yield problem("split-starved", each.largest[0], each.text(), files=each.largest[1:])


def split_straddles(links: Sequence[Link], split: Split, image_of: Mapping[str, str]) -> Iterator[Problem]:
    """split-leak for a split that exists: one problem per split.

    Links are between image paths, the split holds sample ids, `image_of` is sample id -> image path.
    """
    side_of = {image_of[sample_id]: side for sample_id, side in split.sides.items() if sample_id in image_of}
    torn: list[tuple[str, ...]] = []
    seen = 0
    for members in _groups(links):
        sides = [side_of[name] for name in members if name in side_of]
        if len(set(sides)) > 1:
            torn.append(members)
            seen += sum(side != _training_side(sides) for side in sides)
    if not torn:
        return
    held_out = sum(side != "train" for side in side_of.values())
    what = (
        f"in the split {split.name!r}, {len(torn)} group{'s' if len(torn) > 1 else ''} of images that show the same "
        f"thing are on several sides: {seen} of {held_out} held-out images"
    )
    yield problem("split-leak", ".", what, files=tuple(members[0] for members in torn))


def _training_side(sides: Sequence[str]) -> str:
    return next(side for side in SIDES if side in sides)


def _groups(links: Iterable[Link]) -> list[tuple[str, ...]]:
    links = list(links)
    ends = {end for link in links for end in (link.a, link.b)}
    return list(groups.join(ends, links).shared().values())


def _count(members: Sequence[str]) -> str:
    return members[1] if len(members) == 2 else f"{len(members) - 1} others"
