"""Features that were computed once: kept in memory and on disk, both bounded, the least recently used out first."""

from __future__ import annotations

import io
import os
import zlib
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from carpet_data.errors import UsageError
from carpet_data.store.files import replacing

__all__ = ["LIMIT", "FeatureCache"]

LIMIT = "CARPET_DATA_FEATURE_CACHE_GB"
"""Environment variable: the size that all kept features of one data set may have on disk, in GB; 0 keeps none."""

Values = NDArray[Any]

_DEFAULT_GB = 5.0
"""The maps of 16 images of 1024 pixels in 8 positions, and of 120 synthetic ones in one, take 3.5 GB."""
_TRIMMED = 0.95
"""Share of the limit that is left when old files are removed, so that not each new file has to look for some."""
_SHARE = 8
"""Part of the limit that a process writes before it looks at what others have written meanwhile."""
_CHECK_BYTES, _HEADER_BYTES = 4, 4096


class FeatureCache:
    """Features by key, in memory up to `memory_bytes`, and in a folder for the next run; None to keep none on disk.

    A file is an array as numpy writes it, with the CRC-32 of these bytes behind it: what a crash or a disk damaged is
    no feature. Several processes may use one folder.

    Examples:
        >>> cache = FeatureCache(memory_bytes=1000)
        >>> cache.put("a", np.ones((1, 2, 3), np.float32))
        >>> float(cache.get("a", (1, 2, 3)).sum())
        6.0
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, memory_bytes: int = 0) -> None:
        self._folder = None if folder is None else Path(folder)
        self._limit = _limit() if folder is not None else 0
        self._room = 0
        self._memory_bytes = memory_bytes
        self._held: OrderedDict[str, Values] = OrderedDict()
        self._held_bytes = 0

    def get(self, key: str, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> Values | None:
        """The features of a key; None where none of this shape and type are kept, or their file is damaged.

        The key is hex digits that stand for all that the features depend on. They are not to be changed.
        """
        held = self._held.get(key)
        if held is not None and held.shape == shape and held.dtype == dtype:
            self._held.move_to_end(key)
            return held
        if self._folder is None:
            return None
        path = self._path(key)
        with suppress(OSError, ValueError, EOFError):
            values = _read(path)
            if values.shape == shape and values.dtype == dtype:
                os.utime(path)
                self._hold(key, values)
                return values
        return None

    def put(self, key: str, values: Values) -> None:
        """Keep features, and remove the least recently used ones where all together exceed a limit."""
        self._hold(key, values)
        if self._folder is None or values.nbytes > self._limit:
            return
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(values))
        data = buffer.getbuffer()
        with replacing(self._path(key), durable=False) as out:
            out.write(data)
            out.write(zlib.crc32(data).to_bytes(_CHECK_BYTES, "little"))
        self._room -= len(data) + _CHECK_BYTES
        if self._room < 0:
            self._shrink()

    def _path(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / f"features-{key}.npy"

    def _hold(self, key: str, values: Values) -> None:
        if values.nbytes > self._memory_bytes:
            return
        before = self._held.pop(key, None)
        self._held_bytes += values.nbytes - (0 if before is None else before.nbytes)
        self._held[key] = values
        while self._held_bytes > self._memory_bytes:
            self._held_bytes -= self._held.popitem(last=False)[1].nbytes

    def _shrink(self) -> None:
        """Count what all processes have written, remove the oldest files where it is too much, and say when next."""
        assert self._folder is not None
        states = []
        for path in self._folder.glob("features-*.npy"):
            with suppress(FileNotFoundError):  # another process may be removing them too
                states.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        left = sum(size for _, size, _ in states)
        if left > self._limit:
            for _, size, path in sorted(states):
                if left <= self._limit * _TRIMMED:
                    break
                path.unlink(missing_ok=True)
                left -= size
        self._room = min(self._limit - left, self._limit // _SHARE)


def _read(path: Path) -> Values:
    """The array of a file.

    Raises:
        ValueError: It is damaged.
    """
    data = np.fromfile(path, np.uint8)
    body, check = data[:-_CHECK_BYTES].data, data[-_CHECK_BYTES:].tobytes()
    if zlib.crc32(body) != int.from_bytes(check, "little"):
        raise ValueError("damaged")
    stream = io.BytesIO(body[:_HEADER_BYTES].tobytes())
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("of another version")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    return np.frombuffer(body, dtype, offset=stream.tell()).reshape(shape)


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
