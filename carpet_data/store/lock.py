"""One writer at a time: an advisory lock on a folder, with its holder's name beside it."""

from __future__ import annotations

import contextlib
import errno
import getpass
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from carpet_data.errors import LockedError, OutputError
from carpet_data.store.names import HOLDER, LOCK, LOCK_FILES

_WAIT_S = 0.2
"""A holder that is just letting go removes its file, and who meets that has to try again."""

_NO_PERMISSION = ("no permission to change this data set", "ask its owner, or work on a copy of it")
_NO_LOCKS = ("the file system has no locks", "choose a folder on a local disk")
_REFUSED = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _NO_PERMISSION),
    **dict.fromkeys((errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP), _NO_LOCKS),
}


class Lock:
    """A held lock; it ends with the process that holds it, however that ends."""

    def __init__(self, root: Path, lock: FileLock) -> None:
        self._root = root
        self._lock = lock

    @classmethod
    def acquire(cls, root: Path, command: str) -> Lock:
        """Lock an existing folder for writing; whoever finds it locked is shown the command.

        Raises:
            LockedError: Another process holds it.
            OutputError: The folder cannot be written to, or the file system has no locks.
        """
        lock = FileLock(root / LOCK)
        try:
            lock.acquire(timeout=_WAIT_S)
            text = json.dumps({"holder": _name(), "pid": os.getpid(), "command": command}, ensure_ascii=False) + "\n"
            (root / HOLDER).write_bytes(text.encode(errors="backslashreplace"))
        except Timeout as error:
            raise LockedError(
                f"in use by {_holder(root)}",
                where=root,
                hint="wait until that has finished, then run the command again",
            ) from error
        except OSError as error:
            lock.release()
            what, hint = _REFUSED.get(error.errno or 0, (None, None))
            if what is None:
                raise
            raise OutputError(f"{what} ({error.strerror})", where=root, hint=hint) from error
        return cls(root, lock)

    def moved(self, root: Path) -> None:
        """Say that the locked folder was renamed."""
        self._root = root

    def release(self) -> None:
        """Let others write; the lock file goes."""
        # Removed while still held: whoever opened it before finds out that it is no longer the file of that name.
        for name in LOCK_FILES[::-1]:
            (self._root / name).unlink(missing_ok=True)
        self._lock.release()


@contextmanager
def locked(root: Path, command: str) -> Iterator[Lock]:
    """Hold the lock of a folder, see `Lock.acquire`."""
    lock = Lock.acquire(root, command)
    try:
        yield lock
    finally:
        lock.release()


def _name() -> str:
    user = "unknown"
    with contextlib.suppress(KeyError, OSError, ImportError):  # a container's user without a name; Windows
        user = getpass.getuser()
    return f"{user}@{socket.gethostname()}"


def _holder(root: Path) -> str:
    try:
        values = json.loads((root / HOLDER).read_bytes())
        return f"{values['command']!r} (process {values['pid']} of {values['holder']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"  # it has the lock, but has not signed yet
