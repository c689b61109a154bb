"""The prepared folder: manifest, journal, lock, splits."""

from carpet_data.store.append import Addition, Appender, abandon, append, appending, drop, restore
from carpet_data.store.reading import is_prepared, read, stream
from carpet_data.store.verify import verify

__all__ = [
    "Addition",
    "Appender",
    "abandon",
    "append",
    "appending",
    "drop",
    "is_prepared",
    "read",
    "restore",
    "stream",
    "verify",
]
