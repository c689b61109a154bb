"""Where output goes: what may be replaced, and folders that are written beside their place and renamed when whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from carpet_data.errors import OutputError, UsageError
from carpet_data.store.files import making

__all__ = ["MARKER", "check_apart", "check_file", "check_folder", "fresh_folder"]

MARKER = ".carpet-data"
"""The file that tells a folder written here from any other."""


def check_apart(out: Path, source: Path) -> None:
    """Refuse an output that is the source, lies inside it, or holds it.

    Raises:
        UsageError: The two overlap.
    """
    a, b = out.resolve(), source.resolve()
    if a == b or b in a.parents or a in b.parents:
        raise UsageError(
            "the output folder overlaps the source folder",
            where=out,
            hint="choose an output folder outside the source, such as -o ../export",
        )


def check_file(out: Path, *, overwrite: bool) -> None:
    """Refuse an output file that exists and must not be replaced.

    Raises:
        OutputError: It is there, or a folder is.
    """
    if out.is_dir():
        raise OutputError("the output is a folder", where=out, hint="choose another name")
    if out.exists() and not overwrite:
        raise OutputError("the output exists", where=out, hint="choose another name, or use --overwrite")


def check_folder(
    out: Path, *, overwrite: bool, ours: Callable[[Path], bool] | None = None, kind: str = "folders it has written"
) -> None:
    """Refuse an output folder that must not be replaced; cheap, so that it can be asked before any work.

    A slip such as `-o ~ --overwrite` must not cost anyone their files. `ours` says whether a folder is of the `kind`
    (in words) that may be replaced; by default, one that `fresh_folder` made.

    Raises:
        OutputError: It is not a folder; or it holds something and is not to be overwritten, or is of another kind, or
            holds the current folder or the home folder.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise OutputError("the output exists and is not a folder", where=out, hint="choose another output folder")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not overwrite:
        raise OutputError("the output folder is not empty", where=out, hint="choose another one, or use --overwrite")
    target = out.resolve()
    for kept in (Path.cwd().resolve(), Path.home().resolve()):
        if target == kept or target in kept.parents:
            raise OutputError(
                "replacing this folder would delete the current folder or the home folder",
                where=out,
                hint="choose a new folder, such as -o export",
            )
    if not (ours(out) if ours is not None else (out / MARKER).is_file()):
        raise OutputError(
            f"--overwrite replaces only {kind}, and this folder holds something else",
            where=out,
            hint="choose another output folder, or remove this one yourself",
        )


@contextmanager
def fresh_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """A temporary folder beside `out` that becomes `out` when the block ends well, and vanishes when it does not.

    Raises:
        OutputError: See `check_folder`.
    """
    check_folder(out, overwrite=overwrite)
    with making(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    scratch.chmod(0o777 & ~_umask())
    try:
        yield scratch
        (scratch / MARKER).write_text("Written by carpet-data, which may replace this folder with --overwrite.\n")
        # Another command, or a person, may have filled the place meanwhile.
        check_folder(out, overwrite=overwrite)
        _swap(scratch, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _swap(scratch: Path, out: Path) -> None:
    """Put `scratch` in the place of `out`; the old content goes only after the new one is there."""
    old: Path | None = None
    if out.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".old", dir=out.parent))
        out.replace(old / out.name)
    try:
        scratch.replace(out)
    except OSError:
        if old is not None:
            (old / out.name).replace(out)
        raise
    finally:
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    # The only way to read it is to set it.
    value = os.umask(0o022)
    os.umask(value)
    return value
