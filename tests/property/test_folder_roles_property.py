"""Whatever happens to the names of a data set: each file has one role, and no defect image is read as good."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from carpet_data.core.images import read as read_image
from carpet_data.core.images import write_png
from carpet_data.dataset import GOOD, Dataset
from carpet_data.errors import CarpetDataError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.listing import is_image, walk

SIZE = (8, 96)
GOODS, DEFECTS = ("g0", "g1", "g2", "g3"), ("d0", "d1", "d2")

# Images of good and of defects, and masks: {} is the name, which begins with g or d.
LAYOUTS = {
    "mvtec": ("train/good/{}.png", "test/crack/{}.png", "ground_truth/crack/{}_mask.png"),
    "loco": ("train/good/{}.png", "test/crack/{}.png", "ground_truth/crack/{}/000.png"),
    "ad2": ("test_public/good/{}.png", "test_public/bad/{}.png", "test_public/ground_truth/bad/{}_mask.png"),
    "flat": ("images/{}.png", "images/{}.png", "masks/{}.png"),
    "flat sides": ("images/train/{}.png", "images/test/{}.png", "masks/test/{}.png"),
    "classes": ("good/{}.png", "crack/{}.png", "crack_mask/{}.png"),
    "beside": ("{}.png", "{}.png", "{}_mask.png"),
    "class folders": ("good/images/{}.png", "crack/images/{}.png", "crack/masks/{}.png"),
}

Change = Callable[[Path, str], None]


def renamed(path: Path, name: str) -> None:
    if path.exists() and not path.with_name(name).exists():
        path.rename(path.with_name(name))


def masks(root: Path) -> list[Path]:
    return [path for path in sorted(root.rglob("*")) if is_image(path.name) and not is_picture(path)]


def a_mask(root: Path, sign: str) -> None:
    """One mask gets another sign in its name."""
    found = masks(root)
    if found:
        renamed(found[0], f"{found[0].stem}{sign}{found[0].suffix}")


def all_masks(root: Path, sign: str) -> None:
    for path in masks(root):
        renamed(path, f"{path.stem.removesuffix('_mask')}{sign}{path.suffix}")


def mask_folder(root: Path, name: str) -> None:
    """The topmost folder of the masks is called otherwise."""
    found = masks(root)
    if found and len(found[0].relative_to(root).parts) > 1:
        renamed(root / found[0].relative_to(root).parts[0], name)


def deeper(root: Path, name: str) -> None:
    """All masks lie one folder deeper."""
    for path in masks(root):
        (path.parent / name).mkdir(exist_ok=True)
        path.rename(path.parent / name / path.name)


def one_lost(root: Path, name: str) -> None:
    """One mask lies at another place."""
    found = masks(root)
    if found:
        (root / name).mkdir(exist_ok=True)
        shutil.move(found[-1], root / name / found[-1].name)


def image_folder(root: Path, name: str) -> None:
    """The topmost folder of the defect images is called otherwise."""
    found = [
        path.relative_to(root).parts for path in sorted(root.rglob("d*")) if is_image(path.name) and is_picture(path)
    ]
    if found and len(found[0]) > 1:
        renamed(root / found[0][0], name)


def other_type(root: Path, suffix: str) -> None:
    """All masks have another type."""
    for path in masks(root):
        if path.suffix.casefold() != suffix.casefold():
            Image.open(path).save(path.with_suffix(suffix))
            path.unlink()


def yolo(root: Path, name: str) -> None:
    """The masks are gone, and YOLO labels lie in a folder of their own."""
    for path in masks(root):
        path.unlink()
    (root / name).mkdir(exist_ok=True)
    for number in range(3):
        (root / name / f"d{number}.txt").write_text("0 0.1 0.1 0.4 0.1 0.4 0.4\n")


def labels(root: Path, name: str) -> None:
    """The masks are gone, and labels of another kind lie beside the images."""
    for path in masks(root):
        path.unlink()
    for path in root.rglob("d*.png"):
        path.with_suffix(".json").write_text('{"shapes": [], "imagePath": "' + name + '"}')


SIGNS = st.sampled_from(["-x", "_mask", "_gt", "_label", "_MASK", " 2", "_1", "_truth", "-seg", "_mask_2"])
FOLDERS = st.sampled_from(["Masks", "GT", "annotations", "Label", "xyz", "masks_machine", "crack_gt", "labels", "test"])
CHANGES = st.one_of(
    st.tuples(st.sampled_from([a_mask, all_masks]), SIGNS),
    st.tuples(st.sampled_from([mask_folder, deeper, one_lost, labels, yolo]), FOLDERS),
    st.tuples(st.just(image_folder), st.sampled_from(["Training", "foo", "Images", "dev", "good_images", "imgs_2"])),
    st.tuples(st.just(other_type), st.sampled_from([".bmp", ".tif", ".PNG"])),
)


def is_picture(path: Path) -> bool:
    return len(np.unique(read_image(path))) > 2


def write(root: Path, layout: str) -> None:
    good, defect, mask = LAYOUTS[layout]
    places = (
        [(good, name) for name in GOODS] + [(defect, name) for name in DEFECTS] + [(mask, name) for name in DEFECTS]
    )
    for number, (place, name) in enumerate(places):
        path = root / place.format(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, SIZE, dtype=np.uint8)
        if place == mask:
            pixels[:] = 0
            pixels[2:5, 10 : 20 + number] = 255
        write_png(path, pixels)


def check(root: Path, dataset: Dataset) -> None:
    for sample in dataset:
        if is_picture(root / sample.image_path):
            assert not (Path(sample.image_path).name.startswith("d") and sample.class_name == GOOD), sample
        else:
            raise AssertionError(f"a mask is read as an image: {sample}")
    assert dataset.account is not None
    assert sum(row.files for row in dataset.account.roles) == len(walk(root).files)


@given(st.sampled_from(sorted(LAYOUTS)), st.lists(CHANGES, max_size=3), st.booleans())
@settings(max_examples=50, deadline=None)
def test_no_defect_becomes_good(layout: str, changes: list[tuple[Change, str]], skip_faulty: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "set"
        write(root, layout)
        for change, name in changes:
            change(root, name)
        try:
            dataset = read(root, ReadOptions(skip_faulty=skip_faulty))
        except CarpetDataError:
            assert changes, "the layout itself must be read"
            return
        check(root, dataset)
