"""The C library's allocator, told that a training wants the same large blocks again and again."""

from __future__ import annotations

import ctypes
import platform
from functools import cache

__all__ = ["keep_freed_memory"]

# mallopt(3) of glibc.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Let freed blocks stay with this process; once for its life.

    glibc gives large blocks back to the system when they are freed, and the next step of a network on the CPU asks for
    the same ones: every page of them is then cleared and mapped anew, which took 40 % of the time of a forward pass
    (benchmarks/train.py). The process keeps what it needed at its peak.

    Returns:
        Whether it was done: False where the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return bool(library.mallopt(_MMAP_MAX, 0)) and bool(library.mallopt(_TRIM_THRESHOLD, _NEVER))
