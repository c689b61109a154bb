"""YOLO segments as Ultralytics, Darknet and labeling tools write them: a text file for each image, a line an instance.

A line is a class number and a polygon in fractions of the image; boxes and key points are refused, since they do not
say which pixels are defect. An image without a label file is good, but only where others of its side have one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from carpet_data.dataset import GOOD, Dataset, Side
from carpet_data.errors import DataError
from carpet_data.formats import annotated
from carpet_data.formats.annotated import Picture, measure
from carpet_data.formats.folders import license_of
from carpet_data.formats.listing import Listing, walk
from carpet_data.formats.problems import Problems
from carpet_data.formats.registry import ReadOptions
from carpet_data.formats.yolo.class_names import names_beside
from carpet_data.formats.yolo.config import Config, read_config
from carpet_data.formats.yolo.images import lists_beside, sides_of_images
from carpet_data.formats.yolo.label_files import LabelFiles
from carpet_data.formats.yolo.lack import Lack
from carpet_data.formats.yolo.lack import check as check_lack
from carpet_data.formats.yolo.pairs import pair
from carpet_data.formats.yolo.used import Used


def read(root: Path, options: ReadOptions) -> Dataset:
    """Read YOLO segments; image headers and label files are opened.

    Args:
        root: The folder, its data.yaml, or Darknet's obj.data.
        options: The connectivity, the rule for overlaps, and whether images at fault are left out.

    Raises:
        DataError: Folders or data.yaml are missing or damaged; the labels are key points.
        ProblemsError: Labels with problems: boxes, invalid numbers, unknown classes; label files without an image, and
            images without a label file where no other of their side has one.
    """
    config = read_config(Path(root))
    listing = walk(config.root)
    config = _with_names(replace(config, places=config.places or lists_beside(config.root, listing.files)), listing)
    problems = Problems(skip_faulty=options.skip_faulty)
    sides = sides_of_images(config, listing.files, problems)
    if not sides:
        problems.check()
    lists = tuple(place for _, place in config.places if (config.root / place).is_file())
    pairs = pair(config.root, sides, listing.files, lists, problems)
    names = tuple((config.names or {}).values())
    notes = check_lack(Lack(config.root, sides, pairs, listing.files, names), problems)
    labels = LabelFiles(config, problems)
    measured = (
        _picture(path, side, pairs.label_of.get(path), labels, problems) for path, side in sorted(sides.items())
    )
    pictures = [picture for picture in measured if picture is not None]
    labels.check()
    used = Used(config, listing.files, lists, sides, pairs)
    dataset = annotated.dataset(
        pictures,
        [name for name in (config.names or _numbered(pictures)).values() if name != GOOD],
        root=config.root,
        license=license_of(listing),
        options=options,
        problems=problems,
        format="yolo",
        documents=used.documents(),
    )
    aside, more = used.aside(pictures)
    return replace(dataset, aside=aside, notes=(*config.notes, *notes, *labels.notes(), *more))


def _with_names(config: Config, listing: Listing) -> Config:
    """The configuration with the names of a class list, where it has none of its own."""
    if config.names is None:
        names, lists = names_beside(config.root, listing.files)
        return replace(config, names=names, documents=(*config.documents, *lists))
    try:
        names, lists = names_beside(config.root, listing.files)
    except DataError as error:
        return replace(config, notes=(*config.notes, f"class lists beside {config.name} are not used: {error.what}"))
    notes = config.notes
    if names is not None and list(names.values()) != list(config.names.values()):
        notes = (*notes, f"{lists[0]} names other classes than {config.name}, which is used")
    return replace(config, documents=tuple(dict.fromkeys([*config.documents, *lists])), notes=notes)


def _picture(path: str, side: Side | None, label: str | None, labels: LabelFiles, problems: Problems) -> Picture | None:
    info = measure(labels.config.root / path, problems)
    if info is None:
        return None
    shapes = () if label is None else tuple(labels.shapes(path, label, info))
    return Picture(path, side, info, shapes)


def _numbered(pictures: list[Picture]) -> dict[int, str]:
    """Classes that only have numbers, in the order of these."""
    names = {shape.class_name for picture in pictures for shape in picture.shapes}
    return {int(name.rpartition("_")[2]): name for name in sorted(names, key=lambda name: int(name.rpartition("_")[2]))}
