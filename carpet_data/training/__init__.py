"""Classifiers: tables of pixels, views, features, loops, heads, checkpoints.

Nothing is imported here: run folders are read without torch. What works with torch imports `carpet_data.networks`,
which says so where the extra `train` is missing.
"""
