"""Images that count as good only because no mask was found for them, where the others say that one should be there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Side
from carpet_data.errors import DataError
from carpet_data.formats.account.looks import empty_share
from carpet_data.formats.account.unread import Finding, ReadImage
from carpet_data.formats.folders import good_names, side_of

__all__ = ["findings"]

_CODE = "mask-missing"
_SHOWN = 3


def findings(root: Path, images: Sequence[ReadImage]) -> Iterator[Finding]:
    """Reasons to doubt that images without a mask are good, where masks alone say which images are.

    A side without any mask is trusted if it is train, or if train holds none either: then all defects are elsewhere.
    """
    by_mask = [seen for seen in images if not good_names(seen.image.split("/")[:-1])]
    bare = [seen for seen in by_mask if seen.by_lack]
    masks = sorted(mask for seen in by_mask for mask in seen.masks)
    # Of class-index masks, the class was read already.
    empty_indices = sum(seen.annotated and not seen.masks and seen.class_name == GOOD for seen in by_mask)
    if not bare:
        return
    found = list(_sides(root, by_mask))
    yield from found
    empty = empty_share(root, masks) * len(masks) + empty_indices
    if not found and empty > len(bare):
        yield Finding(
            _CODE,
            DataError(
                f"{_named(bare)} no mask, and other good images have an empty one: nothing says what "
                f"{'it shows' if len(bare) == 1 else 'these show'}",
                where=root / bare[0].image,
                hint="restore the masks, or save empty ones (all 0) for good images",
            ),
            tuple(seen.image for seen in bare),
        )


def _sides(root: Path, images: Sequence[ReadImage]) -> Iterator[Finding]:
    """Sides without any mask, where train has some."""
    of_side: dict[Side, list[ReadImage]] = defaultdict(list)
    for seen in images:
        sides = [side for folder in seen.image.split("/")[:-1] if (side := side_of(folder)) is not None]
        if sides:
            of_side[sides[0]].append(seen)
    if not any(seen.annotated for seen in of_side.get("train", ())):
        return
    for side, its in sorted(of_side.items()):
        if side != "train" and not any(seen.annotated for seen in its):
            yield Finding(
                _CODE,
                DataError(
                    f"{_named(its)} no mask, nor has any other image of {side}, though images of train have masks",
                    where=root / its[0].image,
                    hint="put the masks where those of train are; if all of these are good, move them into a folder "
                    "called good",
                ),
                tuple(seen.image for seen in its),
            )


def _named(images: Sequence[ReadImage]) -> str:
    shown = ", ".join(seen.image for seen in images[:_SHOWN]) + (", …" if len(images) > _SHOWN else "")
    return f"{counted(len(images), 'image')} ({shown}) {'has' if len(images) == 1 else 'have'}"
