"""Folders that grow: which of their image files are new and complete."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from carpet_data.core.images import check_whole
from carpet_data.core.images.whole import ends_early
from carpet_data.errors import CarpetDataError
from carpet_data.prediction.inputs import ImageFile, images_below
from carpet_data.prediction.session import State

__all__ = ["Inbox"]

PATIENCE_S = 10.0
"""Seconds without a change after which an incomplete file counts as damaged."""


class Inbox:
    """Watches folders for image files.

    A file is ready when two looks find it unchanged and its structure is whole: a PNG or JPEG that is still being
    written lacks its end, whatever its size.

    Args:
        folders: Searched to any depth.
        done: path -> state of the files that need not be looked at again.
        clock: Gives seconds; replaced in tests.

    Attributes:
        waiting: Number of files that the last look found incomplete.
    """

    def __init__(
        self, folders: Sequence[Path], done: Mapping[str, State], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folders = tuple(folders)
        self._done = dict(done)
        self._clock = clock
        self._seen: dict[str, tuple[State, float]] = {}
        self.waiting = 0

    def look(self) -> tuple[list[tuple[ImageFile, State]], list[tuple[ImageFile, State, CarpetDataError]]]:
        """The files that have become ready since the last look, and those that will not: damaged, and left alone.

        Each is given once; a file that changes later counts as new.

        Raises:
            DataError: A folder cannot be listed.
        """
        ready: list[tuple[ImageFile, State]] = []
        damaged: list[tuple[ImageFile, State, CarpetDataError]] = []
        now, seen, self.waiting = self._clock(), self._seen, 0
        self._seen = {}
        for file in (each for folder in self._folders for each in images_below(folder, Counter())):
            key, state = str(file.path), _state(file.path)
            if state is None or self._done.get(key) == state:
                continue
            before = seen.get(key)
            since = before[1] if before is not None and before[0] == state else now
            same = before is not None and before[0] == state
            error = _fault(file.path) if same else None
            growing = error is not None or (same and _ends_early(file.path))
            # What was read may be newer than the state before it.
            if not same or _state(file.path) != state or (growing and now - since < PATIENCE_S):
                self._seen[key] = state, since
                self.waiting += 1
                continue
            self._done[key] = state
            if error is None:
                ready.append((file, state))
            else:
                damaged.append((file, state, error))
        return ready, damaged


def _state(path: Path) -> State | None:
    """None for a file that has just gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _ends_early(path: Path) -> bool:
    try:
        return ends_early(path.read_bytes())
    except OSError:  # it has just gone; reading it says so
        return False


def _fault(path: Path) -> CarpetDataError | None:
    try:
        check_whole(path)
    except CarpetDataError as error:
        return error
    return None
