"""Images that `--skip-faulty` leaves out: one error for each, which names the image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from carpet_data.core.text import counted
from carpet_data.errors import CarpetDataError, DataError

__all__ = ["about_image", "skipped_lines"]

_SHOWN = 5


def about_image(error: CarpetDataError, image: str | os.PathLike[str]) -> DataError:
    """The error of an image that is left out: its `where` is the image, whatever file the fault lies in.

    Examples:
        >>> error = DataError("the file is empty", where="masks/a.png", hint="draw it again")
        >>> print(about_image(error, "images/a.png"))
        images/a.png: masks/a.png: the file is empty
          hint: draw it again
    """
    image = os.fspath(image)
    kind = type(error) if isinstance(error, DataError) and not hasattr(error, "problems") else DataError
    what = error.what if error.where in (None, image) else f"{_beside(error.where, image)}: {error.what}"
    return kind(what, where=image, hint=error.hint)


def _beside(place: str | None, image: str) -> str:
    """A place that is named after the image: from the folder that both lie in, or in full where there is none."""
    path, found = Path(place or ""), Path(image)
    shared = os.path.commonpath([path, found]) if path.is_absolute() == found.is_absolute() else ""
    return str(path.relative_to(shared)) if shared not in ("", os.sep) else str(path)


def skipped_lines(skipped: Sequence[CarpetDataError]) -> list[str]:
    """How many images were left out, and the first few of them; nothing where none was."""
    if not skipped:
        return []
    lines = [f"skipped {counted(len(skipped), 'image')} with errors:"]
    lines += [
        f"  {error.what if error.where is None else f'{error.where}: {error.what}'}" for error in skipped[:_SHOWN]
    ]
    if len(skipped) > _SHOWN:
        lines.append(f"  … and {len(skipped) - _SHOWN} more (--json lists all)")
    return lines
