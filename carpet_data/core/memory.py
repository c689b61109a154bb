"""The C library's allocator, told to keep what a process frees: its next image needs blocks of the same size."""

from __future__ import annotations

import ctypes
import platform
from functools import cache

__all__ = ["keep_freed_memory"]

# The numbers of mallopt's parameters in glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Let freed blocks stay with this process; once for its life.

    glibc returns large blocks to the system when they are freed, and the next image, or the next step of a network on
    the CPU, asks for the same ones: every page of them is then cleared and mapped again. That took 40 % of the time of
    a forward pass (benchmarks/train.py) and 4 to 10 % of an export. The process keeps what it needed at its peak.

    Returns:
        Whether it was done: False where the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return bool(library.mallopt(_MMAP_MAX, 0)) and bool(library.mallopt(_TRIM_THRESHOLD, _NEVER))
