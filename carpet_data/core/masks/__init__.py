"""Masks: runs, connected components, run-length encoding, polygons. Exact everywhere."""

from carpet_data.core.masks.label_mask import LabelMask
from carpet_data.core.masks.read import load
from carpet_data.core.masks.regions import Regions, find

__all__ = ["LabelMask", "Regions", "find", "load"]
