"""What the reader used of a folder, what it left out on purpose, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from carpet_data.core.text import counted
from carpet_data.dataset import Side
from carpet_data.formats.account.roles import UNUSED_LABELS
from carpet_data.formats.annotated import Picture
from carpet_data.formats.listing import is_image
from carpet_data.formats.yolo.config import Config
from carpet_data.formats.yolo.images import in_mask_folder
from carpet_data.formats.yolo.pairs import Pairs

_OTHER_ANNOTATIONS = (".json", ".xml")
_NO_SHAPES = b'"shapes":[]'
_FIRST_BYTES = 1 << 16

_CACHE, _NOTES = ".cache", "notes.json"
"""Ultralytics leaves labels/train.cache beside the labels, Label Studio its notes.json in the root."""


@dataclass(frozen=True, slots=True)
class Used:
    """A data set as it was read.

    Attributes:
        lists: Lists of images that were read.
        sides: image -> side.
    """

    config: Config
    files: tuple[str, ...]
    lists: tuple[str, ...]
    sides: Mapping[str, Side | None]
    pairs: Pairs

    def documents(self) -> list[str]:
        """The files beside images that were used."""
        labels = sorted({*self.pairs.label_of.values(), *self.pairs.copies})
        of_tools = [path for path in self.files if path.endswith(_CACHE) or path == _NOTES]
        return list(dict.fromkeys([*self.config.documents, *self.lists, *labels, *of_tools]))

    def aside(self, pictures: Sequence[Picture]) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
        """(path, why) of what is left out on purpose, and notes on it."""
        unnamed = self.config.places != ()
        left = [path for path in self.files if is_image(path) and path not in self.sides]
        left = [path for path in left if unnamed or in_mask_folder(path)]
        others = self._other_annotations(pictures)
        reasons: tuple[tuple[str, Sequence[str]], ...] = (
            (f"{self.config.name} does not name it" if unnamed else "a mask, while labels are used", left),
            ("another annotation of an image, while its YOLO labels are used", others),
            ("labels of an image that is not read", self.pairs.elsewhere),
            (UNUSED_LABELS, self.pairs.unused),
        )
        notes = [
            *(f"{_and_more(paths)} not read: {why}" for why, paths in reasons[:2] if paths),
            *self._names_note(pictures),
        ]
        return tuple((path, why) for why, paths in reasons for path in paths), tuple(notes)

    def _other_annotations(self, pictures: Sequence[Picture]) -> list[str]:
        """JSON and XML files of images whose labels were read, as labeling tools leave them beside their exports."""
        found = [path for path in self.files if path.lower().endswith(_OTHER_ANNOTATIONS)]
        if not found:
            return []
        labeled = {PurePosixPath(picture.path).stem for picture in pictures if picture.shapes}
        stems = {PurePosixPath(path).stem for path in self.sides}
        found = [path for path in found if PurePosixPath(path).stem in stems]
        return [path for path in found if PurePosixPath(path).stem in labeled or _is_empty(self.config.root / path)]

    def _names_note(self, pictures: Sequence[Picture]) -> Iterator[str]:
        if self.config.names is not None or not any(picture.shapes for picture in pictures):
            return
        known: Collection[str] = [path for path in self.files if path.lower().endswith((".yaml", ".yml"))]
        below = next((path for path in known if "/" in path), None)
        what = "no file names the classes, so they are called by their numbers"
        yield f"{what}: name {below} instead of the folder" if below else f"{what}: write `names` in data.yaml"


def _and_more(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {counted(len(paths) - 1, 'more file')}"


def _is_empty(path: Path) -> bool:
    """Whether a labeling tool wrote that there is nothing."""
    try:
        with path.open("rb") as file:
            return _NO_SHAPES in b"".join(file.read(_FIRST_BYTES).split())
    except OSError:  # it stays a file that nobody read
        return False
