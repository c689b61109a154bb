"""Synthesis: new images of rare defects, with exact masks and a record of where each came from."""
