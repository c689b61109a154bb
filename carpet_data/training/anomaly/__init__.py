"""Anomaly models: what is normal is learned from good images only."""
