"""Comparisons that hold: conditions, partitions, paired tests."""
