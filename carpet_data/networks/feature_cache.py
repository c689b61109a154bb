"""Features that were computed once: kept in memory and on disk, both bounded, the least recently used out first."""

from __future__ import annotations

import os
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from carpet_data.errors import UsageError
from carpet_data.store.files import replacing

__all__ = ["LIMIT", "FeatureCache"]

LIMIT = "CARPET_DATA_FEATURE_CACHE_GB"
"""Environment variable: the size that all kept features of one data set may have on disk, in GB; 0 keeps none."""

F32 = NDArray[np.float32]

_DEFAULT_GB = 2.0


class FeatureCache:
    """Features by key, in memory up to `memory_bytes`, and in a folder for the next run; None to keep none on disk.

    Examples:
        >>> cache = FeatureCache(memory_bytes=1000)
        >>> cache.put("a", np.ones((1, 2, 3), np.float32))
        >>> float(cache.get("a", (1, 2, 3)).sum())
        6.0
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, memory_bytes: int = 0) -> None:
        self._folder = None if folder is None else Path(folder)
        self._limit = _limit() if folder is not None else 0
        self._memory_bytes = memory_bytes
        self._held: OrderedDict[str, F32] = OrderedDict()

    def get(self, key: str, shape: tuple[int, ...]) -> F32 | None:
        """The features of a key; None where none of this shape are kept, or their file is damaged.

        The key is hex digits that stand for all that the features depend on.
        """
        held = self._held.get(key)
        if held is not None and held.shape == shape:
            self._held.move_to_end(key)
            return held
        if self._folder is None:
            return None
        path = self._path(key)
        with suppress(OSError, ValueError, EOFError):
            values = np.load(path, allow_pickle=False)
            if values.shape == shape and values.dtype == np.float32:
                os.utime(path)
                self._hold(key, values)
                return np.asarray(values)
        return None

    def put(self, key: str, values: F32) -> None:
        """Keep features, and remove the least recently used ones where all together exceed a limit."""
        self._hold(key, values)
        if self._folder is None or values.nbytes > self._limit:
            return
        with replacing(self._path(key), durable=False) as out:
            np.save(out, values)
        self._shrink()

    def _path(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / f"features-{key}.npy"

    def _hold(self, key: str, values: F32) -> None:
        if values.nbytes > self._memory_bytes:
            return
        self._held[key] = values
        self._held.move_to_end(key)
        while sum(each.nbytes for each in self._held.values()) > self._memory_bytes:
            self._held.popitem(last=False)

    def _shrink(self) -> None:
        assert self._folder is not None
        states = []
        for path in self._folder.glob("features-*.npy"):
            with suppress(FileNotFoundError):  # another process may be removing them too
                states.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        left = sum(size for _, size, _ in states)
        for _, size, path in sorted(states):
            if left <= self._limit:
                return
            path.unlink(missing_ok=True)
            left -= size


def _limit() -> int:
    """The limit on disk in bytes.

    Raises:
        UsageError: The variable is not a number.
    """
    text = os.environ.get(LIMIT, str(_DEFAULT_GB))
    with suppress(ValueError):
        size = float(text)
        if 0 <= size < float("inf"):
            return int(size * 10**9)
    raise UsageError(f"invalid {LIMIT} value {text!r}", hint="give a number of GB, such as 2, or 0 to keep none")
