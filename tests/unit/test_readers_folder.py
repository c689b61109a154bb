"""Folders of images and masks, paired by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.trees import files, image, mask

from carpet_data.dataset import Dataset
from carpet_data.errors import DataError, ProblemsError, UsageError
from carpet_data.formats import ReadOptions, folder, read


def _read(root: Path, **options: str) -> Dataset:
    return folder.read(root, ReadOptions(format="folder", **options))  # type: ignore[arg-type]


def _told(dataset: Dataset) -> dict[str, tuple[str, str | None]]:
    return {sample.image_path: (sample.class_name, sample.mask_path) for sample in dataset}


def test_flat_folders_take_the_class_from_the_mask(tmp_path: Path) -> None:
    root = files(tmp_path, ["images/a.png", "images/b.png", "images/c.png"], ["masks/a.png"])
    mask(root / "masks/b.png", value=0)
    dataset = read(root)
    assert dataset.format == "folder"
    assert _told(dataset) == {
        "images/a.png": ("defect", "masks/a.png"),
        "images/b.png": ("good", "masks/b.png"),
        "images/c.png": ("good", None),
    }
    assert [sample.id for sample in dataset] == ["defect_a", "good_b", "good_c"]
    assert dataset.categories == ("defect",)


@pytest.mark.parametrize(
    ("picture", "its_mask"),
    [
        ("images/hole/a.png", "masks/hole/a.png"),
        ("images/hole/a.png", "masks/a.png"),
        ("Images/hole/a.jpg", "Masks/hole/a_mask.PNG"),
        ("hole/images/a.png", "hole/masks/a.png"),
        ("hole/a.png", "hole/a_mask.png"),
        ("hole/a.png", "masks/hole/a.png"),
        ("hole/a.png", "hole/masks/a.png"),
        ("train/hole/a.png", "train/hole/a-mask.png"),
        ("images/train/hole/a.png", "masks/train/hole/a.png"),
        ("train/images/hole/a.png", "train/masks/hole/a.png"),
        ("hole/images/a.png", "hole/ground_truth/a_gt.png"),
    ],
)
def test_shapes(picture: str, its_mask: str, tmp_path: Path) -> None:
    dataset = _read(files(tmp_path, [picture], [its_mask]))
    assert _told(dataset) == {picture: ("hole", its_mask)}
    assert ("source" in dataset.splits) == ("train" in picture)


def test_class_folders_without_masks(tmp_path: Path) -> None:
    root = files(tmp_path, ["hole/a.png", "cut/a.png", "good/a.png"])
    assert {sample.id: sample.class_name for sample in read(root)} == {
        "hole_a": "hole",
        "cut_a": "cut",
        "good_a": "good",
    }
    assert not folder.scan(root).masked_classes


def test_classes_may_be_called_mask(tmp_path: Path) -> None:
    root = files(tmp_path, ["mask/a.png", "no mask/b.png"])
    assert _read(root).classes == ("mask", "no mask")


def test_names_that_only_end_like_masks_are_images(tmp_path: Path) -> None:
    root = files(tmp_path, ["hole/gas_mask.png", "hole/b.png"])
    assert _told(_read(root)) == {"hole/b.png": ("hole", None), "hole/gas_mask.png": ("hole", None)}


def test_orphans_and_strays(tmp_path: Path) -> None:
    root = files(tmp_path, ["hole/a.png", "loose.png"], ["hole/a_mask.png", "hole/b_mask.png"])
    tree = folder.scan(root)
    assert tree.orphans == ("hole/b_mask.png",)
    assert tree.unknown == ("loose.png",)
    root = files(tmp_path / "two", ["images/a.png", "elsewhere/a.png"], ["masks/a.png", "masks/c.png"])
    tree = folder.scan(root)
    assert (tree.orphans, tree.unknown) == (("masks/c.png",), ("elsewhere/a.png",))


def test_named_folders(tmp_path: Path) -> None:
    root = files(tmp_path, ["photos/raw/a.png"], ["labels/drawn/a.png"])
    assert _told(_read(root, images_dir="photos/raw", masks_dir="labels/drawn")) == {
        "photos/raw/a.png": ("defect", "labels/drawn/a.png")
    }
    with pytest.raises(DataError, match="holds no image files"):
        _read(root, images_dir="photos/raw", masks_dir="absent")
    for escape in ("../x", "/x"):
        with pytest.raises(UsageError, match="leaves the data set"):
            _read(root, images_dir=escape)


def test_masks_below_or_beside_the_images(tmp_path: Path) -> None:
    root = files(tmp_path / "below", ["photos/a.png"], ["photos/drawn/a.png"])
    assert _told(_read(root, images_dir="photos", masks_dir="photos/drawn")) == {
        "photos/a.png": ("defect", "photos/drawn/a.png")
    }
    root = files(tmp_path / "beside", ["photos/a.png"], ["photos/a.label.png"])
    assert _told(_read(root, images_dir="photos", masks_dir="photos", mask_suffix=".label")) == {
        "photos/a.png": ("defect", "photos/a.label.png")
    }


def test_mask_suffix(tmp_path: Path) -> None:
    root = files(tmp_path, ["images/a.png"], ["masks/a_defect.png", "masks/a.png"])
    assert _told(_read(root, mask_suffix="_defect"))["images/a.png"] == ("defect", "masks/a_defect.png")


def test_pair_by(tmp_path: Path) -> None:
    root = files(tmp_path, ["images/IMG_007_left.png", "images/IMG_008_left.png"], ["masks/label-007.png"])
    assert _told(_read(root, pair_by=r"(\d+)")) == {
        "images/IMG_007_left.png": ("defect", "masks/label-007.png"),
        "images/IMG_008_left.png": ("good", None),
    }
    with pytest.raises(ProblemsError, match="is not found in the name"):
        _read(root, pair_by=r"IMG_(007)")
    with pytest.raises(ProblemsError, match="fits several images"):
        _read(root, pair_by=r"(00)")
    with pytest.raises(UsageError, match="captures nothing"):
        _read(root, pair_by=r"\d+")
    with pytest.raises(UsageError, match="invalid --pair-by value"):
        _read(root, pair_by="(")


def test_one_flat_mask_for_two_classes_is_a_fault(tmp_path: Path) -> None:
    root = files(tmp_path, ["images/hole/0.png", "images/cut/0.png"], ["masks/0.png"])
    with pytest.raises(ProblemsError, match="fits several images"):
        _read(root)


def test_a_mask_below_the_threshold_is_no_good_image(tmp_path: Path) -> None:
    root = files(tmp_path, ["images/a.png"])
    mask(root / "masks/a.png", value=1)
    with pytest.raises(ProblemsError, match="below the threshold"):
        _read(root)
    assert folder.read(root, ReadOptions(threshold=1)).samples[0].class_name == "defect"


def test_images_alone(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    assert _told(_read(tmp_path)) == {"a.png": ("good", None)}


def test_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images"):
        _read(tmp_path)
