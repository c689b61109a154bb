"""Preview: a contact sheet of a data set's samples."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from carpet_data import formats
from carpet_data.core.images import PICTURES, encode_picture
from carpet_data.core.results import Result
from carpet_data.core.sheets import evenly
from carpet_data.dataset import Dataset
from carpet_data.errors import DataError, UsageError
from carpet_data.formats import ReadOptions
from carpet_data.formats.account.roles import Account
from carpet_data.formats.account.unread import source_lines
from carpet_data.formats.export import default_out
from carpet_data.formats.skipped import skipped_lines
from carpet_data.store.files import write_bytes
from carpet_data.store.output import check_file
from carpet_data.synthesis.engine import contact_sheet

__all__ = ["PreviewResult", "preview"]

_MAX = 200


@dataclass(frozen=True, slots=True)
class PreviewResult(Result):
    """What `preview` drew.

    Attributes:
        out: The picture.
        ids: Samples shown, in its order.
        width: Pixels across.
        height: Pixels down.
        skipped: One error for each image left out (skip_faulty); `where` is the image file.
        source: What each folder was taken for; None for a prepared folder.
    """

    out: Path
    ids: tuple[str, ...]
    width: int
    height: int
    skipped: tuple[DataError, ...] = ()
    source: Account | None = None

    def text(self) -> str:
        """The result in words."""
        shown = f"{len(self.ids)} samples in {self.out} ({self.width}x{self.height})"
        return "\n".join([*skipped_lines(self.skipped), *source_lines(self.source), shown])


def preview(
    root: str | os.PathLike[str] | Dataset,
    out: str | os.PathLike[str] | None = None,
    *,
    class_names: Sequence[str] = (),
    origin: Literal["real", "synthetic"] | None = None,
    n: int = 12,
    read_options: ReadOptions | None = None,
    overwrite: bool = False,
) -> PreviewResult:
    """Draw a contact sheet: each sample as image, with its mask's outline, and its largest defect enlarged.

    Args:
        root: A raw or a prepared data set, or a Dataset that was read already.
        out: The picture, PNG, JPEG or WebP by its suffix; None for `NAME-preview.png` beside it.
        class_names: Only these classes; none for all.
        origin: Only real or only synthetic samples.
        n: Maximum number of samples, evenly spaced, 1 … 200.
        read_options: How to read a raw data set; its `skip_faulty` leaves out images with problems instead of failing.
        overwrite: Replace the picture.

    Raises:
        UsageError: A class is unknown (the nearest is offered), `n` is out of range, or `out` does not end like a
            picture.
        DataError: No sample is left to show, or a file cannot be read.
        OutputError: The picture exists.
    """
    if not 1 <= n <= _MAX:
        raise UsageError(f"--n must be 1 to {_MAX} (got {n})")
    if out is not None and Path(out).suffix.lower() not in PICTURES:
        raise UsageError(
            f"unsupported image type {Path(out).suffix!r}",
            where=out,
            hint=f"use a name that ends in {', '.join(PICTURES)}",
        )
    dataset = formats.read(root, read_options)
    chosen = dataset.of_class(*class_names) if class_names else dataset
    chosen = chosen if origin is None else chosen.of_origin(origin)
    out = default_out(dataset.root, "preview.png") if out is None else Path(out)
    check_file(out, overwrite=overwrite)
    skip = read_options is not None and read_options.skip_faulty
    shown, skipped = contact_sheet.readable(dataset.root, evenly(chosen.samples, n), skip_faulty=skip)
    what = ", ".join(class_names) or "all classes"
    picture = contact_sheet.draw(dataset.root, shown, f"{dataset.name}: {len(shown)} of {len(chosen)} ({what})")
    write_bytes(out, encode_picture(picture, out.suffix))
    ids = tuple(sample.id for sample in shown)
    return PreviewResult(out, ids, picture.shape[1], picture.shape[0], (*dataset.skipped, *skipped), dataset.account)
