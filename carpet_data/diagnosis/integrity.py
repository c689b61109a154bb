"""Can a file be read, and is it whole? Answered before it is decoded."""

from __future__ import annotations

import os
from pathlib import Path

from carpet_data.core.files import regular
from carpet_data.core.images import whole
from carpet_data.core.problems import Problem
from carpet_data.diagnosis.codes import problem


def broken_link(path: Path, where: str) -> Problem | None:
    """A symbolic link to a missing file, or to itself."""
    if not path.is_symlink() or path.exists():
        return None
    return problem("broken-link", where, f"its target {os.fspath(path.readlink())} does not exist")


def read_bytes(path: Path, where: str) -> bytes | Problem:
    """The bytes of a file, or why there are none."""
    try:
        data = regular(path).read_bytes()
    except FileNotFoundError:
        return problem("missing-file", where, "it does not exist")
    except PermissionError:
        return problem("no-permission", where, "permission denied")
    except OSError as error:
        return problem("damaged", where, f"it cannot be read: {error.strerror}")
    return data or problem("empty-file", where, "it has no bytes")


def fault(data: bytes, where: str) -> Problem | None:
    """What shows that the file is not whole."""
    found = whole.fault_of(data)
    return None if found is None else problem(found.kind, where, found.what)
