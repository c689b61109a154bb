"""The layout of MVTec LOCO AD.

ROOT/{train,validation}/good, ROOT/test/CLASS, and a folder of masks per image: ground_truth/CLASS/STEM/000.png,
001.png …, each one instance. ROOT/defects_config.json says which pixel value stands for which defect (Bergmann et al.,
2022, "Beyond Dents and Scratches: Logical Constraints in Unsupervised Anomaly Detection and Localization").
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from carpet_data.core.images import read_values
from carpet_data.dataset import GOOD, Dataset, MaskStack, Sample, categories_of
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.formats import tree
from carpet_data.formats.annotated import is_text
from carpet_data.formats.entries import ImageEntry
from carpet_data.formats.folders import GROUND_TRUTH, good_names, license_of, side_of
from carpet_data.formats.glance import Folder, holds_image
from carpet_data.formats.listing import is_image, is_known, walk
from carpet_data.formats.mvtec.ad import shots_of
from carpet_data.formats.pairing import Named, pair, stem
from carpet_data.formats.problems import Problems
from carpet_data.formats.registry import Format, ReadOptions, summary_of
from carpet_data.formats.tree import Tree

CONFIG = "defects_config.json"

_CONFIG_HINT = 'it should be a list of {"defect_name": TEXT, "pixel_value": NUMBER}, as MVTec ships it'


def scan(root: Path, _: ReadOptions | None = None) -> Tree:
    """The images and mask folders of a folder in MVTec LOCO AD layout, by names alone.

    Raises:
        DataError: The folder is missing or may not be read.
    """
    listing = walk(root)
    shots, rest = shots_of(listing)
    files: dict[str, list[str]] = {}
    unknown: list[str] = []
    for path in rest:
        parts = path.split("/")
        if len(parts) == 4 and parts[0].casefold() == GROUND_TRUTH and is_image(path):
            files.setdefault("/".join(parts[:3]), []).append(path)
        elif not is_known(path) and path != CONFIG:
            unknown.append(path)
    folders = [Named(folder, folder.split("/")[2], ((folder.split("/")[1],),)) for folder in files]
    images = [Named(shot.path, stem(shot.path), ((shot.folder,),)) for shot in shots if shot.side == "test"]
    paired = pair(root, images, folders, ("",))
    good = good_names({shot.folder for shot in shots})
    entries = []
    for shot in shots:
        class_name = GOOD if shot.folder in good else shot.folder
        masks = files.get(paired.mask_of.get(shot.path, ""), [])
        entries.append(
            ImageEntry(
                shot.path, class_name, shot.side, tuple((mask, class_name) for mask in masks), stacked=bool(masks)
            )
        )
    return Tree(
        root,
        "mvtec-loco",
        listing.name,
        tuple(entries),
        orphans=tuple(sorted(path for folder in paired.orphans for path in files[folder])),
        unknown=(*unknown, *listing.others),
        license=license_of(listing),
        masked_classes=bool(files),
        problems=paired.problems,
        documents=(CONFIG,),
    )


def read(root: Path, options: ReadOptions) -> Dataset:
    """Read a folder in MVTec LOCO AD layout.

    Where defects_config.json names the defects by pixel value, every mask is opened to see its value; elsewhere a
    mask's class is its folder's. The threshold plays no part: LOCO's values are names, so any but 0 is defect.

    Raises:
        DataError: The folder is missing, may not be read or holds no images, or defects_config.json is damaged.
        ProblemsError: Images that cannot be read, and masks whose value defects_config.json does not name.
    """
    dataset = tree.dataset(scan(root), options)
    names = _defect_names(root / CONFIG)
    if names is None:
        return dataset
    samples: list[Sample] = []
    problems = Problems()
    for sample in dataset.samples:
        try:
            samples.append(_named(root, sample, names))
        except CarpetDataError as error:  # noqa: PERF203 (problems are collected, so that one run shows them all)
            problems.add(error)
    problems.check()
    return replace(dataset, samples=tuple(samples), categories=categories_of(samples))


def _named(root: Path, sample: Sample, names: dict[int, str]) -> Sample:
    if not isinstance(sample.annotation, MaskStack):
        return sample
    files = []
    for path, folder_name in sample.annotation.files:
        found = np.unique(read_values(root / path))
        values = [int(value) for value in found[found > 0]]
        if len(values) > 1 or (values and values[0] not in names):
            raise DataError(
                f"the mask holds the values {values[:5]}; one value that {CONFIG} names is needed",
                where=root / path,
                hint=f"use MVTec's own mask, or remove {CONFIG} to call the defects by their folder",
            )
        files.append((path, names[values[0]] if values else folder_name))
    return replace(sample, annotation=replace(sample.annotation, files=tuple(files)))


def _defect_names(path: Path) -> dict[int, str] | None:
    """pixel value -> defect; None where the folder does not say."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"it cannot be read ({error})", where=path, hint=_CONFIG_HINT) from error
    try:
        document: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"it is not JSON ({error.msg}, line {error.lineno}, column {error.colno})", where=path, hint=_CONFIG_HINT
        ) from error
    except (RecursionError, ValueError) as error:
        raise DataError(
            "it is nested too deeply, or holds a number that is too long", where=path, hint=_CONFIG_HINT
        ) from error
    names: dict[int, str] = {}
    for entry in document if isinstance(document, list) else [document]:
        value = entry.get("pixel_value") if isinstance(entry, dict) else None
        name = entry.get("defect_name") if isinstance(entry, dict) else None
        if isinstance(value, bool) or not isinstance(value, int) or not is_text(name):
            raise DataError("an entry lacks defect_name or pixel_value", where=path, hint=_CONFIG_HINT)
        if names.setdefault(value, name) != name:
            raise DataError(
                f"the pixel value {value} stands for {names[value]} and for {name}", where=path, hint=_CONFIG_HINT
            )
    return names


def _looks_like(folder: Folder) -> bool:
    """Whether every class of the ground truth has a folder per image, and none a mask file per image."""
    if GROUND_TRUTH not in folder.folders:
        return False
    inside = Folder(folder.folders[GROUND_TRUTH]).folders.values()
    classes = [path for path in inside if side_of(path.name) is None]
    if any(holds_image(path) for path in classes):
        return False
    return any(holds_image(inner) for path in classes for inner in list(Folder(path).folders.values())[:1])


MVTEC_LOCO = Format("mvtec-loco", summary_of("mvtec-loco"), read=read, looks_like=_looks_like, scan=scan)
