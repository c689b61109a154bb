"""Figures of merit, intervals and paired tests; numpy only."""
