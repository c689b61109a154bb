"""Formats: one object each, with its reader, its writer or both; further packages add theirs by an entry point."""

from carpet_data.formats.reading import read
from carpet_data.formats.registry import FORMATS, Format, ReadOptions

__all__ = ["FORMATS", "Format", "ReadOptions", "read"]
