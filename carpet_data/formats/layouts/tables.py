"""The tables that published data sets say the classes of their images in."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from carpet_data.core.files import regular
from carpet_data.dataset import GOOD, Side
from carpet_data.errors import DataError
from carpet_data.formats.classes.rules import DEFECT
from carpet_data.formats.entries import COMBINED
from carpet_data.formats.folders import side_of
from carpet_data.formats.layouts.layout import Labels

__all__ = ["dagm_labels", "visa_labels", "voc_sides"]

_VISA_TABLE = "image_anno.csv"
_VOC_LISTS = "imagesets/segmentation"
_DAGM_TABLE = "labels.txt"
_DAGM_COLUMNS = 5


def visa_labels(root: Path, files: Sequence[str]) -> Labels:
    """VisA's image_anno.csv: columns image, label and mask; a label is normal, or defect types with commas between.

    Raises:
        DataError: The table cannot be read, or lacks a column.
    """
    table = next((path for path in files if path.casefold() == _VISA_TABLE), None)
    if table is None:
        return Labels({})
    classes: dict[str, str] = {}
    rows = csv.DictReader(_lines(root / table))
    if not {"image", "label"} <= set(rows.fieldnames or ()):
        raise DataError(
            "the table lacks the columns image and label", where=root / table, hint="use the file that VisA ships"
        )
    for row in rows:
        # The table's paths begin above the category: candle/Data/Images/Anomaly/000.JPG.
        path = PurePosixPath((row["image"] or "").replace("\\", "/"))
        class_name = _visa_class(row["label"] or "")
        if class_name:
            classes["/".join(path.parts[1:])] = classes[str(path)] = class_name
    return Labels(classes, (table,))


def _visa_class(label: str) -> str:
    types = [part.strip() for part in label.split(",") if part.strip()]
    if [each.casefold() for each in types] == ["normal"]:
        return GOOD
    return COMBINED if len(types) > 1 else next(iter(types), "")


def dagm_labels(root: Path, files: Sequence[str]) -> Labels:
    """DAGM's Labels.txt: number, 1 for a defect, image, 0, mask or 0; the first line is a number alone.

    Raises:
        DataError: A table cannot be read, or a line is not of that form.
    """
    classes: dict[str, str] = {}
    tables = [path for path in files if PurePosixPath(path).name.casefold() == _DAGM_TABLE]
    for table in tables:
        side = PurePosixPath(table).parent.parent
        for number, line in enumerate(_lines(root / table), start=1):
            cells = line.split()
            if len(cells) < _DAGM_COLUMNS:
                if number > 1 and cells:
                    raise DataError(
                        "the line does not hold number, class, image, 0 and mask",
                        where=f"{root / table}, line {number}",
                        hint="use the file that DAGM ships, or remove it to take the classes from the masks",
                    )
                continue
            classes[str(side / cells[2])] = DEFECT if cells[1] == "1" else GOOD
    return Labels(classes, tuple(tables))


def voc_sides(root: Path, files: Sequence[str]) -> dict[str, Side]:
    """Pascal VOC's ImageSets/Segmentation/{train,val,test}.txt: a stem on each line.

    Raises:
        DataError: A list cannot be read.
    """
    sides: dict[str, Side] = {}
    for path in files:
        name = PurePosixPath(path)
        side = side_of(name.stem)
        if side is not None and str(name.parent).casefold() == _VOC_LISTS and name.suffix.casefold() == ".txt":
            sides.update((line.strip(), side) for line in _lines(root / path) if line.strip())
    return sides


def _lines(path: Path) -> Iterator[str]:
    try:
        return iter(regular(path).read_text(encoding="utf-8-sig").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the table cannot be read ({error})", where=path, hint="restore the file") from error
