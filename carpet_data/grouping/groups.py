"""Groups: samples that must share a side of every split, and why.

Every reason gives links between two samples; groups are the connected components of all links.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias, TypeVar, get_args

from carpet_data.core.results import Result
from carpet_data.errors import DataError

Reason: TypeAlias = Literal["file", "pixels", "near", "name", "run", "given", "source"]
"""file: same bytes. pixels: same decoded pixels. near: same scene. name, run: from file names. given: by the user.
source: made from the same image."""

REASONS: tuple[Reason, ...] = get_args(Reason)

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True, order=True)
class Link(Result):
    """Two samples that belong together, and why.

    Attributes:
        a: The smaller sample id.
        b: The larger sample id.
        score: Agreement in 0..1 for near duplicates; 1 for the rest.
        detail: For people: the captured text, the run, how the image was turned.
    """

    a: str
    b: str
    reason: Reason
    score: float = 1.0
    detail: str = ""


def link(a: str, b: str, reason: Reason, score: float = 1.0, detail: str = "") -> Link:
    """A link with its ends in order."""
    return Link(min(a, b), max(a, b), reason, score, detail)


def chain(ids: Iterable[str], reason: Reason, detail: str = "") -> list[Link]:
    """Links that join all `ids` into one group: the smallest id with each other one."""
    ordered = sorted(ids)
    return [link(ordered[0], other, reason, detail=detail) for other in ordered[1:]]


def from_mapping(keys: Mapping[str, str | None], reason: Reason) -> list[Link]:
    """Links between all samples that have the same key (sample id -> key); those with the key None are alone."""
    members: dict[str, list[str]] = {}
    for sample_id, key in keys.items():
        if key is not None:
            members.setdefault(key, []).append(sample_id)
    return [found for key in sorted(members) for found in chain(members[key], reason, key)]


@dataclass(frozen=True, slots=True)
class Groups(Result):
    """A partition of the samples into groups.

    Attributes:
        of: sample id -> group id; every sample is in it, also those that are alone. A group's id is its smallest
            sample id, so it stays the same as long as that sample does.
        links: Why: every link, sorted.
    """

    of: Mapping[str, str]
    links: tuple[Link, ...] = field(default=())

    def members(self) -> dict[str, tuple[str, ...]]:
        """group id -> its sorted sample ids, groups in order of their id."""
        found: dict[str, list[str]] = {}
        for sample_id in sorted(self.of):
            found.setdefault(self.of[sample_id], []).append(sample_id)
        return {group: tuple(ids) for group, ids in sorted(found.items())}

    def shared(self) -> dict[str, tuple[str, ...]]:
        """The groups of two samples or more."""
        return {group: ids for group, ids in self.members().items() if len(ids) > 1}

    def counts(self) -> dict[str, int]:
        """Links by reason, in the order of REASONS; reasons without links are omitted."""
        names = [found.reason for found in self.links]
        return {reason: names.count(reason) for reason in REASONS if reason in names}

    def __len__(self) -> int:
        return len(set(self.of.values()))


class UnionFind(Generic[K]):
    """Sets that can be joined (Tarjan 1975); the smallest item of a set is its root, whatever the order of joining.

    Examples:
        >>> sets = UnionFind("abc")
        >>> sets.join("c", "b")
        >>> sets.root("c")
        'b'
    """

    def __init__(self, items: Iterable[K]) -> None:
        self.parent = {item: item for item in items}

    def root(self, item: K) -> K:
        """The root of the set that holds an item."""
        while self.parent[item] != item:
            self.parent[item] = self.parent[self.parent[item]]
            item = self.parent[item]
        return item

    def join(self, a: K, b: K) -> None:
        """Join the sets of two items."""
        first, second = sorted((self.root(a), self.root(b)))  # type: ignore[type-var]
        self.parent[second] = first


def join(ids: Iterable[str], links: Iterable[Link]) -> Groups:
    """The groups that links make of the samples.

    Raises:
        DataError: A link names a sample that is not in `ids`.
    """
    sets = UnionFind(ids)
    ordered: Sequence[Link] = sorted(set(links))
    for found in ordered:
        for end in (found.a, found.b):
            if end not in sets.parent:
                raise DataError(
                    f"a group names the sample {end!r}, which is not in the data set",
                    where=end,
                    hint="correct the id, or remove it from the groups",
                )
        sets.join(found.a, found.b)
    return Groups({sample_id: sets.root(sample_id) for sample_id in sorted(sets.parent)}, tuple(ordered))


def groups_from_json(values: Mapping[str, Any]) -> Groups:
    """Groups from what `Groups.to_json` wrote.

    Raises:
        DataError: The values have another form.
    """
    try:
        links = tuple(
            Link(
                str(row["a"]),
                str(row["b"]),
                REASONS[REASONS.index(row["reason"])],
                float(row["score"]),
                str(row["detail"]),
            )
            for row in values["links"]
        )
        of = {str(sample_id): str(group) for sample_id, group in values["of"].items()}
        if any(found.a not in of or found.b not in of for found in links):
            raise ValueError("a link names a sample that is in no group")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"invalid groups: {error!r}", hint="write the groups again") from error
    return Groups(of, links)
