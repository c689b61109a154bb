"""How images come into an export: linked, copied, or left where they are."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal, TypeAlias

from carpet_data.errors import OutputError
from carpet_data.store.files import link_or_copy

ImageMode: TypeAlias = Literal["link", "copy", "none"]
IMAGE_MODES: tuple[ImageMode, ...] = ("link", "copy", "none")


def place(source: Path, target: Path, mode: ImageMode) -> None:
    """Bring one file into an export: a hard link where the file system can (else a copy), or a copy.

    A link shares its bytes with the source, so nothing here ever opens a placed file for writing.

    Raises:
        OutputError: The target exists already.
    """
    if mode == "none":
        return
    if target.exists():
        raise OutputError(
            "two files of the export would have this name", where=target, hint="rename one of the sources"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    if mode == "link":
        link_or_copy(source, target)
    else:
        shutil.copyfile(source, target)
