"""What must not be passed over in silence: files without a role that could carry a defect.

A reader that explains less than 90 % of the image and annotation files has taken the folder for something else. Above
that, a file may still be a label or a mask that no image got: its image would become good.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from carpet_data.core.text import counted, printable
from carpet_data.dataset import GOOD
from carpet_data.errors import DataError
from carpet_data.formats.account.foreign import HARMLESS, TABLE, WHOLE_SET, advice
from carpet_data.formats.account.roles import Account
from carpet_data.formats.folders import good_names
from carpet_data.formats.listing import composed
from carpet_data.formats.problems import MOST_PROBLEMS

__all__ = ["LEAST_EXPLAINED", "Finding", "ReadImage", "findings", "more", "notes_of", "source_lines", "stem_key"]

LEAST_EXPLAINED = 0.9
"""A reader that explains a smaller share of the image and annotation files is refused."""

_MAY_HOLD_MASKS = frozenset(
    {".avif", ".gif", ".h5", ".heic", ".hdf5", ".jp2", ".jxl", ".mat", ".nii", ".npy", ".npz", ".pbm", ".pgm", ".pkl"}
    | {".pnm", ".ppm", ".psd", ".svg", ".xcf"}
)
"""Files of these types are not read; one of an image's name is likely its mask."""

_SEPARATORS = re.compile(r"[\s_\-.]+")
_MASK_WORDS = re.compile(r"(?:masks?|msk|gt|groundtruth|labels?|seg|segmentation|annotation)\d*$")


@dataclass(frozen=True, slots=True)
class ReadImage:
    """An image as it was read.

    Attributes:
        annotated: Whether a mask or another annotation belongs to it.
        masks: Its binary mask files.
    """

    image: str
    class_name: str
    annotated: bool
    masks: tuple[str, ...] = ()

    @property
    def by_lack(self) -> bool:
        """Whether it is what it is only because no annotation was found: no folder above says its class."""
        folders = self.image.split("/")[:-1]
        return not self.annotated and self.class_name == GOOD and not good_names(folders)


@dataclass(frozen=True, slots=True)
class Finding:
    """A reason to refuse.

    Attributes:
        code: What `doctor` calls it.
        images: The images that could be wrong by it, which `skip_faulty` leaves out; None where nobody knows which.
    """

    code: str
    error: DataError
    images: tuple[str, ...] | None = None


def stem_key(path: str) -> str:
    """What an image and its label have in common: the stem without case, separators and words such as mask.

    Example:
        >>> stem_key("a/Im-001.jpg"), stem_key("b/im_001_mask2.png"), stem_key("c/im_001.jpg.txt")
        ('im001', 'im001', 'im001')
    """
    name = PurePosixPath(path)
    stem = PurePosixPath(name.stem).stem if name.suffix.lower() in (".txt", ".json", ".xml") else name.stem
    plain = _SEPARATORS.sub("", composed(stem).casefold())
    return _MASK_WORDS.sub("", plain) or plain


def findings(
    account: Account, root: Path, images: Sequence[ReadImage], orphans: Sequence[str], hint: Callable[[], str]
) -> Iterator[Finding]:
    """Reasons to refuse what was read.

    Args:
        account: What the files were taken for.
        root: The data set's folder.
        images: All images that were read.
        orphans: Masks without an image.
        hint: How to read the folder otherwise.
    """
    if account.explained < LEAST_EXPLAINED:
        yield Finding("not-read", _refusal(account, root, hint()))
        return
    maybe = [
        *account.unread.images,
        *(path for path in account.unread.others if PurePosixPath(path).suffix.lower() in _MAY_HOLD_MASKS),
    ]
    if not account.unread.annotations and not maybe and not orphans:
        return
    of_key: dict[str, list[ReadImage]] = {}
    for seen in images:
        of_key.setdefault(stem_key(seen.image), []).append(seen)
    yield from _orphaned(orphans, root, images, of_key)
    # A table of images is passed over only where folders or masks say what it may say.
    by_lack = any(seen.by_lack for seen in images)
    labels = {
        path: kind
        for path, kind in account.unread.annotations.items()
        if kind not in HARMLESS or (kind == TABLE and by_lack)
    }
    yield from _beside(labels, root, of_key)
    yield from _of_whole_set(labels, root, images)
    stray = {path: [seen.image for seen in _nearest(path, of_key) if seen.by_lack] for path in maybe}
    stray = {path: found for path, found in stray.items() if found}
    if stray:
        first, found = next(iter(stray.items()))
        yield Finding(
            "labels-not-read",
            DataError(
                f"it may be the mask of {found[0]}, which has none{more(len(stray))}",
                where=root / first,
                hint="name both folders: --from folder --images-dir IMAGES --masks-dir MASKS; or remove the file"
                if first in account.unread.images
                else "save the masks as PNG, 0 and 255; or move the file out of the folder",
            ),
            tuple(sorted({image for found in stray.values() for image in found})),
        )


