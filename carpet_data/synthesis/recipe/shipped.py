"""YAML files that come with the program, found by name; the user's own by path."""

from __future__ import annotations

from pathlib import Path

from carpet_data.errors import UsageError, nearest

__all__ = ["find", "names"]


def names(folder: Path) -> tuple[str, ...]:
    """The names of the YAML files of a folder, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def find(name: str, folder: Path, kind: str) -> Path:
    """The file of a document, given a shipped name or a path; `kind` names it in messages ("recipe" or "table").

    Raises:
        UsageError: It is neither; the nearest shipped name is offered.
    """
    shipped = names(folder)
    listed = f"shipped: {', '.join(shipped)}"
    if Path(name).suffix in (".yaml", ".yml") or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"{kind} file not found", where=path, hint=f"check the path; {listed}")
        return path
    if name not in shipped:
        raise UsageError(
            f"unknown {kind} {name!r}",
            hint=f"{nearest(name, shipped)}{listed}; for your own file, give its path, with .yaml",
        )
    return folder / f"{name}.yaml"
