"""Counts, areas and sizes of a data set: `summary` measures and sums up, `stats` counts, `plots` draws."""
