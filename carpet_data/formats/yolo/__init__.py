"""YOLO labels as Ultralytics, Darknet and labeling tools write them."""

from __future__ import annotations

from carpet_data.formats.options import YoloOptions
from carpet_data.formats.registry import Format, summary_of
from carpet_data.formats.yolo.reader import read
from carpet_data.formats.yolo.recognize import looks_like
from carpet_data.formats.yolo.writer import write

__all__ = ["YOLO"]

YOLO = Format(
    "yolo",
    summary_of("yolo"),
    read=read,
    write=write,
    options=YoloOptions,
    looks_like=looks_like,
    file_suffixes=(".yaml", ".yml", ".data"),
)
