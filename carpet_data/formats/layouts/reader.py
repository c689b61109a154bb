"""One reader for all layouts of the table."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Dataset
from carpet_data.errors import DataError
from carpet_data.formats import tree
from carpet_data.formats.classes.rules import DEFECT
from carpet_data.formats.entries import ImageEntry
from carpet_data.formats.folders import good_names, license_of, side_of
from carpet_data.formats.layouts.layout import Images, Labels, Layout, matched
from carpet_data.formats.listing import composed, is_image, is_known, walk
from carpet_data.formats.pairing import MissingMaskError, Named, Pairing, Place, pair
from carpet_data.formats.registry import ReadOptions
from carpet_data.formats.tree import Tree

__all__ = ["read", "scan"]

_PLACES = ("side", "class", "group")
_SHOWN = 5
_MOST_MASKED = 0.8
"""Where this share of the images has a mask, good ones have empty masks, and a missing mask says nothing."""


@dataclass(frozen=True, slots=True)
class _Spot:
    path: str
    parts: Mapping[str, str]
    rule: Images


@dataclass(slots=True)
class _Sorted:
    """The files of a folder by what they are."""

    images: list[_Spot] = field(default_factory=list)
    masks: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    aside: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def scan(layout: Layout, root: Path, _: ReadOptions | None = None) -> Tree:
    """The images and masks of a folder of this layout, by names alone, and what its tables say.

    Raises:
        DataError: The folder is missing or may not be read, or a table is damaged.
    """
    listing = walk(root)
    files = _sorted(layout, listing.files)
    labels = Labels({}) if layout.labels is None else layout.labels(root, listing.files)
    paired, masks = _paired(root, layout, files)
    entries, aside = _entries(layout, files.images, masks, labels)
    if layout.sides is not None:
        sides = layout.sides(root, listing.files)
        entries = [replace(entry, side=sides.get(PurePosixPath(entry.image).stem)) for entry in entries]
    problem, notes = _unmasked(layout, entries, root)
    listed = layout.class_list if layout.class_list in listing.files else None
    return Tree(
        root,
        layout.name,
        listing.name,
        tuple(entries),
        orphans=paired.orphans,
        unknown=(*sorted(set(files.unknown) - set(labels.documents)), *listing.others),
        license=license_of(listing),
        masked_classes=bool(files.masks),
        problems=(*paired.problems, *problem),
        documents=tuple(sorted({*files.documents, *labels.documents})),
        aside=(*files.aside, *aside),
        notes=notes,
        threshold=layout.threshold,
        class_list=listed,
    )


def read(layout: Layout, root: Path, options: ReadOptions) -> Dataset:
    """Read a folder of this layout. Masks are opened where they say the class.

    Raises:
        DataError: As `scan`, for a folder without images, and for class numbers that nothing names.
        ProblemsError: Images and masks that cannot be read, and masks whose image is ambiguous by name.
    """
    found = scan(layout, root)
    if found.class_list is not None and options.mask_classes is None:
        options = options.but(mask_classes=str(root / found.class_list))
    return tree.dataset(found, options)


def _sorted(layout: Layout, paths: Sequence[str]) -> _Sorted:
    found = _Sorted()
    for path in paths:
        if is_image(path):
            parts = next((parts for each in layout.masks if (parts := matched(each, path)) is not None), None)
            if parts is not None:
                found.masks.append((path, parts))
                continue
            spot = next((_Spot(path, p, rule) for rule in layout.images if (p := matched(rule.pattern, path))), None)
            if spot is not None:
                found.images.append(spot)
                continue
        why = next((why for pattern, why in layout.aside if matched(pattern, path) is not None), None)
        if why is not None:
            found.aside.append((path, why))
        elif any(matched(pattern, path) is not None for pattern in layout.documents):
            found.documents.append(path)
        elif not is_known(path):
            found.unknown.append(path)
    return found


def _paired(root: Path, layout: Layout, files: _Sorted) -> tuple[Pairing, dict[str, tuple[str, ...]]]:
    """Masks by name: the pairing of the first mask of each image, and image path -> all of its masks."""
    parts_of: dict[tuple[Place, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path, parts in files.masks:
        key = (_place(parts), _folded(parts["stem"]))
        parts_of[key][parts.get("part", "")].append(path)
    parts_by_path = dict(files.masks)
    first = [path for parts in parts_of.values() for path in parts[min(parts)]]
    more = {
        parts[min(parts)][0]: [path for part in sorted(parts) for path in parts[part]] for parts in parts_of.values()
    }
    wanted = list(dict.fromkeys(tuple(name for name in _PLACES if f"{{{name}}}" in each) for each in layout.masks))
    images = [
        Named(spot.path, spot.parts["stem"], tuple(_place(spot.parts, names) for names in wanted))
        for spot in files.images
    ]
    masks = [Named(path, parts_by_path[path]["stem"], (_place(parts_by_path[path]),)) for path in first]
    paired = pair(root, images, masks, ("",))
    orphans = tuple(sorted(path for mask in paired.orphans for path in more.get(mask, [mask])))
    paired = replace(paired, orphans=orphans)
    return paired, {image: tuple(more.get(mask, [mask])) for image, mask in paired.mask_of.items()}


def _place(parts: Mapping[str, str], names: Sequence[str] = _PLACES) -> Place:
    return tuple(_folded(parts[name]) if name in names and name in parts else None for name in _PLACES)


def _folded(text: str) -> str:
    return composed(text).casefold()


def _entries(
    layout: Layout, spots: Sequence[_Spot], masks: Mapping[str, tuple[str, ...]], labels: Labels
) -> tuple[list[ImageEntry], list[tuple[str, str]]]:
    good = set(good_names({spot.parts["class"] for spot in spots if "class" in spot.parts}))
    good |= {spot.parts["class"] for spot in spots if spot.parts.get("class", "").casefold() in layout.good}
    by_name = {path.casefold(): name for path, name in labels.classes.items()}
    entries, aside = [], []
    for spot in spots:
        its_masks = masks.get(spot.path, ())
        if layout.masked_alone and not its_masks:
            aside.append((spot.path, "without a mask its class is unknown"))
            continue
        said = by_name.get(spot.path.casefold()) or _class_of(spot, good)
        class_name = said or (DEFECT if its_masks else GOOD)
        entries.append(
            ImageEntry(
                spot.path,
                class_name,
                side_of(spot.parts["side"]) if "side" in spot.parts else None,
                tuple((path, class_name) for path in its_masks),
                by_mask=said is None,
                group=_group_of(spot),
            )
        )
    return entries, aside


def _group_of(spot: _Spot) -> str | None:
    """The path down to the folder that is the group: S0001 of OK and S0001 of NG are two parts."""
    if "group" not in spot.parts:
        return None
    folders = spot.path.split("/")
    return "/".join(folders[: folders.index(spot.parts["group"]) + 1])


def _class_of(spot: _Spot, good: set[str]) -> str | None:
    """The class that the names say; None where only the mask does."""
    if spot.rule.class_in_stem:
        match = re.search(spot.rule.class_in_stem, spot.parts["stem"])
        if match is not None:
            return match[1]
    name = spot.rule.class_name or spot.parts.get("class")
    return GOOD if name in good else name


def _unmasked(
    layout: Layout, entries: Sequence[ImageEntry], root: Path
) -> tuple[tuple[DataError, ...], tuple[str, ...]]:
    """The problem, or the note, of images without a mask whose class only a mask could say."""
    open_entries = [entry for entry in entries if entry.by_mask]
    bare = [entry.image for entry in open_entries if not entry.masks]
    if not layout.every_mask or not bare:
        return (), ()
    if len(bare) > (1 - _MOST_MASKED) * len(open_entries):
        return (), (f"{counted(len(bare), 'image')} without a mask {'is' if len(bare) == 1 else 'are'} taken as good",)
    shown = ", ".join(bare[:_SHOWN]) + (" …" if len(bare) > _SHOWN else "")
    return (
        MissingMaskError.about(
            bare,
            f"{counted(len(bare), 'image')} of {len(open_entries)} {'has' if len(bare) == 1 else 'have'} no mask: "
            f"{shown}; as good images of {layout.title} have an empty mask, it is unknown what these show",
            where=root,
            hint="restore the masks, or leave these images out with --skip-faulty",
        ),
    ), ()
