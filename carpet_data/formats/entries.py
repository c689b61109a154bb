"""One image of a folder by its name, before any file is opened."""

from __future__ import annotations

from dataclasses import dataclass

from carpet_data.dataset import Side
from carpet_data.errors import DataError

__all__ = ["COMBINED", "ImageEntry", "NoImagesError"]

COMBINED = "combined"
"""The class of an image with defects of several types; MVTec AD calls it so."""


class NoImagesError(DataError):
    """A format finds no image in a folder: it may be of another format."""


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """One image by its name.

    Attributes:
        image: Path relative to the root, POSIX.
        class_name: The folder that it lies in.
        side: train, val or test as the folders say; None where they do not.
        masks: (path, class_name) of its mask files. One file is a binary mask; several are one instance each.
        stacked: Whether the masks are one instance per file even where there is only one (LOCO).
        by_mask: Whether the image is good after all if its mask is empty, because no folder says its class.
        group: Images of one group show one thing; None where the names do not say.
    """

    image: str
    class_name: str
    side: Side | None
    masks: tuple[tuple[str, str], ...] = ()
    stacked: bool = False
    by_mask: bool = False
    group: str | None = None
