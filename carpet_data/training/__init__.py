"""Classifiers: tables of pixels, loops, heads, checkpoints."""
