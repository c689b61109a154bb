"""Documents that come with the program, found by name; a file of the user's by its path."""

from __future__ import annotations

import difflib
from pathlib import Path

from carpet_data.errors import UsageError

__all__ = ["find", "names"]


def names(folder: Path) -> tuple[str, ...]:
    """The names of the YAML files of a folder, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def find(name: str, folder: Path, kind: str) -> Path:
    """The file of a document.

    Args:
        name: A shipped one, or the path of a file.
        folder: Where the shipped ones lie.
        kind: What it is called in messages: "recipe" or "table".

    Raises:
        UsageError: It is neither; the nearest shipped name is offered.
    """
    shipped = names(folder)
    listed = f"the shipped ones are {', '.join(shipped)}"
    if Path(name).suffix in (".yaml", ".yml") or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"there is no such {kind} file", where=path, hint=f"check its path; {listed}")
        return path
    if name not in shipped:
        near = difflib.get_close_matches(name, shipped, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(
            f"no {kind} is called {name!r}", hint=f"{hint}{listed}; for a file of yours give its path, with .yaml"
        )
    return folder / f"{name}.yaml"
