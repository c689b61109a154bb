"""COCO instances (Lin et al., 2014, "Microsoft COCO: Common Objects in Context").

Every annotation becomes one instance, whatever its `iscrowd`. Where several files lie together, each is a side,
recognized by its name (instances_train.json) or its folder (train/_annotations.coco.json). Nothing in a file is
believed unseen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from carpet_data.core.images import ImageInfo
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Dataset, Origin, Shape, Side
from carpet_data.formats import annotated
from carpet_data.formats.annotated import Fault, Picture, is_text, measure
from carpet_data.formats.coco.categories import Categories, categories_of
from carpet_data.formats.coco.documents import Opened, open_documents, sides_of
from carpet_data.formats.coco.file import CocoDocument
from carpet_data.formats.coco.ids import Id, id_of, wrong_id
from carpet_data.formats.coco.links import Linked, Unclear, link, say_doubtful, say_unlisted
from carpet_data.formats.coco.places import Places, Surroundings
from carpet_data.formats.coco.rules import is_ours
from carpet_data.formats.coco.segments import judge
from carpet_data.formats.coco.sizes import size_fault
from carpet_data.formats.problems import Problems
from carpet_data.formats.registry import ReadOptions


def read(root: Path, options: ReadOptions) -> Dataset:
    """Read COCO instances; image headers are opened, masks are not decoded.

    Args:
        root: The folder, or one JSON file, which then stands for its data set.
        options: The connectivity, the overlap rule, and whether images at fault are left out.

    Raises:
        DataError: No COCO file is there, or one is not JSON (with line and column) or not COCO.
        ProblemsError: Entries with problems: unknown or repeated ids, missing images, paths that leave the data set,
            boxes without a mask, polygons and run-length counts that cannot be.
    """
    opened = open_documents(Path(root))
    sides = sides_of(opened.documents, opened.root)
    problems = Problems(skip_faulty=options.skip_faulty)
    categories, names, notes = categories_of(opened.documents, problems)
    pictures: list[Picture] = []
    sources: list[str] = []
    unclear: list[Unclear] = []
    remarks, around = _Remarks(), Surroundings(opened.root)
    for document, of_file, side in zip(opened.documents, categories, sides, strict=True):
        unclear.append(Unclear())
        of_document = _File(document, around, of_file, side, problems, remarks, unclear[-1]).pictures()
        pictures += of_document
        sources += [document.path.name] * len(of_document)
    say_doubtful(unclear, problems)
    _check_repeated(pictures, sources, opened.root, problems)
    # Our own exports hold pixels in any case, if only the first one.
    if remarks.polygons and remarks.largest <= 1 and not all(map(is_ours, opened.documents)):
        what = "no coordinate is larger than 1: these are fractions of the image, and COCO's are pixels"
        problems.say(what, opened.documents[0].path, "multiply them by the width and height of their image")
    found = annotated.dataset(
        pictures,
        tuple(names),
        root=opened.root,
        license="; ".join(_licenses(opened)),
        options=options,
        problems=problems,
        format="coco",
        documents=[opened.relative(document.path) for document in opened.documents],
    )
    return replace(
        found,
        aside=tuple((opened.relative(path), why) for path, why in opened.others),
        notes=(*opened.notes(), *_without_annotations(opened), *notes, *remarks.notes()),
    )


def _without_annotations(opened: Opened) -> list[str]:
    """Notes on files without a single annotation, which labeling tools also write before anybody has labeled."""
    notes = []
    for document in opened.documents:
        if document.images and not document.annotations and not is_ours(document):
            images = counted(len(document.images), "image")
            verb = "counts" if len(document.images) == 1 else "count"
            notes.append(f"{opened.relative(document.path)} has no annotations: its {images} {verb} as good")
    return notes


def _licenses(opened: Opened) -> dict[str, None]:
    entries = (entry for document in opened.documents for entry in document.licenses)
    return {name: None for entry in entries if is_text(name := entry.get("name"))}


@dataclass(slots=True)
class _Remarks:
    """What was read otherwise than it is written, over all files."""

    respelled: int = 0
    scored: int = 0
    largest: float = 0.0
    polygons: int = 0
    flat: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        notes = []
        if self.scored:
            notes.append(f"{counted(self.scored, 'annotation')} with a score: the file looks like predictions")
        if self.respelled:
            notes.append(
                f"{counted(self.respelled, 'reference')} to an id as text where it is a number, or the reverse, "
                "read as the same id"
            )
        if self.flat:
            what = "segmentation is" if len(self.flat) == 1 else "segmentations are"
            notes.append(f"{len(self.flat)} {what} one flat list of numbers, read as one polygon ({self.flat[0]})")
        if self.repeated:
            more = f" (and {counted(len(self.repeated) - 1, 'more repetition')})" if len(self.repeated) > 1 else ""
            notes.append(f"{self.repeated[0]}, and is read once{more}")
        return notes


@dataclass(slots=True)
class _File:
    """One JSON file while it is read."""

    document: CocoDocument
    around: Surroundings
    categories: Categories
    side: Side | None
    problems: Problems
    remarks: _Remarks
    unclear: Unclear

    def pictures(self) -> list[Picture]:
        by_image, respelled = link(self.document, self.problems)
        self.remarks.respelled += respelled
        paths = self._paths()
        times = Counter(id_of(image.get("id")) for image in self.document.images)
        pictures: list[Picture] = []
        for position, (image, found) in enumerate(zip(self.document.images, paths, strict=False)):
            key = id_of(image.get("id"))
            where = f"{self.document.path} (image {f'at position {position}' if key is None else key})"
            path = self._path(found, where)
            # Until its file is found, an image can only be called by its entry.
            name = where if path is None else str(self.around.root / path)
            if key is None:
                self.problems.say(f"the image's id {wrong_id(image.get('id'))}", where, image=name)
            elif times[key] > 1:
                cause = ("image id", self.document.path, key)
                self.problems.say(f"{times[key]} images have the id {key!r}", where, image=name, cause=cause)
            linked = Linked() if key is None else by_image.get(key, Linked())
            picture = None if path is None else self._picture(image, path, linked, where)
            if picture is not None:
                pictures.append(picture)
            if path is not None and key is not None and key not in by_image:
                self.unclear.bare[key] = self.around.root / path
        if paths:
            self.unclear.lost = say_unlisted(self.document, by_image, self.problems)
        return pictures

    def _paths(self) -> list[str | Fault]:
        """Where the image of each entry lies; empty, and one problem, where not a single one was found."""
        places = Places(self.document, self.around)
        names = (image.get("file_name") for image in self.document.images)
        found = [places.find(name) if is_text(name) else Fault("the image has no file_name") for name in names]
        faults = [each for each in found if isinstance(each, Fault)]
        if len(faults) > 1 and len(faults) == len(found):
            what = f"none of its {len(found)} images can be used; the first: {faults[0].what}"
            self.problems.say(what, self.document.path, faults[0].hint)
            return []
        return found

    def _path(self, found: str | Fault, where: str) -> str | None:
        if isinstance(found, Fault):
            self.problems.say(found.what, where, found.hint, image=where)
            return None
        return found

    def _picture(self, image: Mapping[str, Any], path: str, linked: Linked, where: str) -> Picture | None:
        file = self.around.root / path
        info = measure(file, self.problems)
        if info is None:
            return None
        wrong = size_fault(image, info)
        if wrong is not None:
            self.problems.say(wrong.what, f"{where} {path}", wrong.hint, image=file)
            return None
        for what, place in linked.faults:
            self.problems.say(what, place, image=file, cause=(what, self.document.path))
        shapes = self._shapes(linked.annotations, info, where, file)
        origin = image.get("origin")
        known: tuple[Origin, ...] = get_args(Origin)
        class_name = image.get("class_name")
        # Our exports name the class, which tells an empty mask from a good image; annotations on `good` outweigh it.
        named = is_text(class_name) and not (class_name == GOOD and shapes)
        return Picture(
            path,
            self.side,
            info,
            tuple(shapes),
            class_name=str(class_name) if named else None,
            origin=next((value for value in known if value == origin), "real"),
        )

    def _shapes(self, annotations: Sequence[Mapping[str, Any]], info: ImageInfo, where: str, file: Path) -> list[Shape]:
        shapes: list[Shape] = []
        seen: dict[object, Id | None] = {}
        for annotation in annotations:
            number = id_of(annotation.get("id"))
            label = f"annotation {number}"
            name = self.categories.name_of(annotation.get("category_id"))
            found = judge(annotation, info.width, info.height)
            for fault in (name, found):
                if isinstance(fault, Fault):
                    cause = (fault.what, self.document.path)
                    self.problems.say(fault.what, f"{where} ({label})", fault.hint, image=file, cause=cause)
            if isinstance(found, Fault) or not isinstance(name, str):
                continue
            self.remarks.respelled += id_of(annotation.get("category_id")) not in self.categories.known
            self.remarks.scored += annotation.get("score") is not None
            if found.polygons is not None:
                self.remarks.polygons += 1
                self.remarks.largest = max(self.remarks.largest, *map(max, found.polygons))
            if found.flat:
                self.remarks.flat.append(f"{self.document.path.name}, {label}")
            # Every annotation that is linked has an id of its own.
            first = seen.setdefault((name, found.polygons, found.rle), number)
            if first != number:
                self.remarks.repeated.append(f"{self.document.path.name}: {label} repeats annotation {first}")
            else:
                shapes.append(Shape(name, found.polygons, found.rle, label))
        return shapes


def _check_repeated(pictures: Sequence[Picture], sources: Sequence[str], root: Path, problems: Problems) -> None:
    """Say which images are listed twice; `sources` are the names of their JSON files."""
    first: dict[str, tuple[Picture, str]] = {}
    for picture, source in zip(pictures, sources, strict=True):
        other, other_source = first.setdefault(picture.path, (picture, source))
        if other is picture:
            continue
        sides = sorted({str(side) for side in (picture.side, other.side) if side is not None})
        files = " and ".join(dict.fromkeys((other_source, source)))
        what = f"the image is listed twice, in {files}"
        if len(sides) > 1:
            what = f"the image is listed on two sides: {' and '.join(sides)}"
        hint = "list each image once, or name the one JSON file to read"
        problems.say(what, root / picture.path, hint, image=root / picture.path, cause=what)
