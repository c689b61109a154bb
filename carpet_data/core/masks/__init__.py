"""Masks: runs, connected components, run-length encoding, polygons. Exact everywhere."""

from carpet_data.core.masks.read import load
from carpet_data.core.masks.regions import Regions, find
from carpet_data.core.masks.runs import LabelMask

__all__ = ["LabelMask", "Regions", "find", "load"]
