"""Names inside a prepared folder: its fixed files, and how ids and classes become file names."""

from __future__ import annotations

import hashlib
import re

from carpet_data.errors import UsageError

DESCRIPTION = "dataset.json"
MANIFEST = "manifest.jsonl"
LINKS = "groups.jsonl"
SPLITS = "splits"
RECIPES = "recipes"
MODELS = "models"
"""Holds the fitted models, each in a folder of its own."""
CARD = "card.json"
"""In the folder of a model: what it was trained on."""
IMAGES = "images"
MASKS = "masks"
JOURNAL = ".journal"
LOCK = ".lock"
HOLDER = ".lock.json"
LOCK_FILES = (LOCK, HOLDER)
PARTIAL_SUFFIX = ".partial"

_UNSAFE = frozenset('/\\<>:"|?*')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_MOST_BYTES = 180
_SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def component(text: str) -> str:
    """A file name for an id or a class: the text itself where any file system takes it, else a safe form of it.

    The safe form ends in a hash of the text, so that two texts never become one name.
    """
    name = "".join("_" if c in _UNSAFE or not c.isprintable() else c for c in text).strip(" ").rstrip(". ")
    if not name or name.startswith(".") or _RESERVED.fullmatch(name):
        name = "_" + name
    if len(name.encode()) > _MOST_BYTES:
        name = name.encode()[: _MOST_BYTES - 9].decode(errors="ignore")
    if name == text:
        return name
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{name}-{digest}"


def image_path(sample_id: str, class_name: str, suffix: str) -> str:
    """Where the image of a sample lies, relative to the root; `suffix` is that of its source, with the dot."""
    return f"{IMAGES}/{component(class_name)}/{component(sample_id)}{suffix}"


def mask_path(sample_id: str, class_name: str) -> str:
    """Where the mask of a sample lies, relative to the root."""
    return f"{MASKS}/{component(class_name)}/{component(sample_id)}.png"


def split_path(name: str) -> str:
    """Where a split lies, relative to the root.

    Raises:
        UsageError: The name cannot be a file name.
    """
    if not _SPLIT_NAME.fullmatch(name):
        raise UsageError(
            f"invalid split name {name!r}",
            hint="use letters, digits, '-', '_' and '.', starting with a letter or digit",
        )
    return f"{SPLITS}/{name}.jsonl"


def inside(path: str) -> bool:
    """Whether a relative POSIX path stays in its root."""
    # By hand rather than by pathlib, which keeps every part that it has ever seen.
    return bool(path) and not path.startswith("/") and ".." not in path.split("/") and not set("\\\x00") & set(path)
