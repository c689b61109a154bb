"""The prepared folder: manifest, journal, lock, splits."""

from carpet_data.layout.dataset import is_prepared, read, stream

__all__ = ["is_prepared", "read", "stream"]
