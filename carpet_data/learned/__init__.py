"""Learned methods: networks that are fitted to the train side of one split, then used by recipes like any other method.

Nothing is imported here, and the modules named in the registry import torch only when they fit or render, so that
recipes are read without it. What works with torch imports `carpet_data.learned.fit_runtime` first, which says so where
the extra `generate` is missing.
"""
