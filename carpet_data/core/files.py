"""Files that can be read to an end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

__all__ = ["regular"]

_KINDS = {
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def regular(path: Path) -> Path:
    """The same path, if what it leads to can be opened and read to an end: `regular(path).read_bytes()`.

    Opening a pipe waits until somebody writes to it, and a device such as /dev/zero never ends.

    Raises:
        OSError: It is a pipe, a socket or a device; or there is nothing, as opening it would say.

    Examples:
        >>> regular(Path(__file__)).name
        'files.py'
        >>> regular(Path(os.devnull))
        Traceback (most recent call last):
        OSError: [Errno 22] it is a device, not a file: '/dev/null'
    """
    kind = _KINDS.get(stat.S_IFMT(path.stat().st_mode))
    if kind is not None:
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", os.fspath(path))
    return path
