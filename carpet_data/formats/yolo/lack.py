"""Label files without an image, and images without a label file: where a defect would become good in silence."""

from __future__ import annotations

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from carpet_data.core.text import counted
from carpet_data.dataset import Side
from carpet_data.formats.folders import good_names
from carpet_data.formats.listing import composed, is_image
from carpet_data.formats.problems import Problems
from carpet_data.formats.yolo.images import IMAGES
from carpet_data.formats.yolo.pairs import Pairs, in_label_folder, key_of

_MOST_COMPARED = 2000
_MOST_NAMED = 3
_SEPARATORS = re.compile(r"[\W_]+")
_BACKGROUND = frozenset({"background", "backgrounds", "negative", "negatives"})
_EMPTY_FILES = "give each image without a defect an empty label file"


@dataclass(frozen=True, slots=True)
class Lack:
    """What is to be judged: the images of a data set, how they were paired, and the names of classes."""

    root: Path
    sides: Mapping[str, Side | None]
    pairs: Pairs
    files: tuple[str, ...]
    names: tuple[str, ...] = ()

    @property
    def unused(self) -> list[str]:
        """Label files of no image, of which nothing was said yet."""
        return [path for path in self.pairs.unused if path not in self.pairs.disputed]

    @property
    def bare(self) -> list[str]:
        """Images that are good only because no label file was found: no folder says so."""
        return [path for path in self.sides if path not in self.pairs.label_of and not _is_said_good(path)]


def check(lack: Lack, problems: Problems) -> list[str]:
    """Notes on images that are good because they have no label file; problems where that is not clearly meant.

    Problems: label files that no image uses, one for each folder; no label file at all; a side of which no image has
    one. With `skip_faulty`, the images that these could make good are left out.
    """
    bare = lack.bare
    if not lack.sides:
        _say_no_images(lack, problems)
        return []
    if lack.pairs.label_of:
        _say_misspelled(lack, bare, problems)
    if lack.unused:
        return list(_unused(lack, bare, problems))
    if bare and not lack.pairs.label_of:
        _say_none(lack, bare, problems)
        return []
    labeled = {lack.sides[path] for path in lack.pairs.label_of}
    good = [path for path in bare if lack.sides[path] in labeled]
    for side in dict.fromkeys(lack.sides[path] for path in bare):
        if side not in labeled:
            _say_side(lack, side, [path for path in bare if lack.sides[path] == side], problems)
    return [_good_note(good, lack.sides)] if good else []


def _is_said_good(path: str) -> bool:
    folders = path.split("/")[:-1]
    return bool(good_names(folders)) or not _BACKGROUND.isdisjoint(folder.casefold() for folder in folders)


def _good_note(images: list[str], all_images: Collection[str]) -> str:
    every = Counter(path.rpartition("/")[0] for path in all_images)
    folders = Counter(path.rpartition("/")[0] for path in images).most_common(_MOST_NAMED)
    whole = {folder: "all " if number == every[folder] else "" for folder, number in folders}
    places = ", ".join(f"{whole[folder]}{number} in {folder or '.'}" for folder, number in folders)
    verb = "has no label file and counts" if len(images) == 1 else "have no label file and count"
    return f"{len(images)} of {counted(len(all_images), 'image')} {verb} as good: {places}"


def _say_no_images(lack: Lack, problems: Problems) -> None:
    labels = lack.unused
    there = f"; there are {counted(len(labels), 'label file')}, such as {labels[0]}" if labels else ""
    hint = "put each image beside its labels, or export with the images" if labels else "name a data set with images"
    problems.say(f"no images were found{there}", lack.root, hint)


def _without(images: Collection[str], of: str = "") -> str:
    if len(images) == 1:
        return f"the only image{of} has no label file"
    return f"none of the {len(images)} images{of} has a label file"


def _say_none(lack: Lack, images: list[str], problems: Problems) -> None:
    """No image of the data set has a label file."""
    places = dict.fromkeys(expected(path).rpartition("/")[0] or "." for path in images)
    shown = ", ".join([*list(places)[:_MOST_NAMED], *(["…"] if len(places) > _MOST_NAMED else [])])
    of_classes = {PurePosixPath(path).parent.name for path in images} <= set(lack.names)
    hint = "the folders are called as the classes: read them with --from folder" if of_classes else None
    problems.say(
        f"{_without(images)} (looked in {shown}, and beside the images)",
        lack.root,
        hint or f"put the label files there; {_EMPTY_FILES}; for images without labels use --from folder",
    )


def _say_misspelled(lack: Lack, bare: list[str], problems: Problems) -> None:
    """Files that lie and are called as the labels of images without any, but for their suffix: a.txt.bak, a, a.text."""
    images = {_folded(key_of(path)): path for path in bare}
    for file in lack.files if images else ():
        name = PurePosixPath(file)
        # JSON and XML of other tools are judged by what they hold.
        if not in_label_folder(file) or is_image(file) or name.suffix.casefold() in (".txt", ".json", ".xml"):
            continue
        key = _folded(key_of(file))
        image = images.get(key) or images.get(key.rpartition(".")[0])
        if image is not None:
            what = f"it has no label file, but {file} is called as one is, and is not read"
            hint = f"name it {PurePosixPath(image).stem}.txt, or remove it if the image has no defect"
            where = lack.root / image
            problems.say(what, where, hint, image=where, cause=("misspelled", name.parent, name.suffix))


