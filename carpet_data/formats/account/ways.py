"""How a folder could be read otherwise: layouts that explain more of its files, with the commands to try."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from carpet_data.dataset import GOOD
from carpet_data.errors import CarpetDataError
from carpet_data.formats.account.foreign import advice
from carpet_data.formats.account.roles import Account, of_tree
from carpet_data.formats.account.unread import LEAST_EXPLAINED, stem_key
from carpet_data.formats.folders import side_of
from carpet_data.formats.listing import is_image, walk
from carpet_data.formats.registry import FORMATS, Format, ReadOptions

__all__ = ["apart", "better", "hint"]


@dataclass(frozen=True, slots=True)
class Way:
    """A format with its options."""

    format: str
    images_dir: str | None = None
    masks_dir: str | None = None
    class_by: str | None = None

    def flags(self) -> str:
        """As they are typed."""
        given = {
            "--from": self.format,
            "--images-dir": self.images_dir,
            "--masks-dir": self.masks_dir,
            "--class-by": self.class_by,
        }
        return " ".join(f"{flag} {shlex.quote(value)}" for flag, value in given.items() if value is not None)


_DOCTOR = "carpet-data doctor"
_MOST_WAYS = 3
_MOST_FOLDERS = 40
_MASK_FOLDER = re.compile(
    r"mask|^msks?$|ground[_ -]?truth|label|annotation|segm|(?:^|[/_-])gt(?:$|[/_-])", re.IGNORECASE
)
_LEAST_SHARED = 0.5


def hint(root: Path, account: Account, options: ReadOptions) -> str:
    """What to do with a folder of which a reader explains too little: the nearest layouts first."""
    commands = better(root, account, options)
    if commands:
        return commands
    foreign = advice(account.unread.annotations.values())
    if foreign:
        return f"{foreign}; or move the files out of the folder"
    apart = _unread_folders(root, account)
    if apart:
        return f"if they are no part of the data set, move {apart} out of it; else rename them as its other folders are"
    return f"name the folder of one whole data set; {_DOCTOR} shows what each of its folders was taken for"


def _unread_folders(root: Path, account: Account) -> str:
    """The folders at the top of which no file is read, such as predictions; empty where other files are unread too."""
    unread = {*account.unread.images, *account.unread.annotations}
    tops = {path.partition("/")[0] for path in unread if "/" in path}
    read_too = {path.partition("/")[0] for path in walk(root).files if path not in unread}
    if tops & read_too or any("/" not in path for path in unread):
        return ""
    return ", ".join(f"{name}/" for name in sorted(tops)[:_MOST_WAYS])


def better(root: Path, account: Account, options: ReadOptions) -> str:
    """The commands that would read more of a folder; empty where none is known."""
    ways: list[Way] = []
    for way in _candidates(root, account):
        # An expression for the class is the last thing to try.
        if len(ways) < (1 if way.class_by is not None else _MOST_WAYS) and _explains(root, way, account, options):
            ways.append(way)
    return " or ".join(f"{_DOCTOR} {shlex.quote(str(root))} {way.flags()}" for way in ways)


def _candidates(root: Path, account: Account) -> Iterator[Way]:
    """Other formats of folders, then folders of images and masks by name, then classes above deeper folders."""
    for name in FORMATS.builtin:
        if name != account.format:
            yield Way(name)
    yield from dict.fromkeys(Way("folder", images, masks) for images, masks in _pairs(root, account))
    for class_by in (r"^[^/]+/([^/]+)/", r"^([^/]+)/"):
        yield Way("folder", class_by=class_by)


def _explains(root: Path, way: Way, account: Account, options: ReadOptions) -> bool:
    """Whether a format explains enough by names alone, and leaves no mask without an image."""
    found = FORMATS.load(way.format)
    if not isinstance(found, Format) or found.scan is None:
        return False
    changed = replace(
        options, format=way.format, images_dir=way.images_dir, masks_dir=way.masks_dir, class_by=way.class_by
    )
    try:
        tree = found.scan(root, changed).ruled(changed)
    except CarpetDataError:
        return False  # this way is not offered
    if not tree.entries or tree.problems or tree.orphans:
        return False
    if way.class_by is None and not any(entry.masks for entry in tree.entries):
        return False
    if way.class_by is not None and not any(entry.class_name == GOOD for entry in tree.entries):
        return False  # the expression finds some other folder than the class
    unread = frozenset(account.unread.images)
    unmasked = (entry.image for entry in tree.entries if entry.class_name != GOOD and not entry.masks)
    if account.count("masks") and not unread.isdisjoint(unmasked):
        return False  # where others have masks, an image of a defect class without one is refused
    found_by_it = of_tree(tree, walk(root))
    # Named folders leave the others out: no way where it leaves out what is read now.
    as_much = all(found_by_it.count(role) >= account.count(role) for role in ("images", "masks"))
    return found_by_it.explained >= LEAST_EXPLAINED and as_much


def _pairs(root: Path, account: Account) -> Iterator[tuple[str, str]]:
    """Two folders whose files have the same stems, one of them named as masks are."""
    stems: dict[str, set[str]] = {}
    for path in walk(root).files:
        if is_image(path):
            stems.setdefault(str(PurePosixPath(path).parent), set()).add(stem_key(path))
    unread = {str(PurePosixPath(path).parent) for path in account.unread.images} if account.count("masks") else set()
    for masks in sorted(folder for folder in stems if _MASK_FOLDER.search(folder))[:_MOST_FOLDERS]:
        named = [
            images
            for images in sorted(folder for folder in stems if not _MASK_FOLDER.search(folder))[:_MOST_FOLDERS]
            # What has masks already is not given to pictures of another kind.
            if images not in unread and len(stems[images] & stems[masks]) > _LEAST_SHARED * len(stems[masks])
        ]
        # Where several sides number their images alike, the masks are those of another side than train.
        held_out = [images for images in named if "train" not in map(side_of, images.split("/"))]
        for images in held_out or named:
            yield apart(images, masks)


def apart(images: str, masks: str) -> tuple[str, str]:
    """The folders without the end that they share, such as the class or the side."""
    first, second = PurePosixPath(images), PurePosixPath(masks)
    while first.name == second.name and first.parent.name and second.parent.name:
        first, second = first.parent, second.parent
    return str(first), str(second)
