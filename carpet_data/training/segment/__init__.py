"""Segmentation networks that are trained whole: a class for every pixel."""
