"""The prepared folder: manifest, journal, lock, splits."""

from carpet_data.store.append import Addition, Appender, abandon, appending, drop
from carpet_data.store.reading import is_prepared, read, stream
from carpet_data.store.verify import verify

__all__ = ["Addition", "Appender", "abandon", "appending", "drop", "is_prepared", "read", "stream", "verify"]