def notes_of(account: Account) -> tuple[str, ...]:
    """What was left unread without a reason to refuse, and what the reader noted: one sentence each."""
    notes = list(account.notes)
    for files, what in ((account.unread.images, "image"), (tuple(account.unread.annotations), "annotation file")):
        if files:
            verb = "was" if len(files) == 1 else "were"
            unlisted = "listed" if account.listed and what == "image" else "read"
            notes.append(f"{counted(len(files), what)} {verb} not {unlisted}, such as {files[0]}")
    return tuple(notes)


def source_lines(account: Account | None) -> list[str]:
    """The notes on what was left unread, a line each, as commands print them; none for a prepared folder."""
    return [] if account is None else [f"note: {printable(note)}" for note in notes_of(account)]


def _refusal(account: Account, root: Path, hint: str) -> DataError:
    unread = account.unread
    files = (*unread.images, *unread.annotations)
    kinds = sorted(set(unread.annotations.values()))
    named = f" ({', '.join(kinds)})" if kinds else ""
    return DataError(
        f"read as {account.format}, only {account.explained:.0%} of the image and annotation files are understood; "
        f"{counted(len(files), 'file')} {'is' if len(files) == 1 else 'are'} not, such as {files[0]}{named}",
        where=root,
        hint=hint,
    )


def _orphaned(
    orphans: Sequence[str], root: Path, images: Sequence[ReadImage], of_key: Mapping[str, Sequence[ReadImage]]
) -> Iterator[Finding]:
    """Masks without an image: of one whose name differs by a sign or its case, or of any that is good by lack."""
    by_lack = tuple(seen.image for seen in images if seen.by_lack)
    for mask in orphans[:MOST_PROBLEMS]:
        near = [seen.image for seen in _nearest(mask, of_key) if not seen.annotated]
        named = f"; its name is close to that of {near[0]}" if near else ""
        yield Finding(
            "mask-orphan",
            DataError(
                f"the mask has no image{named}",
                where=root / mask,
                hint="restore the image, correct the name, or remove the mask",
            ),
            tuple(near) or by_lack,
        )


def _beside(labels: Mapping[str, str], root: Path, of_key: Mapping[str, Sequence[ReadImage]]) -> Iterator[Finding]:
    """Label files beside images: those of an image without annotation, and those of no image."""
    bare: dict[str, list[str]] = {}
    lost: list[str] = []
    for path, kind in labels.items():
        if kind in WHOLE_SET:
            continue
        seen = _nearest(path, of_key)
        if not seen:
            lost.append(path)
        elif not all(each.annotated for each in seen):
            bare[path] = [each.image for each in seen if not each.annotated]
    if bare:
        first, images = next(iter(bare.items()))
        yield Finding(
            "labels-not-read",
            DataError(
                f"it looks like {labels[first]} of {images[0]}, and is not read{more(len(bare))}",
                where=root / first,
                hint=f"{advice([labels[first]])}; or move the files out of the folder",
            ),
            tuple(sorted({image for found in bare.values() for image in found})),
        )
    if lost:
        everything_named = not any(seen.by_lack for found in of_key.values() for seen in found)
        yield Finding(
            "labels-not-read",
            DataError(
                f"it looks like {labels[lost[0]]}, and no image uses it{more(len(lost))}",
                where=root / lost[0],
                hint="restore the image or correct the name; or move the file out of the folder",
            ),
            () if everything_named else None,
        )


def _of_whole_set(labels: Mapping[str, str], root: Path, images: Sequence[ReadImage]) -> Iterator[Finding]:
    """Annotations of the whole set, where some images are good only because nothing was found for them."""
    whole = [path for path, kind in labels.items() if kind in WHOLE_SET]
    if whole and any(seen.by_lack for seen in images):
        yield Finding(
            "labels-not-read",
            DataError(
                f"it looks like {labels[whole[0]]}, and is not read{more(len(whole))}",
                where=root / whole[0],
                hint=f"{advice([labels[whole[0]]])}; or move the file out of the folder",
            ),
        )


def _nearest(path: str, of_key: Mapping[str, Sequence[ReadImage]]) -> list[ReadImage]:
    """The images of a file's stem, those that share the most folder names with it."""
    folders = set(path.casefold().split("/")[:-1])
    found = [
        (len(folders.intersection(seen.image.casefold().split("/")[:-1])), seen)
        for seen in of_key.get(stem_key(path), ())
    ]
    most = max((shared for shared, _ in found), default=0)
    return [seen for shared, seen in found if shared == most]


def more(count: int) -> str:
    """What is said behind the first of several files; nothing where there is one."""
    return f"; {count} such files in all" if count > 1 else ""
