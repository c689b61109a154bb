"""Groups: which images of a prepared data set belong together, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data.core.results import Result, plain
from carpet_data.dataset import DataFolder, folder_of
from carpet_data.errors import DataError
from carpet_data.grouping.groups import Link, groups_from_json
from carpet_data.store import description, manifest, names, splits
from carpet_data.store.manifest import Tombstone

_SHOWN_LINKS = 8
_TEXTS = {
    "file": "same file",
    "pixels": "same pixels",
    "near": "same scene",
    "name": "same captured text",
    "run": "same run",
    "given": "same group in the source",
    "source": "made from the same image",
}


@dataclass(frozen=True, slots=True)
class Group:
    """A group of two images or more.

    Attributes:
        name: The smallest of its samples' ids.
        members: id -> path in the source.
        classes: class -> images.
        links: Why they belong together.
    """

    name: str
    members: Mapping[str, str]
    classes: Mapping[str, int]
    links: tuple[Link, ...]

    def to_json(self) -> dict[str, Any]:
        """The group as plain values."""
        values = {"members": self.members, "classes": self.classes, "links": self.links}
        return {"group": self.name, **plain(values)}


@dataclass(frozen=True, slots=True)
class GroupsResult(Result):
    """The groups of a prepared data set.

    Attributes:
        root: The prepared folder.
        made: How they were found.
        groups: Groups of two images or more, by name.
        samples: Number of images in the data set.
    """

    root: Path
    made: Mapping[str, Any]
    groups: tuple[Group, ...]
    samples: int

    @property
    def grouped(self) -> int:
        """Number of images in groups of two or more."""
        return sum(len(group.members) for group in self.groups)

    @property
    def total(self) -> int:
        """Number of groups, those of one image included."""
        return self.samples - self.grouped + len(self.groups)

    def by_reason(self) -> dict[str, int]:
        """reason -> number of groups with a link of that reason."""
        counts = Counter(reason for group in self.groups for reason in {link.reason for link in group.links})
        return dict(sorted(counts.items()))

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        sums = {"total": self.total, "grouped": self.grouped, "by_reason": self.by_reason()}
        return {**Result.to_json(self), **sums}

    def text(self) -> str:
        """The result in words."""
        lines = []
        for group in self.groups:
            classes = ", ".join(f"{count} {name}" for name, count in group.classes.items())
            lines.append(f"{group.name}: {len(group.members)} images ({classes})")
            for link in group.links[:_SHOWN_LINKS]:
                score = f" {link.score:.3f}" if link.reason == "near" else ""
                detail = f" ({link.detail})" if link.detail else ""
                ends = f"{group.members.get(link.a, link.a)} – {group.members.get(link.b, link.b)}"
                lines.append(f"  {_TEXTS[link.reason]}{score}: {ends}{detail}")
            if len(group.links) > _SHOWN_LINKS:
                lines.append(f"  … and {len(group.links) - _SHOWN_LINKS} more links; --json shows all")
        reasons = ", ".join(f"{count} by {_TEXTS[reason]}" for reason, count in self.by_reason().items())
        why = f" ({reasons})" if reasons else ""
        lines.append(
            f"{self.samples} images are in {self.total} groups; "
            f"{len(self.groups)} of them contain 2 or more, {self.grouped} images in all{why}"
        )
        return "\n".join(lines)


def groups(root: DataFolder) -> GroupsResult:
    """The groups of a prepared data set, and why their images belong together.

    Raises:
        DataError: The folder is not a prepared data set, or is damaged.
    """
    root = folder_of(root)
    description.read(root)
    members: dict[str, dict[str, str]] = {}
    classes: dict[str, Counter[str]] = {}
    group_of: dict[str, str] = {}
    samples = 0
    for entry in manifest.stream(root / names.MANIFEST):
        sample = entry.sample if isinstance(entry, Tombstone) else entry
        group = group_of[sample.id] = sample.group or sample.id
        if isinstance(entry, Tombstone):
            continue
        samples += 1
        members.setdefault(group, {})[sample.id] = sample.source or sample.image_path
        classes.setdefault(group, Counter())[sample.class_name] += 1
    made, found = _links(root, group_of)
    why: dict[str, list[Link]] = {}
    for link in found:
        why.setdefault(group_of[link.a], []).append(link)
    shared = tuple(
        Group(name, members[name], dict(sorted(classes[name].items())), tuple(why.get(name, ())))
        for name in sorted(members)
        if len(members[name]) > 1
    )
    return GroupsResult(root, made, shared, samples)


def _links(root: Path, group_of: Mapping[str, str]) -> tuple[Mapping[str, Any], tuple[Link, ...]]:
    rows = splits.read_links(root)
    header = next(rows, None)
    if header is None:
        return {}, ()
    try:
        if not isinstance(header.get("made"), dict):
            raise DataError("the first line is not the header of the groups")
        return header["made"], groups_from_json({"of": group_of, "links": list(rows)}).links
    except DataError as error:
        raise DataError(
            error.what, where=root / names.LINKS, hint="prepare the data set again from its source"
        ) from error
