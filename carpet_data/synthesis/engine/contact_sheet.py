"""Contact sheets of samples: each as image, with its mask's outline, and with its largest defect enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from carpet_data.core import masks, sheets
from carpet_data.core.images import encode_png, read
from carpet_data.core.masks.runs import to_binary
from carpet_data.core.sheets import evenly
from carpet_data.dataset import Sample
from carpet_data.errors import DataError, ProblemsError
from carpet_data.formats.skipped import about_image
from carpet_data.store import manifest, names
from carpet_data.store.files import write_bytes
from carpet_data.store.manifest import Tombstone
from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.engine.batch import Batch

PREVIEWS = "previews"
SHOWN = 8

_TILE_PX = 300
_LONG_PX = 900
"""Length of a strip: three tiles."""
_ACROSS = 2


def of_batch(root: Path, batch: Batch, recipe: str, added: Sequence[Sample] = ()) -> Path:
    """Write the sheet of a batch under `previews/`, of samples picked evenly over it.

    The picture depends on what the batch holds alone, not on how many commands made it; `added` are samples that are
    about to join the manifest.
    """
    kept = (entry for entry in manifest.stream(root / names.MANIFEST) if not isinstance(entry, Tombstone))
    by_id = {sample.id: sample for sample in (*kept, *added) if batch.holds(sample.provenance)}
    defects = [by_id[sample_id] for sample_id in sorted(by_id) if by_id[sample_id].class_name == batch.class_name]
    path = root / PREVIEWS / f"{names.component(f'{batch.class_name}_{recipe}_{batch.code}_s{batch.seed}')}.png"
    title = (
        f"{batch.class_name}: {len(defects)} by {recipe} ({batch.recipe[:8]}), seed {batch.seed}, split {batch.split}"
    )
    write_bytes(path, encode_png(draw(root, evenly(defects, SHOWN), title)))
    return path


def readable(
    root: Path, samples: Sequence[Sample], *, skip_faulty: bool
) -> tuple[tuple[Sample, ...], tuple[DataError, ...]]:
    """The samples that can be drawn, and the errors of the others.

    Raises:
        ProblemsError: Samples that cannot be drawn and are not to be skipped; or none can.
    """
    errors = [_problem(root, sample) for sample in samples]
    kept = tuple(sample for sample, error in zip(samples, errors, strict=True) if error is None)
    found = [(error, root / sample.image_path) for sample, error in zip(samples, errors, strict=True) if error]
    if found and (not kept or not skip_faulty):
        raise ProblemsError([error for error, _ in found])
    return kept, tuple(about_image(error, image) for error, image in found)


def _problem(root: Path, sample: Sample) -> DataError | None:
    try:
        read(root / sample.image_path)
        masks.load(root, sample)
    except DataError as error:
        return error
    return None


def draw(root: Path, samples: Sequence[Sample], title: str) -> Image:
    """Draw a contact sheet, uint8 HxWx3 RGB, with a title above all.

    Raises:
        DataError: There is no sample to show, or a file cannot be read.
    """
    if not samples:
        raise DataError("there is nothing to show", where=root, hint="ask for samples that are there")
    panels = [sheets.panel([sample.id], _tiles(root, sample)) for sample in samples]
    return sheets.sheet(panels, across=_ACROSS, title=title)


def _tiles(root: Path, sample: Sample) -> list[Image]:
    image = read(root / sample.image_path)
    mask = to_binary(masks.load(root, sample).runs)
    if sheets.is_strip(sample.width, sample.height):
        return _strip(image, mask)
    whole = sheets.fitted(image, _TILE_PX)
    if not mask.any():
        return [whole]
    x, y, width, height = sheets.around(mask)
    enlarged = sheets.fitted(image[y : y + height, x : x + width], _TILE_PX)
    return [whole, _outlined(whole, mask), enlarged]


def _strip(image: Image, mask: Mask) -> list[Image]:
    """A long image in full length with a frame around the crop, and the crop without and with its outline.

    Beside each other three such images would be as thin as a line, so that of a wide one the crops lie below it.
    """
    high = image.shape[0] > image.shape[1]
    whole = sheets.fitted(image, _LONG_PX)
    if not mask.any():
        return [whole]
    x, y, width, height = sheets.around(mask)
    place = np.s_[y : y + height, x : x + width]
    scale = max(whole.shape) / max(image.shape)
    box = (round(x * scale), round(y * scale), round(width * scale), round(height * scale))
    framed = sheets.framed(_outlined(whole, mask), box)
    crop = sheets.fitted(image[place], _TILE_PX)
    crops = [crop, _outlined(crop, mask[place])]
    return [framed, *crops] if high else [sheets.stacked([framed, sheets.panel([], crops)])]


def _outlined(shown: Image, mask: Mask) -> Image:
    """A picture with the outline of a mask that is as large as the picture was."""
    height, width = shown.shape[:2]
    how = cv2.INTER_AREA if width < mask.shape[1] else cv2.INTER_NEAREST
    return sheets.outlined(shown, cv2.resize(mask.astype(np.float32), (width, height), interpolation=how) > 0)
