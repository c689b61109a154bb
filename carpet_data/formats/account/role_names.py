"""The role that the name of a folder says: images, masks, X_mask beside X, train_images."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal, TypeAlias

from carpet_data.formats.folders import side_of
from carpet_data.formats.glance import IMAGE_FOLDERS, LABEL_FOLDERS, MASK_FOLDERS

__all__ = ["Role", "role_by_name"]

Role: TypeAlias = Literal["image", "mask", "either"]

_WITH_MORE = re.compile(
    r"(?:(?P<before>.+?)[ _.-]+)?(?:(?P<image>images?|imgs?)|(?P<mask>masks?|gts?|ground[ _-]?truths?)"
    r"|(?P<label>labels?|annotations?|segmentations?|segs?))(?:[ _.-]+(?P<after>.+))?"
)
"""A folder whose name has a role and more: train_images, crack_mask, masks_machine."""


def role_by_name(folder: str, siblings: Collection[str]) -> tuple[Role, tuple[str, ...]] | None:
    """The role of a folder, and the side or class that its name holds besides; None where it has no role."""
    name = folder.casefold()
    if name in IMAGE_FOLDERS:
        return "image", ()
    if name in MASK_FOLDERS or name in LABEL_FOLDERS:
        return "mask", ()
    match = _WITH_MORE.fullmatch(name)
    if match is None or (match["before"] and match["after"]):
        return None
    role: Role = "image" if match["image"] else "mask"
    start, end = match.span("before" if match["before"] else "after")
    more = folder[start:end] if match["before"] or match["after"] else ""
    if side_of(more) is not None:
        return role, (more,)
    if role == "mask" and more.casefold() in siblings:
        return role, (more,)  # the mask folder of a class beside it
    if match["mask"] and not IMAGE_FOLDERS.isdisjoint(siblings):
        return role, ()
    return None
