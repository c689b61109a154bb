"""Unpack a local archive safely."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data.archives.extract import extract
from carpet_data.archives.limits import Limits
from carpet_data.core.progress import Progress
from carpet_data.formats.output import check_apart, check_free, fresh_folder

__all__ = ["UnpackResult", "dataset_roots", "unpack"]

_DEEPEST_ROOT = 4


@dataclass(frozen=True, slots=True)
class UnpackResult:
    """What an archive became.

    Attributes:
        archive: The archive.
        kind: What it is by its bytes: "tar", "tar.xz", "tar.gz", "tar.bz2" or "zip".
        out: The folder it was unpacked into.
        files: Files written.
        bytes: Bytes written.
        roots: The folders in MVTec's layout found inside, sorted: what the other commands take as ROOT.
    """

    archive: Path
    kind: str
    out: Path
    files: int
    bytes: int
    roots: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "archive": str(self.archive),
            "kind": self.kind,
            "out": str(self.out),
            "files": self.files,
            "bytes": self.bytes,
            "roots": [str(root) for root in self.roots],
        }


def unpack(
    archive: Path,
    out: Path,
    *,
    overwrite: bool = False,
    limits: Limits | None = None,
    progress: Progress = lambda step: None,  # noqa: ARG005
) -> UnpackResult:
    """Unpack an archive into `out`, all of it or nothing.

    The archive's own layout is kept. Only regular files and folders are written, with the permissions of new files;
    anything else in the archive (links, devices, names that leave the folder) is an error that names the member. The
    work is done in a temporary folder beside `out`, renamed at the end.

    Args:
        archive: A .tar.xz, .tar.gz, .tar.bz2, .tar or .zip; told by its bytes, not by its name.
        out: A folder that does not exist or is empty.
        overwrite: Replace all that is in `out`.
        limits: How much the archive may hold; None for the defaults of `Limits`.
        progress: Told (done, total) in MiB.

    Raises:
        FetchError: The archive is missing, damaged, encrypted, of another kind, beyond the limits, or not safe.
        OutputError: `out` is not empty, cannot be replaced, or the disk is full.
        UsageError: The archive lies inside `out`.
    """
    check_free(out, overwrite=overwrite)
    check_apart(out, archive)
    with fresh_folder(out, overwrite=overwrite) as scratch:
        contents = extract(archive, scratch, limits=limits or Limits(), progress=progress)
    return UnpackResult(
        archive=archive,
        kind=contents.kind,
        out=out,
        files=contents.files,
        bytes=contents.bytes,
        roots=dataset_roots(out),
    )


def dataset_roots(folder: Path) -> tuple[Path, ...]:
    """The folders at or below `folder` in MVTec's layout, sorted: at most four levels down, none inside another.

    A folder counts when it holds train/good or test/good, or ground_truth beside train or test.
    """
    if _is_root(folder):
        return (folder,)
    roots: list[Path] = []
    level = [folder]
    for _ in range(_DEEPEST_ROOT):
        children = [child for parent in level for child in sorted(parent.iterdir()) if _may_hold(child)]
        roots += [child for child in children if _is_root(child)]
        level = [child for child in children if not _is_root(child)]
    return tuple(sorted(roots))


def _may_hold(path: Path) -> bool:
    # macOS puts a shadow of every folder below __MACOSX.
    return path.is_dir() and not path.name.startswith((".", "__MACOSX"))


def _is_root(folder: Path) -> bool:
    if (folder / "train" / "good").is_dir() or (folder / "test" / "good").is_dir():
        return True
    sides = any((folder / name).is_dir() for name in ("train", "test"))
    return sides and (folder / "ground_truth").is_dir()
