"""Layouts of published data sets, each a description in a table; one reader reads them all."""

from __future__ import annotations

import functools

from carpet_data.formats.layouts import reader, recognition, table
from carpet_data.formats.layouts.layout import Images, Layout
from carpet_data.formats.registry import Format, summary_of

__all__ = [
    "AITEX",
    "DAGM",
    "KOLEKTOR_SDD",
    "KOLEKTOR_SDD2",
    "MAGNETIC_TILES",
    "MVTEC_3D",
    "NEU_SEG",
    "REAL_IAD",
    "VISA",
    "Images",
    "Layout",
    "format_of",
]


def format_of(layout: Layout, summary: str) -> Format:
    """The format of a layout, with its reader; `summary` is one line on it."""
    return Format(
        layout.name,
        summary,
        read=functools.partial(reader.read, layout),
        looks_like=functools.partial(recognition.looks_like, layout),
        scan=functools.partial(reader.scan, layout),
    )


def _format(layout: Layout) -> Format:
    return format_of(layout, summary_of(layout.name))


VISA = _format(table.VISA)
DAGM = _format(table.DAGM)
KOLEKTOR_SDD = _format(table.KOLEKTOR_SDD)
KOLEKTOR_SDD2 = _format(table.KOLEKTOR_SDD2)
AITEX = _format(table.AITEX)
MVTEC_3D = _format(table.MVTEC_3D)
NEU_SEG = _format(table.NEU_SEG)
REAL_IAD = _format(table.REAL_IAD)
MAGNETIC_TILES = _format(table.MAGNETIC_TILES)
