"""The names of classes where data.yaml has none: classes.txt of labeling tools, obj.names of Darknet and CVAT."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from carpet_data.errors import DataError
from carpet_data.formats.yolo.text import holds_labels, text_of

_LISTS = frozenset({"classes.txt", "class.txt", "class_names.txt", "names.txt", "labels.txt", "_darknet.labels"})
"""labelImg, Label Studio, X-AnyLabeling and makesense write classes.txt, Roboflow's Darknet export _darknet.labels."""

_SUFFIX = ".names"


def is_class_list(path: Path) -> bool:
    """Whether a file lists class names, by its own name; labels.txt may also hold the labels of labels.png."""
    name = path.name.casefold()
    return (name in _LISTS or name.endswith(_SUFFIX)) and not holds_labels(path)


def names_in(path: Path) -> dict[int, str]:
    """Class number -> name: one name a line.

    Raises:
        DataError: A name is repeated, or a line between others is empty, which leaves the numbers open.
    """
    lines = [line.strip() for line in text_of(path).rstrip().splitlines()]
    for number, name in enumerate(lines, start=1):
        if not name:
            raise DataError(
                f"line {number} is empty, so the numbers of the classes below it are uncertain",
                where=path,
                hint="remove the line, or write the name",
            )
    if len(set(lines)) < len(lines):
        twice = next(name for name in lines if lines.count(name) > 1)
        raise DataError(f"the class {twice} is listed twice", where=path, hint="give each class its own name")
    return dict(enumerate(lines))


def names_beside(root: Path, files: tuple[str, ...]) -> tuple[Mapping[int, str] | None, tuple[str, ...]]:
    """The names that the class lists of a folder agree on, and these files; None without a list.

    Raises:
        DataError: Two lists name different classes; or as `names_in`.
    """
    lists = {path: names_in(root / path) for path in files if is_class_list(root / path)}
    lists = {path: names for path, names in lists.items() if names}
    if not lists:
        return None, ()
    first = min(lists, key=lambda path: (path.count("/"), path))
    for path, names in lists.items():
        if names != lists[first]:
            raise DataError(
                f"it names other classes than {first}",
                where=root / path,
                hint="write data.yaml with `names`, or remove the list that is wrong",
            )
    return lists[first], tuple(sorted(lists))
