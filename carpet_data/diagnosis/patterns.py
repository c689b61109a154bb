"""Guess from file names which images show the same thing: the options of `prepare` that group them."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from carpet_data.grouping import groups

_DIGITS = re.compile(r"\d+")
_LAST_WORD = re.compile(r"[^\W\d_]*[\W_]*$")
_EXPLAINED = 0.95
_BY_CHANCE = 0.05
_MOST_BY_CHANCE = 0.25
_FEWEST_LINKS = 5
_SAME_SHAPE = 0.8
_GAPS = tuple(factor * 10**power for power in range(7) for factor in (1, 2, 5))


@dataclass(frozen=True, slots=True)
class Guess:
    """A pattern that explains the pairs found by their pixels.

    Attributes:
        gap: For --group-runs; None for --group-by.
        explained: Share of the found pairs that it puts together, 0..1.
    """

    pattern: str
    gap: int | None
    explained: float
    groups: int

    @property
    def options(self) -> str:
        """As typed after `carpet-data prepare ROOT`."""
        if self.gap is None:
            return f"--group-by '{self.pattern}'"
        return f"--group-runs '{self.pattern}' --gap {self.gap}"


def guess(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> Guess | None:
    """The pattern that explains most pairs without putting everything together.

    It tries the numbers in names of the most common shape: equal numbers (`--group-by`), then runs of near numbers
    (`--group-runs`) with the smallest round gap that explains 95 % of the pairs. It rejects patterns that would put two
    random images together more often than one time in twenty, and than twice as often as the pairs themselves do.
    """
    if len(pairs) < _FEWEST_LINKS:
        return None
    stems = {name: PurePosixPath(name).stem for name in names}
    shapes = Counter(_DIGITS.sub("#", stem) for stem in stems.values())
    shape, count = shapes.most_common(1)[0]
    if count < _SAME_SHAPE * len(names):
        return None
    alike = {name: stem for name, stem in stems.items() if _DIGITS.sub("#", stem) == shape}
    known = [(a, b) for a, b in pairs if a in alike and b in alike]
    if len(known) < _SAME_SHAPE * len(pairs):
        return None
    literals = shape.split("#")
    # Small sets of large groups share a group by chance more often than large sets do.
    limit = min(max(_BY_CHANCE, 2 * _chance(_group_sizes(list(alike), known))), _MOST_BY_CHANCE)
    found: list[Guess] = []
    for place in range(len(literals) - 1):
        numbers = {name: int(_DIGITS.findall(stem)[place]) for name, stem in alike.items()}
        pattern = _pattern(literals, place, numbers)
        found.extend(_by_value(numbers, known, pattern, limit))
        found.extend(_by_runs(numbers, known, pattern, limit))
    return max(found, key=lambda each: (each.gap is None, each.groups), default=None)


def _pattern(literals: Sequence[str], place: int, numbers: Mapping[str, int]) -> str:
    """A regular expression for the number at a place: the word before it where that is enough to find it."""
    before = literals[place]
    word = _LAST_WORD.search(before)
    assert word is not None
    short = _escape(word.group(0)) + r"(\d+)"
    if word.group(0) and all(_first(short, name) == str(number) for name, number in numbers.items()):
        return short
    skipped = "".join(_escape(literal) + r"\d+" for literal in literals[:place])
    return rf"(?:^|/){skipped}{_escape(before)}(\d+)[^/]*$"


def _first(pattern: str, name: str) -> str | None:
    match = re.search(pattern, name)
    return None if match is None else match.group(1).lstrip("0") or "0"


def _escape(text: str) -> str:
    """Like re.escape, but leaves alone what needs no escape outside of brackets."""
    return re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", text)


def _by_value(numbers: dict[str, int], pairs: Sequence[tuple[str, str]], pattern: str, limit: float) -> list[Guess]:
    sizes = list(Counter(numbers.values()).values())
    explained = sum(numbers[a] == numbers[b] for a, b in pairs) / len(pairs)
    good = explained >= _EXPLAINED and _chance(sizes) <= limit
    return [Guess(pattern, None, explained, len(sizes))] if good else []


def _by_runs(numbers: dict[str, int], pairs: Sequence[tuple[str, str]], pattern: str, limit: float) -> list[Guess]:
    ordered = sorted(numbers.values())
    for gap in _GAPS:
        starts = [ordered[0]] + [b for a, b in itertools.pairwise(ordered) if b - a > gap]
        bounds = [bisect_left(ordered, start) for start in starts] + [len(ordered)]
        sizes = [stop - start for start, stop in itertools.pairwise(bounds)]
        if _chance(sizes) > limit:
            return []
        explained = sum(_run(starts, numbers[a]) == _run(starts, numbers[b]) for a, b in pairs) / len(pairs)
        if explained >= _EXPLAINED:
            return [Guess(pattern, gap, explained, len(starts))]
    return []


def _run(starts: Sequence[int], number: int) -> int:
    place = bisect_left(starts, number)
    return place if place < len(starts) and starts[place] == number else place - 1


def _group_sizes(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> list[int]:
    joined = groups.join(names, [groups.link(a, b, "near") for a, b in pairs])
    return [len(members) for members in joined.members().values()]


def _chance(sizes: Sequence[int]) -> float:
    count = sum(sizes)
    return sum(size * (size - 1) for size in sizes) / max(count * (count - 1), 1)
