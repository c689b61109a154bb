"""One writer at a time: an advisory lock on a folder, with its holder's name in the file."""

from __future__ import annotations

import errno
import fcntl
import getpass
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carpet_data.errors import LockedError, OutputError
from carpet_data.store.names import LOCK


class Lock:
    """A held lock; it ends with the process that holds it, however that ends."""

    def __init__(self, root: Path, descriptor: int) -> None:
        self._root = root
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, root: Path, command: str) -> Lock:
        """Lock a folder for writing.

        Args:
            root: An existing folder.
            command: What the holder does, shown to whoever finds the folder locked.

        Raises:
            LockedError: Another process holds it.
            OutputError: The folder may not be written, or the file system has no locks.
        """
        path = root / LOCK
        while True:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                    raise
                raise OutputError(
                    f"you may not change this data set ({error.strerror})",
                    where=root,
                    hint="ask its owner, or work on a copy of it",
                ) from error
            try:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise LockedError(
                        f"it is being written by {_holder(descriptor)}",
                        where=root,
                        hint="wait until that has finished, then run the command again",
                    ) from error
                except OSError as error:
                    raise OutputError(
                        f"it cannot be locked ({error.strerror})", where=root, hint="choose a folder on a local disk"
                    ) from error
                if _is_same_file(descriptor, path):
                    _sign(descriptor, command)
                    return cls(root, descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            # Its last holder removed the file between our opening and locking it.
            os.close(descriptor)

    def moved(self, root: Path) -> None:
        """Say that the locked folder was renamed."""
        self._root = root

    def release(self) -> None:
        """Let others write; the lock file goes."""
        # Removed while still held: whoever opened it before finds out that it is no longer the file of that name.
        if _is_same_file(self._descriptor, self._root / LOCK):
            (self._root / LOCK).unlink(missing_ok=True)
        os.close(self._descriptor)


@contextmanager
def locked(root: Path, command: str) -> Iterator[Lock]:
    """Hold the lock of a folder, see `Lock.acquire`."""
    lock = Lock.acquire(root, command)
    try:
        yield lock
    finally:
        lock.release()


def _sign(descriptor: int, command: str) -> None:
    text = json.dumps({"holder": _name(), "pid": os.getpid(), "command": command}, ensure_ascii=False) + "\n"
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(errors="backslashreplace"), 0)


def _name() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())  # a container's user without a name
    return f"{user}@{socket.gethostname()}"


def _holder(descriptor: int) -> str:
    try:
        values = json.loads(os.pread(descriptor, 4096, 0))
        return f"{values['command']!r} (process {values['pid']} of {values['holder']})"
    except (ValueError, KeyError, TypeError):
        return "another process"  # it has the lock, but has not signed yet


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
