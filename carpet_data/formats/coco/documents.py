"""The JSON files of a COCO data set: which are read, which are something else, and which side each stands for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carpet_data.core.text import counted
from carpet_data.dataset import Side
from carpet_data.errors import CarpetDataError, DataError, ProblemsError
from carpet_data.formats.coco import file as coco_file
from carpet_data.formats.coco.file import CocoDocument, NotCocoError
from carpet_data.formats.coco.places import root_of
from carpet_data.formats.folders import side_of
from carpet_data.formats.glance import Folder

__all__ = ["Opened", "open_documents", "sides_of"]

_INSTANCES = "instances"
_NO_ANNOTATIONS = "image_info"
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Opened:
    """The JSON files of a data set.

    Attributes:
        root: The folder that the data set's paths are relative to.
        documents: Those that are read.
        others: (path, why) of those that are not.
    """

    root: Path
    documents: tuple[CocoDocument, ...]
    others: tuple[tuple[Path, str], ...] = ()

    def relative(self, path: Path) -> str:
        """A path as the data set calls it."""
        try:
            return path.resolve().relative_to(self.root.resolve()).as_posix()
        except ValueError:
            return path.name

    def notes(self) -> list[str]:
        """What one should know of files that were passed over."""
        if not self.others:
            return []
        names = ", ".join(f"{self.relative(path)} ({why})" for path, why in self.others[:3])
        more = ", …" if len(self.others) > 3 else ""
        return [f"passed over {counted(len(self.others), 'JSON file')}: {names}{more}"]


def open_documents(root: Path) -> Opened:
    """Open the COCO files that a folder or a JSON file stands for; other JSON beside them is passed over.

    Raises:
        DataError: There is no COCO file, or the only one is damaged.
        ProblemsError: Several files are damaged.
    """
    if root.is_file():
        document = coco_file.load(root)
        return Opened(root_of(document), (document,))
    found = _files(root)
    chosen = [path for path in found if path.name.startswith(_INSTANCES)] or found
    others: list[tuple[Path, str]] = [(path, "not called instances") for path in found if path not in chosen]
    documents: list[CocoDocument] = []
    broken: list[CarpetDataError] = []
    foreign: list[NotCocoError] = []
    for path in chosen:
        loaded = _load(path)
        if isinstance(loaded, CocoDocument):
            documents.append(loaded)
        elif isinstance(loaded, NotCocoError):
            foreign.append(loaded)
        else:
            broken.append(loaded)
    # What has a part of COCO's lists was meant to be COCO; a list of images without annotations may lie beside it.
    broken += [
        e for e in foreign if e.half and not (documents and Path(e.where or "").name.startswith(_NO_ANNOTATIONS))
    ]
    if broken or not documents:
        raise ProblemsError.of(broken or foreign)
    others += [(Path(error.where or ""), error.kind) for error in foreign]
    return Opened(root, tuple(documents), tuple(others))


def _load(path: Path) -> CocoDocument | DataError:
    try:
        return coco_file.load(path)
    except DataError as error:
        return error


def _files(root: Path) -> list[Path]:
    """The JSON files where tools put them: in annotations/, the root, or else the folders of the sides."""
    try:
        return list(coco_file.json_files(root))
    except DataError:
        sides = Folder(root).sides if root.is_dir() else []
        beside = [path for place in sides for path in sorted(place.glob("*.json")) if not path.name.startswith(".")]
        if not beside:
            raise
        return beside


def sides_of(documents: Sequence[CocoDocument], root: Path) -> list[Side | None]:
    """The side that each file stands for, by its name or its folder; None where there are no sides.

    Raises:
        ProblemsError, DataError: Some files name a side and others none: their images would be on no side.
    """
    sides = [_side(document.path, root) for document in documents]
    known = next((document.path.name for document, side in zip(documents, sides, strict=True) if side), None)
    if known is None:
        return sides
    unknown = [document for document, side in zip(documents, sides, strict=True) if side is None]
    if unknown:
        raise ProblemsError.of(
            [
                DataError(
                    f"its name says no side, as that of {known} does: its {counted(len(document.images), 'image')} "
                    "would be on no side",
                    where=document.path,
                    hint="put train, val or test into its name, move it elsewhere, or name the one JSON file to read",
                )
                for document in unknown
            ]
        )
    return sides


def _side(path: Path, root: Path) -> Side | None:
    words = [word for word in _WORD.findall(path.stem.casefold()) if side_of(word) is not None]
    if words:
        return side_of(words[0])
    return None if path.parent == root else side_of(path.parent.name)
