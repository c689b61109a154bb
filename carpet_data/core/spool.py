"""Arrays kept in memory up to a limit, and in a temporary file beyond it."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

__all__ = ["Spool"]

F32 = NDArray[np.float32]


class Spool:
    """A list of float32 arrays of one axis that outgrows the memory if it must.

    Args:
        memory_bytes: What is kept in memory; arrays beyond it are written to a nameless temporary file, which the
            system removes with the spool.

    Examples:
        >>> spool = Spool(memory_bytes=8)
        >>> for values in ([1, 2], [3], []):
        ...     spool.append(np.array(values, np.float32))
        >>> len(spool), spool.size, [each.tolist() for each in spool]
        (3, 3, [[1.0, 2.0], [3.0], []])
    """

    def __init__(self, memory_bytes: int = 1 << 30) -> None:
        self._left = memory_bytes
        self._kept: list[F32] = []
        self._lengths: list[int] = []
        self._file: IO[bytes] | None = None

    def append(self, values: F32) -> None:
        """Add an array; it must not be changed afterwards."""
        if self._file is None and values.nbytes > self._left:
            self._file = tempfile.TemporaryFile(prefix="carpet-data-")  # noqa: SIM115
            weakref.finalize(self, self._file.close)
        if self._file is None:
            self._kept.append(values)
            self._left -= values.nbytes
        else:
            np.ascontiguousarray(values).tofile(self._file)
        self._lengths.append(len(values))

    def __len__(self) -> int:
        return len(self._lengths)

    @property
    def size(self) -> int:
        """Number of values in all."""
        return sum(self._lengths)

    def __iter__(self) -> Iterator[F32]:
        """The arrays, in order; not to be changed."""
        yield from self._kept
        if self._file is not None:
            self._file.flush()
            self._file.seek(0)
            for length in self._lengths[len(self._kept) :]:
                yield np.fromfile(self._file, np.float32, length)

    def chunks(self, values: int) -> Iterator[F32]:
        """Copies of the arrays, put together until they have at least this number of values; free to change."""
        waiting: list[F32] = []
        count = 0
        for each in self:
            waiting.append(each)
            count += len(each)
            if count >= values:
                yield np.concatenate(waiting)
                waiting, count = [], 0
        if waiting:
            yield np.concatenate(waiting)