def _say_side(lack: Lack, side: Side | None, images: list[str], problems: Problems) -> None:
    """Other sides have label files, and this one has none."""
    folder = images[0].rpartition("/")[0] or "."
    what = f"{_without(images, f' of {side}' if side else '')}, while others have one"
    hint = f"put the label files into {expected(images[0]).rpartition('/')[0] or '.'}; or {_EMPTY_FILES}"
    if problems.skip_faulty:
        for path in images:
            problems.say(what, lack.root / path, hint, image=lack.root / path)
    else:
        problems.say(what, lack.root / folder, hint)


def expected(image: str) -> str:
    """Where YOLO looks for the labels of an image: images/train/a.png -> labels/train/a.txt."""
    parts = image.split("/")
    for number in range(len(parts) - 2, -1, -1):
        if parts[number].casefold() in IMAGES:
            parts[number] = "labels"
            break
    return str(PurePosixPath(*parts).with_suffix(".txt"))


def _unused(lack: Lack, bare: list[str], problems: Problems) -> Iterator[str]:
    """The label files that no image uses: problems, or a note where leaving out images settles them."""
    of_folder: defaultdict[str, list[str]] = defaultdict(list)
    for path in lack.unused:
        of_folder[path.rpartition("/")[0]].append(path)
    near = _Nearest(lack, bare)
    if not problems.skip_faulty or not lack.pairs.label_of:
        for folder, labels in of_folder.items():
            what, hint = _words(labels, near)
            single = len(labels) == 1
            problems.say(what, lack.root / (labels[0] if single else folder), hint)
        return
    suspects = {label: near.same_name(label) for label in lack.unused}
    # Where a label file may belong to any image, all that have none are in doubt.
    first, count = lack.unused[0], len(lack.unused)
    more = f" and {counted(count - 1, 'more label file')}" if count > 1 else ""
    named = {image: None for found in suspects.values() for image in found}
    hint = _words(list(lack.unused), near)[1]
    for image in named if all(suspects.values()) else bare:
        problems.say(
            f"it has no label file, and no image uses {first}{more}",
            lack.root / image,
            hint,
            image=lack.root / image,
        )
    yield f"no image uses {first}{more}; images without a label file that it may belong to are left out"


def _words(labels: list[str], near: _Nearest) -> tuple[str, str]:
    """What is wrong with these label files of one folder, and how to fix it."""
    label = labels[0]
    what = (
        "no image uses this label file"
        if len(labels) == 1
        else f"no image uses the {len(labels)} label files here, such as {PurePosixPath(label).name}"
    )
    foreign = near.foreign(label)
    if foreign is not None:
        return f"{what}; {foreign} is not an image that can be read", "convert the image to PNG or JPEG"
    image = near.image(label)
    if image is None:
        return what, "restore the image, correct the name, or remove the label file"
    name, place = PurePosixPath(label), PurePosixPath(expected(image))
    if name.stem == PurePosixPath(image).name:
        hint = f"name labels after the image without its suffix: {place.name}"
    elif name.stem == place.stem:
        one = len(labels) == 1
        what_to_move = "move it to" if one else "move each to the folder that belongs to its image, such as"
        hint = f"{what_to_move} {_shown(place.parent)}, or remove {'it' if one else 'them'}"
    else:
        hint = f"restore the image, correct the name (such as {place.name}), or remove the label file"
    return f"{what}; the nearest image is {image}", hint


def _shown(folder: PurePosixPath) -> str:
    return f"{folder}/" if str(folder) != "." else "the folder of the images"


class _Nearest:
    """Which image a label file without one may be meant for; images that have no label file come first."""

    def __init__(self, lack: Lack, bare: Collection[str]) -> None:
        self._lack = lack
        self._images = list(dict.fromkeys([*bare, *lack.sides]))
        self._bare_of: defaultdict[str, list[str]] = defaultdict(list)
        for path in bare:
            for name in {PurePosixPath(path).stem, PurePosixPath(path).name}:
                self._bare_of[_plain(name)].append(path)

    def same_name(self, label: str) -> list[str]:
        """Images without a label file whose name is the same but for case, separators, suffix or folder."""
        return self._bare_of.get(_plain(PurePosixPath(label).stem), [])

    def image(self, label: str) -> str | None:
        """The image of the nearest name."""
        same = self.same_name(label)
        if same:
            return same[0]
        stem = PurePosixPath(label).stem
        by_stem = {PurePosixPath(path).stem: path for path in reversed(self._images[:_MOST_COMPARED])}
        if stem in by_stem:
            return by_stem[stem]
        found = difflib.get_close_matches(stem, list(by_stem), n=1)
        return by_stem[found[0]] if found else None

    def foreign(self, label: str) -> str | None:
        """A file of this name in an image format that is not supported, such as a.heic."""
        key = key_of(label)
        others: Iterable[str] = (
            path for path in self._lack.files if path not in self._lack.sides and key_of(path) == key
        )
        return next((path for path in others if PurePosixPath(path).suffix.lower() in _FOREIGN), None)


_FOREIGN = frozenset({".gif", ".heic", ".heif", ".avif", ".dng", ".mpo", ".pfm", ".jp2", ".raw", ".npy", ".svg"})
"""Suffixes of images that YOLO may be given, and that are not read here."""


def _folded(key: str) -> str:
    return composed(key).casefold()


def _plain(name: str) -> str:
    return _SEPARATORS.sub("", composed(name).casefold())
