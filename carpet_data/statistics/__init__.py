"""Counts, areas and sizes of a data set: `measure` opens the masks, `summary` sums up, `plots` draws."""
