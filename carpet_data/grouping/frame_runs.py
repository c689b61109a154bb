"""Groups from file names: by a captured text, or by runs of a captured frame number.

Patterns are searched (`re.search`) in the image's path relative to the data set's root, with `/` between folders,
such as `test/crack/exp1_num_4727.jpg`. Over the whole data set at once: images of several classes can be one group,
because one shot of a work piece may show a defect where the next crop of it is good.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from carpet_data.errors import DataError, ProblemsError, UsageError
from carpet_data.grouping.groups import Link, Reason, chain

_JOINT = "/"


@dataclass(frozen=True, slots=True)
class NameGroups:
    """Groups found by name.

    Attributes:
        of: name -> group; a name that the pattern does not match is its own group.
        unmatched: The names that the pattern does not match, sorted.
        reason: "name" or "run", for links.
    """

    of: Mapping[str, str]
    unmatched: tuple[str, ...]
    reason: Reason

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know."""
        if not self.unmatched:
            return ()
        count, first = len(self.unmatched), self.unmatched[0]
        return (f"{count} of {len(self.of)} images do not match the pattern and stay ungrouped, such as {first}",)

    def links(self, ids: Mapping[str, str] | None = None) -> list[Link]:
        """The links that join each group; `ids` is name -> sample id, None where the names are the sample ids."""
        members: dict[str, list[str]] = {}
        alone = set(self.unmatched)
        for name, group in self.of.items():
            if name not in alone:
                members.setdefault(group, []).append(name if ids is None else ids[name])
        return [found for group in sorted(members) for found in chain(members[group], self.reason, group)]


def by_regex(names: Iterable[str], pattern: str) -> NameGroups:
    """Group names by what a pattern captures; several captures are joined by `/`.

    A pattern without a capture group captures all that it matches. An optional capture that took no part is empty.

    Raises:
        UsageError: The regular expression is invalid.
    """
    compiled = _compiled(pattern)
    of: dict[str, str] = {}
    unmatched: list[str] = []
    for name in sorted(set(names)):
        match = compiled.search(name)
        if match is None:
            unmatched.append(name)
            of[name] = name
        else:
            of[name] = _JOINT.join(match.groups(default="")) if match.re.groups else match.group()
    return NameGroups(of, tuple(unmatched), "name")


def by_runs(names: Iterable[str], pattern: str, gap: int) -> NameGroups:
    """Group names by runs of a captured integer: sorted, cut wherever neighbors differ by more than `gap`.

    The pattern has one capture, the frame number. A run is called `first-last` by its numbers.

    Raises:
        UsageError: The regular expression is invalid or has more or less than one capture group, or the
            gap is negative.
        ProblemsError: A capture is not an integer.
    """
    compiled = _compiled(pattern)
    if compiled.groups != 1:
        raise UsageError(
            f"the pattern {pattern!r} has {compiled.groups} capture groups instead of one",
            hint=r"put parentheses around the frame number, such as 'num_(\d+)'",
        )
    if gap < 0:
        raise UsageError(f"the gap must be at least 0 (got {gap})", hint="give the largest step inside a run")
    numbers: list[tuple[int, str]] = []
    unmatched: list[str] = []
    problems: list[DataError] = []
    for name in sorted(set(names)):
        match = compiled.search(name)
        text = None if match is None else match.group(1)
        if text is None:
            unmatched.append(name)
        elif re.fullmatch(r"-?[0-9]{1,4000}", text):  # int() also takes "1_000" and " 7 "
            numbers.append((int(text), name))
        else:
            problems.append(
                DataError(f"the pattern captures {text!r}, which is not an integer", where=name, hint=r"capture (\d+)")
            )
    if problems:
        raise ProblemsError(problems)
    of = {name: name for name in unmatched}
    for run in _cut(sorted(numbers), gap):
        title = f"{run[0][0]}-{run[-1][0]}"
        of.update({name: title for _, name in run})
    return NameGroups(dict(sorted(of.items())), tuple(unmatched), "run")


def _cut(numbers: list[tuple[int, str]], gap: int) -> list[list[tuple[int, str]]]:
    found: list[list[tuple[int, str]]] = []
    for entry in numbers:
        if not found or entry[0] - found[-1][-1][0] > gap:
            found.append([])
        found[-1].append(entry)
    return found


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"invalid regular expression {pattern!r}: {error}", hint="correct it, and quote it for the shell"
        ) from error
