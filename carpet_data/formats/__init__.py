"""Formats: one file a format and direction."""

from carpet_data.formats.registry import READERS, ReadOptions, read

__all__ = ["READERS", "ReadOptions", "read"]
