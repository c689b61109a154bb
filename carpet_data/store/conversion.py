"""Masks of any source as one of the two kinds of file that a prepared folder holds.

A binary PNG of 0 and 255 suffices where the instances are the connected components of one class; elsewhere an
instance-index PNG with its table does. A mask that is such a binary PNG already keeps its bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from carpet_data.core import masks
from carpet_data.core.images import encode_png, probe, read_values
from carpet_data.core.masks.components import label
from carpet_data.core.masks.runs import Runs, from_binary, to_binary, to_values
from carpet_data.dataset import Annotation, ClassFile, IndexFile, MaskFile, MaskStack, Sample, Shapes
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.store.files import sha256

Form: TypeAlias = Literal["none", "kept", "binary", "index"]
"""none: no mask. kept: its bytes stay. binary, index: rewritten as such a file."""

_MAX_INSTANCES = 65535


@dataclass(frozen=True, slots=True)
class MaskForm:
    """What the mask of one sample holds.

    Attributes:
        form: How the prepared folder will hold it.
        table: For "index": (index, class) of each instance.
        empty: The mask marks no pixel.
        grey: A binary mask file had other values than 0 and 255.
        lost: Number of instances without a pixel, which are skipped.
        overlaps: Some of its pixels are claimed by several annotations; each went to one of them.
        digest: Hex digest of all that the mask was read from; empty without a mask.
    """

    form: Form
    table: tuple[tuple[int, str], ...] = ()
    empty: bool = False
    grey: bool = False
    lost: int = 0
    overlaps: bool = False
    digest: str = ""


def inspect(job: tuple[str, Sample]) -> MaskForm | CarpetDataError:
    """Examine a mask (the root and a sample of it); a problem is returned, so that one does not hide the others."""
    try:
        return _inspect(Path(job[0]), job[1])
    except CarpetDataError as error:
        return error


def _inspect(root: Path, sample: Sample) -> MaskForm:
    mask_form = _look(root, sample)
    return mask_form if sample.annotation is None else replace(mask_form, digest=_digest(root, sample.annotation))


def _digest(root: Path, annotation: Annotation) -> str:
    digest = hashlib.sha256(repr(annotation).encode(errors="surrogatepass"))
    match annotation:
        case MaskFile(path=path) | IndexFile(path=path) | ClassFile(path=path):
            paths = [path]
        case MaskStack(files=files):
            paths = [path for path, _ in files]
        case Shapes():
            paths = []
    for path in paths:
        digest.update(sha256(root / path).encode())
    return digest.hexdigest()


def _look(root: Path, sample: Sample) -> MaskForm:
    match sample.annotation:
        case None:
            return MaskForm("none")
        case MaskFile(path=path):
            mask = masks.load(root, sample)
            plain = _is_plain(root / path)
            values = read_values(root / path)
            top = 255 if values.dtype == np.uint8 else 65535
            grey = bool(((values != 0) & (values != top)).any())
            form: Form = "kept" if plain and not grey else "binary"
            return MaskForm(form, empty=len(mask.runs) == 0, grey=grey)
        case MaskStack(files=files):
            _check_count(len(files), root, sample)
        case Shapes(shapes=shapes):
            _check_count(len(shapes), root, sample)
        case IndexFile() | ClassFile():
            pass
    mask = masks.load(root, sample)
    present = sorted(set(mask.runs.value.tolist()))
    lost = len(mask.names) - len(present)
    if set(mask.names) <= {sample.class_name} and components_are_instances(mask, len(present)):
        return MaskForm("binary", empty=not present, lost=lost, overlaps=mask.shared_px > 0)
    # Numbered from 1 without gaps, in the order of the source.
    table = tuple((number, mask.names[value - 1]) for number, value in enumerate(present, start=1))
    return MaskForm("index", table, empty=not present, lost=lost, overlaps=mask.shared_px > 0)


def render(root: Path, sample: Sample, form: Literal["binary", "index"]) -> bytes:
    """The PNG of a mask that is rewritten, in the form that `inspect` found."""
    mask = masks.load(root, sample)
    if form == "binary":
        return encode_png(to_binary(mask.runs))
    runs = mask.runs
    present = np.unique(runs.value)
    number = np.searchsorted(present, runs.value) + 1
    compact = Runs(runs.height, runs.width, runs.column, runs.start, runs.stop, number)
    values: NDArray[np.uint8] | NDArray[np.uint16] = to_values(compact, np.uint8 if len(present) <= 255 else np.uint16)
    return encode_png(values)


def _is_plain(path: Path) -> bool:
    """Whether a file is an upright 8-bit gray PNG, so that its bytes can stay if its values can."""
    info = probe(path)
    return (info.format, info.mode, info.bits, info.orientation, info.frames) == ("png", "grey", 8, 1, 1)


def components_are_instances(mask: masks.LabelMask, count: int) -> bool:
    """Whether a binary file holds the same instances, whichever connectivity it is read with."""
    if count == 0:
        return True
    union = from_binary(to_binary(mask.runs))
    if label(union, 8)[1] != count:
        return False
    # As many pieces as instances, and none of these in two: each piece is one instance.
    return all(label(_of(mask.runs, value), 4)[1] == 1 for value in np.unique(mask.runs.value).tolist())


def _of(runs: Runs, value: int) -> Runs:
    chosen = runs.value == value
    return Runs(runs.height, runs.width, runs.column[chosen], runs.start[chosen], runs.stop[chosen], runs.value[chosen])


def _check_count(count: int, root: Path, sample: Sample) -> None:
    if count > _MAX_INSTANCES:
        raise DataError(
            f"{count} instances; an index mask holds at most {_MAX_INSTANCES}",
            where=root / sample.image_path,
            hint="cut the image into tiles",
        )
