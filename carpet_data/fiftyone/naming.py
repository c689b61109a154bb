"""Which FiftyOne dataset belongs to a folder: a name that stays, and a folder that was moved is known again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from carpet_data.fiftyone.fields import STATE

__all__ = ["INFO", "TAG", "find_or_make", "name_of"]

TAG = "carpet-data"
"""The tag of the FiftyOne datasets that we made."""
INFO = "carpet_data"
"""The key in a FiftyOne dataset's info under which we keep what it shows."""

_MOST_LETTERS = 60
_SAME_FRACTION = 0.5
"""So many of the images of a vanished folder must be here for it to be the same, moved."""


def name_of(root: Path, name: str) -> str:
    """The FiftyOne name of the data set in a folder, such as `carpet-prepared 3f2a9c41`; the same every time."""
    digest = hashlib.sha256(str(root.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    shown = "".join(letter if letter.isalnum() or letter in " -_." else "-" for letter in name)[:_MOST_LETTERS]
    return f"{shown.strip() or 'data'} {digest}"


def find_or_make(fiftyone: Any, root: Path, name: str, images: Iterable[str]) -> Any:
    """The FiftyOne dataset of a folder, made, and empty, if there is none.

    Args:
        fiftyone: The module.
        root: The folder, or the file that is looked at.
        name: What the data set is called.
        images: The hashes of its images as `content.image_key` makes them; by them a folder that was moved is
            recognised. Looked at only where there is a folder that vanished.
    """
    wanted = name_of(root, name)
    if fiftyone.dataset_exists(wanted):
        return fiftyone.load_dataset(wanted)
    moved = _moved(fiftyone, images)
    if moved is not None:
        moved.name = wanted
        return moved
    made = fiftyone.Dataset(wanted, persistent=True)
    made.tags = [TAG]
    return made


def _moved(fiftyone: Any, images: Iterable[str]) -> Any | None:
    """The dataset of a folder that is no longer where it was and held the same images."""
    here: set[str] | None = None
    for other in fiftyone.list_datasets(tags=TAG):
        dataset = fiftyone.load_dataset(other)
        root = (dataset.info.get(INFO) or {}).get("root")
        if not root or Path(root).exists():
            continue
        here = set(images) if here is None else here
        held = {state.rsplit(":", 1)[-1] for state in dataset.values(STATE) if state}
        if held and len(held & here) >= _SAME_FRACTION * len(held):
            return dataset
    return None
