"""Learned methods: networks that are trained on the training images of one split, then used by recipes like any other.

Nothing is imported here, and the modules in the registry import torch only when they fit or render, so that recipes are
read without it. Whatever needs torch imports `carpet_data.learned.fit_runtime` first, which names the extra `generate`
where it is missing.
"""
