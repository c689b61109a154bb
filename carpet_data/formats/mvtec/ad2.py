"""The layout of MVTec AD 2.

ROOT/{train,validation}/good, ROOT/test_public/{good,bad} and ROOT/test_public/ground_truth/bad/STEM_mask.png
(Heckler-Kram et al., 2025, "The MVTec AD 2 Dataset: Advanced Scenarios for Unsupervised Anomaly Detection").
The private test images have no labels: they are left out, and listed as such.
"""

from __future__ import annotations

from pathlib import Path

from carpet_data.dataset import Dataset
from carpet_data.formats import tree
from carpet_data.formats.folders import GROUND_TRUTH, license_of, side_of
from carpet_data.formats.glance import Folder
from carpet_data.formats.listing import is_image, is_known, walk
from carpet_data.formats.mvtec.ad import MASK_ENDINGS, Shot, entries_of
from carpet_data.formats.pairing import Named, pair, stem
from carpet_data.formats.registry import Format, ReadOptions, summary_of
from carpet_data.formats.tree import Tree

PUBLIC_TEST, PRIVATE_TEST = "test_public", "test_private"


def scan(root: Path, _: ReadOptions | None = None) -> Tree:
    """The images and masks of a folder in MVTec AD 2 layout, by names alone.

    Raises:
        DataError: The folder is missing or may not be read.
    """
    listing = walk(root)
    shots: list[Shot] = []
    masks: list[Named] = []
    unknown: list[str] = []
    private = {path.split("/", 1)[0] for path in listing.files if path.casefold().startswith(PRIVATE_TEST)}
    for path in listing.files:
        parts = path.split("/")
        public = parts[0].casefold() == PUBLIC_TEST
        side = "test" if public else side_of(parts[0])
        if public and len(parts) == 4 and parts[1].casefold() == GROUND_TRUTH and is_image(path):
            masks.append(Named(path, stem(path), ((parts[2],),)))
        elif side is not None and len(parts) == 3 and is_image(path):
            shots.append(Shot(side, parts[1], path))
        elif not is_known(path):
            unknown.append(path)
    public_shots = [shot for shot in shots if shot.path.casefold().startswith(f"{PUBLIC_TEST}/")]
    images = [Named(shot.path, stem(shot.path), ((shot.folder,),)) for shot in public_shots]
    paired = pair(root, images, masks, MASK_ENDINGS)
    return Tree(
        root,
        "mvtec-ad2",
        listing.name,
        entries_of(shots, paired),
        orphans=paired.orphans,
        unknown=(*unknown, *listing.others),
        license=license_of(listing),
        masked_classes=bool(masks),
        problems=paired.problems,
        aside=(*paired.beside(), *((folder, "test images without published labels") for folder in sorted(private))),
    )


def read(root: Path, options: ReadOptions) -> Dataset:
    """Read a folder in MVTec AD 2 layout; only image headers are opened.

    Raises:
        DataError: The folder is missing, may not be read or holds no images.
        ProblemsError: Images that cannot be read, and masks whose image is ambiguous by name.
    """
    return tree.dataset(scan(root), options)


def _looks_like(folder: Folder) -> bool:
    return PUBLIC_TEST in folder.folders


MVTEC_AD2 = Format("mvtec-ad2", summary_of("mvtec-ad2"), read=read, looks_like=_looks_like, scan=scan)
