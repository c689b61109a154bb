"""Detectors that are trained whole: a box, and with Mask R-CNN a mask, for every defect."""
