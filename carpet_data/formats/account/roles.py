"""What each folder of a data set was taken for: images, masks, annotations, documents, and what was left unread.

Made of names after any reader ran: the folder's listing, the samples with their mask files, and what the reader says
of its documents and of what it left out on purpose. A file that nobody explains is never passed over in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal, TypeAlias

from carpet_data.core.results import Result
from carpet_data.dataset import ClassFile, Dataset, IndexFile, MaskFile, MaskStack, Sample
from carpet_data.formats.account.foreign import ANNOTATION_SUFFIXES, annotation_kinds
from carpet_data.formats.listing import Listing, is_image, is_known

if TYPE_CHECKING:
    from carpet_data.formats.tree import Tree

__all__ = ["Account", "FolderRole", "Role", "of_dataset", "of_tree"]

Role: TypeAlias = Literal["images", "masks", "annotations", "documents", "left out", "not read"]
ROLES: tuple[Role, ...] = ("images", "masks", "annotations", "documents", "left out", "not read")

NO_IMAGE = "no image for them"
UNUSED_LABELS = "no image uses it"
"""Why a label file without an image was left out."""

UNLISTED = "not listed in the annotations"
_MOST_ROWS = 30
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class FolderRole(Result):
    """A folder, and what its files of one kind were taken for.

    Attributes:
        folder: Relative to the root, "." for the root; `a/*` stands for the folders in a.
        role: images, masks, annotations, documents, left out (on purpose) or not read.
        files: Number of files.
        note: Why they were left out, or what they look like; empty where the role says it all.
    """

    folder: str
    role: Role
    files: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Account(Result):
    """What a data set was taken for; `--json` shows it as `source`.

    Attributes:
        format: The reader's name.
        roles: Each folder's role, by role and name.
        not_read: The first 20 files that were not read, sorted: relative to the root, POSIX.
        not_read_count: How many there are.
        explained: Share (0 to 1) of the image and annotation files that have a role; those left out on purpose have.
        notes: What the reader decided that one should know.
        listed: Whether a document lists the images, so that others are no part of the data set.
        unread: The files without a role, by kind.
    """

    format: str
    roles: tuple[FolderRole, ...]
    not_read: tuple[str, ...]
    not_read_count: int
    explained: float
    notes: tuple[str, ...] = ()
    listed: bool = False
    unread: Unread = field(default_factory=lambda: Unread(), repr=False, compare=False)

    def to_json(self) -> dict[str, object]:
        """The account as plain values; the full list of unread files stays out."""
        values = Result.to_json(self)
        del values["unread"], values["listed"]
        return values

    def count(self, role: Role) -> int:
        """Number of files of a role."""
        return sum(row.files for row in self.roles if row.role == role)


@dataclass(frozen=True, slots=True)
class Unread:
    """Files without a role, by kind.

    Attributes:
        images: With the suffix of an image.
        annotations: Path -> what it looks like, such as "labelme JSON".
        others: All the rest.
    """

    images: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()


@dataclass(slots=True)
class _Used:
    """What a reader used of a folder."""

    format: str
    images: set[str]
    masks: Mapping[str, str]
    documents: tuple[str, ...]
    aside: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    listed: bool = False


def of_dataset(dataset: Dataset, listing: Listing, *, listed: bool) -> Account:
    """The account of a data set as it was read, of its folder's listing.

    Where its images are `listed` in a document, others are no part of it.
    """
    masks = {path: "" for sample in dataset.samples for path in _mask_paths(sample)}
    masks.update(dict.fromkeys(dataset.orphans, NO_IMAGE))
    # An image that could not be read was understood all the same: it is listed where it was skipped.
    skipped = _relative(listing, (str(error.where) for error in dataset.skipped))
    images = {sample.image_path for sample in dataset.samples} | skipped
    return _account(
        listing, _Used(dataset.format, images, masks, dataset.documents, dataset.aside, dataset.notes, listed)
    )


def of_tree(tree: Tree, listing: Listing) -> Account:
    """The account of a scanned folder, before any file is opened."""
    images = {entry.image for entry in tree.entries}
    masks = {path: "" for entry in tree.entries for path, _ in entry.masks}
    masks.update(dict.fromkeys(tree.orphans, NO_IMAGE))
    return _account(listing, _Used(tree.format, images, masks, tree.documents, tree.aside, tree.notes))


def _account(listing: Listing, used: _Used) -> Account:
    rows: Counter[tuple[Role, str, str]] = Counter()
    documents, aside = frozenset(used.documents), dict(used.aside)
    left: list[str] = []
    explained = 0
    for path in listing.files:
        why = _why_aside(path, aside) if aside else None
        note = ""
        role: Role
        if path in used.images:
            role = "images"
        elif path in used.masks:
            role, note = "masks", used.masks[path]
        elif path in documents:
            role = "annotations" if _suffix(path) in ANNOTATION_SUFFIXES else "documents"
        elif why is not None:
            role, note = "left out", why
        elif is_known(path):
            role = "documents"
        else:
            left.append(path)
            continue
        explained += role == "annotations" or is_image(path)
        rows[role, _folder(path), note] += 1
    unread = _by_kind(listing, left)
    for path in left:
        unlisted = UNLISTED if used.listed and is_image(path) else ""
        rows["not read", _folder(path), unread.annotations.get(path, unlisted)] += 1
    missing = len(unread.images) + len(unread.annotations)
    return Account(
        used.format,
        tuple(_rows(rows)),
        tuple(left[:_MOST_NAMED]),
        len(left),
        round(explained / (explained + missing), 4) if explained + missing else 1.0,
        used.notes,
        used.listed,
        unread,
    )


def _by_kind(listing: Listing, paths: Iterable[str]) -> Unread:
    images: list[str] = []
    texts: list[str] = []
    others: list[str] = []
    for path in paths:
        (images if is_image(path) else texts if _suffix(path) in ANNOTATION_SUFFIXES else others).append(path)
    kinds = annotation_kinds(listing.root, texts)
    return Unread(tuple(images), kinds, tuple(sorted([*others, *(path for path in texts if path not in kinds)])))


def _rows(counted: Mapping[tuple[Role, str, str], int]) -> list[FolderRole]:
    """The table: folders joined from the deepest level up until it can be read."""
    deepest = max((folder.count("/") + 1 for _, folder, _ in counted), default=0)
    for depth in range(deepest, 0, -1):
        if len(counted) <= _MOST_ROWS:
            break
        joined: Counter[tuple[Role, str, str]] = Counter()
        for (role, folder, note), files in counted.items():
            parts = folder.split("/")
            joined[role, "/".join([*parts[: depth - 1], "*"]) if len(parts) >= depth else folder, note] += files
        counted = joined
    return [
        FolderRole(folder, role, files, note)
        for (role, folder, note), files in sorted(counted.items(), key=lambda row: (ROLES.index(row[0][0]), row[0]))
    ]


def _mask_paths(sample: Sample) -> tuple[str, ...]:
    match sample.annotation:
        case MaskFile(path=path) | IndexFile(path=path) | ClassFile(path=path):
            return (path,)
        case MaskStack(files=files):
            return tuple(path for path, _ in files)
        case _:
            return ()


def _relative(listing: Listing, places: Iterable[str]) -> set[str]:
    root = f"{listing.root.as_posix()}/"
    return {PurePosixPath(place).as_posix().removeprefix(root) for place in places}


def _why_aside(path: str, aside: Mapping[str, str]) -> str | None:
    """Why a file, or a folder above it, was left out."""
    parts = path.split("/")
    places = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((aside[place] for place in places if place in aside), None)


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()
