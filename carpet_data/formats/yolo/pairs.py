"""Which label file belongs to which image: by name, never by position.

Ultralytics looks for images/train/a.png in labels/train/a.txt, Darknet beside the image, Roboflow in
train/labels/a.txt. All say the same: without the folders called images and labels, both have one path.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from carpet_data.formats.listing import composed, is_image, is_known
from carpet_data.formats.problems import Problems
from carpet_data.formats.yolo.alike import Trouble, say_all
from carpet_data.formats.yolo.class_names import is_class_list
from carpet_data.formats.yolo.images import IMAGES, LABELS
from carpet_data.formats.yolo.text import holds_labels

_MOST_SNIFFED = 20
_FOLDS: tuple[Callable[[str], str], ...] = (str, lambda key: composed(key).casefold())


@dataclass(frozen=True, slots=True)
class Pairs:
    """The outcome.

    Attributes:
        label_of: image -> its label file.
        copies: Label files that say the same as one that is used.
        elsewhere: Label files of images that are not part of the data set.
        unused: Label files of no image.
        disputed: Those among them that differ from the label file of their image, which is said already.
    """

    label_of: Mapping[str, str]
    copies: tuple[str, ...]
    elsewhere: tuple[str, ...]
    unused: tuple[str, ...]
    disputed: frozenset[str] = frozenset()


def key_of(path: str) -> str:
    """A path without suffix and without the folders called images and labels.

    Example:
        >>> key_of("images/train/a.png"), key_of("train/labels/a.txt"), key_of("train/a.txt")
        ('train/a', 'train/a', 'train/a')
    """
    *folders, name = path.split("/")
    plain = [folder for folder in folders if folder.casefold() not in IMAGES and folder.casefold() not in LABELS]
    return "/".join([*plain, name.rpartition(".")[0] or name])


def pair(
    root: Path, images: Collection[str], files: tuple[str, ...], others: Collection[str], problems: Problems
) -> Pairs:
    """Pair images and label files: equal spelling first, then without regard to case.

    Problems: label files that several images share, and images with several label files that differ.

    Args:
        root: The data set's folder.
        images: Those of the data set.
        files: All files.
        others: Text files that are something else, such as lists of images.
        problems: Collects what the names leave open.
    """
    texts = [path for path in files if path.casefold().endswith(".txt") and path not in others]
    texts = [path for path in texts if not _is_other(root / path)]
    label_of: dict[str, str] = {}
    copies: list[str] = []
    shared: list[Trouble] = []
    several: list[Trouble] = []
    disputed: set[str] = set()
    for fold in _FOLDS:
        taken = {*label_of.values(), *copies}
        at = _by_key([path for path in texts if path not in taken], fold)
        claims = _by_key([path for path in images if path not in label_of], fold)
        for key, claimants in claims.items():
            if key not in at:
                continue
            label, same, differing = _choose(root, at[key])
            copies += same
            label_of.update((image, label) for image in claimants)
            # Images that share labels are all at fault, by one cause.
            shared += [_shared(root, each, label, claimants) for each in claimants if len(claimants) > 1]
            several += [_several(root, claimants[0], [label, *differing])] if differing else []
            disputed.update(differing)
    if not problems.skip_faulty:
        shared = list({trouble.what: trouble for trouble in reversed(shared)}.values())[::-1]
    say_all(problems, shared)
    say_all(problems, several)
    used = {*label_of.values(), *copies}
    left = [path for path in texts if path not in used]
    known = {composed(key_of(path)).casefold() for path in files if is_image(path) and path not in images}
    elsewhere = [path for path in left if composed(key_of(path)).casefold() in known]
    unused = _unused(root, sorted({*left}.difference(elsewhere)))
    return Pairs(label_of, tuple(copies), tuple(elsewhere), unused, frozenset(disputed))


def in_label_folder(path: str) -> bool:
    """Whether a folder above is called labels."""
    return not LABELS.isdisjoint(path.casefold().split("/")[:-1])


def _is_other(path: Path) -> bool:
    return is_class_list(path) or (is_known(path.name) and not holds_labels(path))


def _by_key(paths: Iterable[str], fold: Callable[[str], str]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        found[fold(key_of(path))].append(path)
    return found


def _choose(root: Path, labels: list[str]) -> tuple[str, list[str], list[str]]:
    """The label file of an image, those with the same content, and those with another."""
    if len(labels) == 1:
        return labels[0], [], []
    # Where both are there, YOLO reads the one in labels/.
    chosen = min(labels, key=lambda path: (not in_label_folder(path), path.count("/"), path))
    content = _content(root / chosen)
    same = [path for path in labels if path != chosen and content is not None and _content(root / path) == content]
    return chosen, same, [path for path in labels if path != chosen and path not in same]


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:  # whoever reads it says so
        return None


def _shared(root: Path, image: str, label: str, images: list[str]) -> Trouble:
    what = f"the labels {label} belong to several images: {', '.join(images[:5])}"
    return Trouble(root / image, root / image, what, "rename the images, and give each its own labels")


def _several(root: Path, image: str, labels: list[str]) -> Trouble:
    what = f"it has several label files that differ: {', '.join(labels)}"
    return Trouble(root / image, root / image, what, "keep the one that is right")


def _unused(root: Path, paths: list[str]) -> tuple[str, ...]:
    """Of the text files that no image uses, those that are labels: by their folder, or by their content."""
    of_folder: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        of_folder[path.rpartition("/")[0]].append(path)
    unused: list[str] = []
    for members in of_folder.values():
        if in_label_folder(members[0]):
            unused += members
            continue
        looked_at = [path for path in members[:_MOST_SNIFFED] if holds_labels(root / path)]
        unused += [*looked_at, *(members[_MOST_SNIFFED:] if looked_at else ())]
    return tuple(sorted(unused))
