"""The JSON files of a COCO data set: which are read, which are something else, and which side each stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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

_INSTANCES, _ANNOTATIONS = "instances", "annotations"
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
    others: list[tuple[Path, str]] = []
    foreign: list[NotCocoError] = []
    for files in _places(root):
        chosen = [path for path in files if path.name.casefold().startswith(_INSTANCES)] or files
        documents, broken, elsewhere = _open(chosen)
        others += [(path, "beside instances*.json") for path in files if path not in chosen]
        others += [(Path(error.where or ""), error.kind) for error in elsewhere]
        foreign += elsewhere
        if broken:
            raise ProblemsError.of([_or_move(error) for error in broken] if documents else broken)
        if documents:
            return Opened(root, tuple(documents), tuple(others))
    if foreign:
        raise ProblemsError.of(foreign)
    raise coco_file.no_file(root)


def _open(paths: Sequence[Path]) -> tuple[list[CocoDocument], list[CarpetDataError], list[NotCocoError]]:
    """COCO files; those that are damaged, or only half of one; and other JSON."""
    loaded = [_load(path) for path in paths]
    documents = [each for each in loaded if isinstance(each, CocoDocument)]
    foreign = [each for each in loaded if isinstance(each, NotCocoError)]
    broken: list[CarpetDataError] = [
        each for each in loaded if isinstance(each, DataError) and not isinstance(each, NotCocoError)
    ]
    # What has a part of COCO's lists was meant to be COCO; a list of images without annotations may lie beside it.
    half = [e for e in foreign if e.half and not (documents and Path(e.where or "").name.startswith(_NO_ANNOTATIONS))]
    return documents, [*broken, *half], [error for error in foreign if error not in half]


def _or_move(error: CarpetDataError) -> CarpetDataError:
    """The error of a file beside sound ones, which may be something else than COCO."""
    return DataError(error.what, where=error.where, hint=f"{error.hint}; move it elsewhere if it is not COCO")


def _load(path: Path) -> CocoDocument | DataError:
    try:
        return coco_file.load(path)
    except DataError as error:
        return error


def _places(root: Path) -> Iterator[list[Path]]:
    """The JSON files of each place where tools put them: annotations/, the root, the folders of the sides."""
    if not root.is_dir():
        return
    folder = Folder(root)
    below = [path for name, path in folder.folders.items() if name == _ANNOTATIONS]
    for places in (below, [root], folder.sides):
        found = sorted(path for place in places for path in Folder(place).files(".json"))
        if found:
            yield found


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
