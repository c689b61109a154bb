"""Names inside an archive: which are safe to write, and which collide."""

from __future__ import annotations

import re
import unicodedata

from carpet_data.errors import FetchError

__all__ = ["Names", "safe_parts"]

_LONGEST_PART = 255
_LONGEST_NAME = 1024
_DEEPEST = 32
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def safe_parts(name: str, *, archive: str) -> tuple[str, ...]:
    """Split a member's name into the folders and the file it stands for.

    Args:
        name: The name as the archive gives it, undecodable bytes as surrogate escapes.
        archive: The archive, for the message.

    Returns:
        The parts below the output folder; empty for the output folder itself (`./`).

    Raises:
        FetchError: The name would leave the output folder, or no file system takes it as it is.
    """
    problem = _problem(name)
    if problem is not None:
        raise FetchError(
            f"the member {_shown(name)} {problem}, so nothing was unpacked",
            where=archive,
            hint="get the archive from its official source, or pack it again with plain relative names",
        )
    return _split(name)


def _split(name: str) -> tuple[str, ...]:
    return tuple(part for part in name.split("/") if part not in ("", "."))


def _problem(name: str) -> str | None:
    """What is wrong with a name; None for a safe one."""
    if not name:
        return "has no name"
    try:
        octets = name.encode("utf-8")
    except UnicodeEncodeError:
        return "has a name that is not UTF-8"
    if _CONTROL.search(name):
        return "has control characters in its name"
    if "\\" in name:
        return "has a backslash in its name, which some systems take for a folder"
    if name.startswith("/"):
        return "has an absolute path"
    if _DRIVE.match(name):
        return "starts with a drive letter"
    parts = _split(name)
    if ".." in parts:
        return "climbs out of the output folder by '..'"
    if len(octets) > _LONGEST_NAME or any(len(part.encode("utf-8")) > _LONGEST_PART for part in parts):
        return f"has a name longer than {_LONGEST_PART} bytes a folder or {_LONGEST_NAME} in all"
    if len(parts) > _DEEPEST:
        return f"lies deeper than {_DEEPEST} folders"
    return None


def _shown(name: str) -> str:
    # Escaped, because a hostile name may carry terminal control sequences; short, because it may be megabytes long.
    text = ascii(name if len(name) <= 120 else name[:120] + "...")
    return text if not name.isprintable() or len(name) > 120 else repr(name)


class Names:
    """The names seen so far in one archive, so that two members never land on one file.

    Names are compared as a file system that ignores case and Unicode form would (macOS, Windows), so that an archive
    unpacks to the same files everywhere.
    """

    def __init__(self, archive: str) -> None:
        self._archive = archive
        self._seen: dict[str, tuple[str, bool]] = {}

    def add(self, parts: tuple[str, ...], *, folder: bool) -> None:
        """Record a member and the folders above it.

        Raises:
            FetchError: The member was there already, differs from another by case alone, or is file and folder.
        """
        for depth in range(1, len(parts)):
            self._add("/".join(parts[:depth]), folder=True)
        if parts:
            self._add("/".join(parts), folder=folder)
        elif not folder:
            raise self._error("a member is a file without a name")

    def _add(self, name: str, *, folder: bool) -> None:
        key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        known = self._seen.get(key)
        if known is None:
            self._seen[key] = (name, folder)
            return
        if known[0] != name:
            raise self._error(f"the members {_shown(known[0])} and {_shown(name)} differ only in case or Unicode form")
        if known[1] != folder:
            raise self._error(f"the member {_shown(name)} is a file and a folder at once")
        if not folder:
            raise self._error(f"the member {_shown(name)} is in it twice")

    def _error(self, what: str) -> FetchError:
        return FetchError(
            f"{what}, so nothing was unpacked",
            where=self._archive,
            hint="get the archive from its official source, or pack it again so that every name is there once",
        )
