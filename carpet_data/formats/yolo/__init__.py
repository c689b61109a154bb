"""YOLO labels as Ultralytics reads and writes them."""

from __future__ import annotations

from carpet_data.formats.folders import GROUND_TRUTH
from carpet_data.formats.glance import IMAGE_FOLDERS, Folder
from carpet_data.formats.options import YoloOptions
from carpet_data.formats.registry import Format, summary_of
from carpet_data.formats.yolo.reader import read
from carpet_data.formats.yolo.writer import write

__all__ = ["YOLO"]

_SNIFFED_BYTES = 1 << 16


def _looks_like(folder: Folder) -> bool:
    """Whether a data.yaml names classes, or labels/ lies beside images/; ground truth beside sides is MVTec's."""
    if GROUND_TRUTH in folder.folders and folder.sides:
        return False
    for path in folder.files(".yaml", ".yml"):
        with path.open("rb") as file:
            if any(line.startswith(b"names") for line in file.read(_SNIFFED_BYTES).splitlines()):
                return True
    for parent in (folder, *(Folder(path) for path in folder.sides)):
        if "labels" in parent.folders and not IMAGE_FOLDERS.isdisjoint(parent.folders):
            labels = Folder(parent.folders["labels"])
            if any(next(place.files(".txt"), None) for place in (labels, *map(Folder, labels.folders.values()))):
                return True
    return False


YOLO = Format(
    "yolo",
    summary_of("yolo"),
    read=read,
    write=write,
    options=YoloOptions,
    looks_like=_looks_like,
    file_suffixes=(".yaml", ".yml"),
)
