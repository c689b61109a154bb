"""Where exports go: written beside the target, renamed when whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

from carpet_data.errors import OutputError, UsageError
from carpet_data.store.files import link_or_copy, making

ImageMode: TypeAlias = Literal["link", "copy", "none"]
IMAGE_MODES: tuple[ImageMode, ...] = ("link", "copy", "none")

MARKER = ".carpet-data"
"""The file that tells a folder written here from any other."""


def check_apart(out: Path, source: Path) -> None:
    """Refuse an output that is the source, lies inside it, or holds it.

    A prepared data set may hold its own exports only where they cannot be taken for its data, so this is called for
    raw folders and prepared ones alike.

    Raises:
        UsageError: The two overlap.
    """
    a, b = out.resolve(), source.resolve()
    if a == b or b in a.parents or a in b.parents:
        raise UsageError(
            "the output and the source folder lie inside one another",
            where=out,
            hint="choose an output folder outside the source, such as -o ../export",
        )


@contextmanager
def fresh_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """A temporary folder beside `out` that becomes `out` when the block ends well, and vanishes when it does not.

    Raises:
        OutputError: `out` is a file, or a folder with something in it that is not to be overwritten, or that this
            package did not write: a slip such as `-o ~ --overwrite` must not cost anyone their files.
    """
    check_free(out, overwrite=overwrite)
    with making(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    scratch.chmod(0o777 & ~_umask())
    try:
        yield scratch
        (scratch / MARKER).write_text("Written by carpet-data, which may replace this folder with --overwrite.\n")
        # Another command, or a person, may have filled the place meanwhile.
        check_free(out, overwrite=overwrite)
        _swap(scratch, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def check_free(out: Path, *, overwrite: bool) -> None:
    """Refuse an output that cannot be taken, before any work is done for it.

    Raises:
        OutputError: It is no folder; or it holds something and is not to be overwritten, or was not written by this
            package, or holds the current folder or the home folder.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise OutputError("it exists and is not a folder", where=out, hint="choose another output folder")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not overwrite:
        raise OutputError("the output folder is not empty", where=out, hint="choose another one, or give --overwrite")
    target = out.resolve()
    for kept in (Path.cwd(), Path.home()):
        if target == kept.resolve() or target in kept.resolve().parents:
            raise OutputError(
                "replacing this folder would delete the current folder or the home folder",
                where=out,
                hint="choose a new folder, such as -o export",
            )
    if not (out / MARKER).is_file():
        raise OutputError(
            "the folder holds files that carpet-data did not write, so --overwrite leaves it alone",
            where=out,
            hint="choose another output folder, or remove this one yourself",
        )


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


def place(source: Path, target: Path, mode: ImageMode) -> None:
    """Bring one file into an export: a hard link where the file system can (else a copy), or a copy.

    A link shares its bytes with the source, so nothing here ever opens a placed file for writing.

    Raises:
        OutputError: The target exists already.
    """
    if mode == "none":
        return
    if target.exists():
        raise OutputError(
            "two files of the export would have this name", where=target, hint="rename one of the sources"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    if mode == "link":
        link_or_copy(source, target)
    else:
        shutil.copyfile(source, target)
