"""Readers of the MVTec layouts: AD, LOCO, AD 2."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from helpers.trees import files, image, mask

from carpet_data.core.images import write_png
from carpet_data.core.masks import find, load
from carpet_data.dataset import MaskFile, MaskStack
from carpet_data.errors import DataError, ProblemsError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.mvtec import ad, ad2, loco


def _pairs(root: Path) -> dict[str, str | None]:
    return {sample.image_path: sample.mask_path for sample in ad.read(root, ReadOptions())}


def test_mvtec(tmp_path: Path) -> None:
    root = files(
        tmp_path / "carpet",
        ["train/good/0.png", "validation/good/0.png", "test/good/0.png", "test/hole/0.png", "test/cut/0.png"],
        ["ground_truth/hole/0_mask.png", "ground_truth/cut/0_mask.png"],
    )
    dataset = read(root)
    assert (dataset.name, dataset.format, dataset.connectivity) == ("carpet", "mvtec", 8)
    assert dataset.categories == ("cut", "hole")
    assert dataset.splits["source"].counts() == {"train": 1, "val": 1, "test": 3}
    by_id = dataset.by_id()
    assert sorted(by_id) == ["test_cut_0", "test_good_0", "test_hole_0", "train_good_0", "val_good_0"]
    assert by_id["test_hole_0"].annotation == MaskFile("ground_truth/hole/0_mask.png", 128)
    assert by_id["test_good_0"].annotation is None
    assert (by_id["test_hole_0"].width, by_id["test_hole_0"].height) == (12, 8)
    assert find(load(root, by_id["test_hole_0"])).bbox.tolist() == [[2, 1, 3, 3]]


def test_options_are_passed_on(tmp_path: Path) -> None:
    root = files(tmp_path, ["test/hole/0.png"], ["ground_truth/hole/0_mask.png"])
    dataset = read(root, ReadOptions(threshold=7, connectivity=4))
    assert dataset.connectivity == 4
    assert dataset.samples[0].annotation == MaskFile("ground_truth/hole/0_mask.png", 7)


@pytest.mark.parametrize(
    ("picture", "its_mask"),
    [
        ("0.png", "0.png"),
        ("0.JPG", "0_MASK.PNG"),
        ("0.jpeg", "0_mask.bmp"),
        ("a b (1).png", "a b (1)_mask.png"),
        ("0.1.png", "0.1_mask.png"),
        ("äöü 織物.png", "äöü 織物_mask.png"),
        (unicodedata.normalize("NFC", "é.png"), unicodedata.normalize("NFD", "é_mask.png")),
        ("x" * 240 + ".png", "x" * 240 + "_mask.png"),
        ("000_mask.png", "000_mask_mask.png"),
    ],
)
def test_names_of_masks(picture: str, its_mask: str, tmp_path: Path) -> None:
    root = tmp_path / "a folder, mit Ümläuten"
    image(root / "test/hole/x.png").rename(root / "test/hole" / picture)
    mask(root / "ground_truth/hole/x.png").rename(root / "ground_truth/hole" / its_mask)
    assert _pairs(root) == {f"test/hole/{picture}": f"ground_truth/hole/{its_mask}"}


def test_pairs_go_by_name_not_by_position(tmp_path: Path) -> None:
    root = files(
        tmp_path,
        ["test/hole/1.png", "test/hole/10.png", "test/hole/2.png"],
        ["ground_truth/hole/2_mask.png", "ground_truth/hole/10_mask.png", "ground_truth/hole/9_mask.png"],
    )
    assert _pairs(root) == {
        "test/hole/1.png": None,
        "test/hole/10.png": "ground_truth/hole/10_mask.png",
        "test/hole/2.png": "ground_truth/hole/2_mask.png",
    }
    assert ad.scan(root).orphans == ("ground_truth/hole/9_mask.png",)


def test_names_that_differ_by_case_keep_their_own_masks(tmp_path: Path) -> None:
    root = files(
        tmp_path,
        ["test/hole/a.png", "test/hole/A.png", "test/hole/B.png"],
        ["ground_truth/hole/a_mask.png", "ground_truth/hole/b_mask.png"],
    )
    assert _pairs(root) == {
        "test/hole/A.png": None,
        "test/hole/B.png": "ground_truth/hole/b_mask.png",
        "test/hole/a.png": "ground_truth/hole/a_mask.png",
    }
    ids = [sample.id for sample in ad.read(root, ReadOptions())]
    assert len({sample_id.casefold() for sample_id in ids}) == 3


def test_equal_stems_are_both_kept(tmp_path: Path) -> None:
    root = files(tmp_path, ["train/good/0.png", "train/good/0.bmp", "train/good/1.png"])
    ids = [sample.id for sample in ad.read(root, ReadOptions())]
    assert len(set(ids)) == 3
    assert "train_good_1" in ids
    image(root / "train/good/2.png")
    assert set(ids) < {sample.id for sample in ad.read(root, ReadOptions())}


def test_a_mask_that_fits_two_images_is_a_fault(tmp_path: Path) -> None:
    root = files(tmp_path, ["train/hole/0.png", "test/hole/0.png"], ["ground_truth/hole/0_mask.png"])
    assert len(ad.scan(root).problems) == 1
    with pytest.raises(ProblemsError, match="fits several images") as caught:
        ad.read(root, ReadOptions())
    assert "ground_truth/train" in str(caught.value)
    (root / "ground_truth/hole/0_mask.png").unlink()
    mask(root / "ground_truth/train/hole/0_mask.png")
    mask(root / "ground_truth/test/hole/0_mask.png")
    assert _pairs(root) == {f"{side}/hole/0.png": f"ground_truth/{side}/hole/0_mask.png" for side in ("train", "test")}


def test_two_masks_for_one_image_are_a_fault(tmp_path: Path) -> None:
    root = files(tmp_path, ["test/hole/0.png"], ["ground_truth/hole/0_mask.png", "ground_truth/hole/0_mask.bmp"])
    with pytest.raises(ProblemsError, match="several masks"):
        ad.read(root, ReadOptions())


@pytest.mark.parametrize("name", ["ok", "OK", "normal", "Good"])
def test_other_words_for_good(name: str, tmp_path: Path) -> None:
    root = files(tmp_path, [f"train/{name}/0.png", "test/hole/0.png"], ["ground_truth/hole/0_mask.png"])
    assert ad.read(root, ReadOptions()).classes == ("good", "hole")


def test_good_alone_is_good(tmp_path: Path) -> None:
    root = files(tmp_path, ["train/good/0.png", "test/ok/0.png"])
    assert ad.read(root, ReadOptions()).classes == ("good", "ok")


def test_unknown_files(tmp_path: Path) -> None:
    root = files(
        tmp_path,
        ["test/hole/0.png", "test/hole/deeper/1.png", "test/loose.png", "top.png", "other/hole/2.png"],
        ["ground_truth/hole/0_mask.png", "ground_truth/hole/1/000.png"],
    )
    for name in ("license.txt", "readme.txt", "notes.docx", ".DS_Store", "test/hole/Thumbs.db", ".git/config"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x")
    os.mkfifo(root / "test/hole/pipe.png")
    tree = ad.scan(root)
    assert [entry.image for entry in tree.entries] == ["test/hole/0.png"]
    assert sorted(tree.unknown) == [
        "ground_truth/hole/1/000.png",
        "notes.docx",
        "other/hole/2.png",
        "test/hole/deeper/1.png",
        "test/hole/pipe.png",
        "test/loose.png",
        "top.png",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n  My own licence \nmore\n", "My own licence"),
        (
            "released under the Creative Commons Attribution-NonCommercial-ShareAlike\n4.0 International",
            "CC BY-NC-SA 4.0",
        ),
        ("License: (CC BY-NC-SA 4.0). For details see …", "CC BY-NC-SA 4.0"),
        ("dedicated to the public domain under CC0 1.0 Universal", "CC0 1.0"),
        ("Creative Commons Attribution 4.0", "CC BY 4.0"),
        ("", ""),
    ],
)
def test_licence(text: str, expected: str, tmp_path: Path) -> None:
    root = files(tmp_path, ["test/hole/0.png"])
    (root / "license.txt").write_text(text)
    (root / "readme.txt").write_text("The carpet of MVTec AD.")
    assert ad.scan(root).license == expected


def test_the_readme_is_asked_where_no_licence_is(tmp_path: Path) -> None:
    root = files(tmp_path, ["test/hole/0.png"])
    (root / "readme.txt").write_bytes(b"Carpet\n\xff\xfe CC BY-SA 4.0")
    assert ad.scan(root).license == "CC BY-SA 4.0"
    (root / "readme.txt").write_text("Carpet")
    assert ad.scan(root).license == ""


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    elsewhere = files(tmp_path / "elsewhere", ["0.png"])
    root = files(tmp_path / "data", ["train/good/1.png"])
    (root / "train/good/0.png").symlink_to(elsewhere / "0.png")
    (root / "test").mkdir()
    (root / "test/good").symlink_to(elsewhere, target_is_directory=True)
    (root / "test/good/up").symlink_to(root, target_is_directory=True)
    (root / "round").symlink_to("round")
    tree = ad.scan(root)
    assert tree.unknown == ("round",)
    assert [entry.image for entry in tree.entries] == [
        "test/good/0.png",
        "train/good/0.png",
        "train/good/1.png",
    ]


def test_a_broken_link_is_a_missing_image(tmp_path: Path) -> None:
    root = files(tmp_path, ["train/good/0.png"])
    (root / "train/good/1.png").symlink_to("nowhere.png")
    with pytest.raises(ProblemsError, match=r"1\.png: the file is missing"):
        ad.read(root, ReadOptions())


def test_damaged_images_are_all_named(tmp_path: Path) -> None:
    root = files(tmp_path, ["train/good/0.png"])
    for number in range(1, 4):
        (root / f"train/good/{number}.png").write_bytes(b"no image")
    with pytest.raises(ProblemsError) as caught:
        ad.read(root, ReadOptions())
    assert len(caught.value.problems) == 3


def test_empty_missing_and_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images were found"):
        ad.read(tmp_path, ReadOptions())
    with pytest.raises(DataError, match="no such folder"):
        ad.read(tmp_path / "absent", ReadOptions())
    with pytest.raises(DataError, match="this is a file"):
        ad.read(image(tmp_path / "0.png"), ReadOptions())


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    root = files(tmp_path, ["train/good/0.png"])
    Path(os.fsdecode(os.fsencode(root / "train/good") + b"/\xff.png")).write_bytes(b"")
    with pytest.raises(DataError, match=r"\\xff\.png.*is not UTF-8"):
        ad.read(root, ReadOptions())


def test_loco(tmp_path: Path) -> None:
    root = files(tmp_path, ["train/good/0.png", "validation/good/0.png", "test/logical_anomalies/0.png"])
    mask(root / "ground_truth/logical_anomalies/0/000.png", value=1)
    mask(root / "ground_truth/logical_anomalies/0/001.png", value=2, columns=slice(5, 9))
    dataset = read(root)
    assert dataset.format == "mvtec-loco"
    sample = dataset.by_id()["test_logical_anomalies_0"]
    assert isinstance(sample.annotation, MaskStack)
    assert find(load(root, sample)).area.tolist() == [9, 12]
    assert dataset.categories == ("logical_anomalies",)

    config = root / "defects_config.json"
    config.write_text(
        json.dumps([{"defect_name": "one pin", "pixel_value": 1}, {"defect_name": "two", "pixel_value": 2}])
    )
    dataset = read(root)
    assert dataset.categories == ("one pin", "two")
    assert find(load(root, dataset.by_id()["test_logical_anomalies_0"])).class_names == ("one pin", "two")
    assert loco.scan(root).unknown == ()


def test_loco_one_mask_is_one_instance(tmp_path: Path) -> None:
    root = files(tmp_path, ["test/structural_anomalies/0.png"])
    pixels = np.zeros((8, 12), np.uint8)
    pixels[0, 0] = pixels[7, 11] = 255
    path = mask(root / "ground_truth/structural_anomalies/0/000.png")
    write_png(path, pixels)
    dataset = loco.read(root, ReadOptions())
    assert len(find(load(root, dataset.samples[0]))) == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("[{", "line 1, column 3"),
        ('[{"defect_name": "a"}]', "lacks defect_name or pixel_value"),
        ('[{"defect_name": "a", "pixel_value": 1}, {"defect_name": "b", "pixel_value": 1}]', "stands for a and for b"),
        ('[{"defect_name": "a", "pixel_value": 7}]', r"holds the values \[1\]"),
    ],
)
def test_loco_config_faults(config: str, message: str, tmp_path: Path) -> None:
    root = files(tmp_path, ["test/logical_anomalies/0.png"])
    mask(root / "ground_truth/logical_anomalies/0/000.png", value=1)
    (root / "defects_config.json").write_text(config)
    with pytest.raises(DataError) as caught:
        loco.read(root, ReadOptions())
    assert caught.match(message) or pytest.fail(str(caught.value))


def test_loco_orphans(tmp_path: Path) -> None:
    root = files(tmp_path, ["test/logical_anomalies/0.png"], ["ground_truth/logical_anomalies/1/000.png"])
    assert loco.scan(root).orphans == ("ground_truth/logical_anomalies/1/000.png",)


def test_ad2(tmp_path: Path) -> None:
    root = files(
        tmp_path,
        [
            "train/good/0.png",
            "validation/good/1.png",
            "test_public/good/2.png",
            "test_public/bad/3.png",
            "test_private/4.png",
            "test_private_mixed/5.png",
        ],
        ["test_public/ground_truth/bad/3_mask.png"],
    )
    dataset = read(root)
    assert dataset.format == "mvtec-ad2"
    assert {sample.image_path: (sample.side, sample.class_name, sample.mask_path) for sample in dataset} == {
        "train/good/0.png": ("train", "good", None),
        "validation/good/1.png": ("val", "good", None),
        "test_public/good/2.png": ("test", "good", None),
        "test_public/bad/3.png": ("test", "bad", "test_public/ground_truth/bad/3_mask.png"),
    }
    assert ad2.scan(root).unknown == ("test_private/4.png", "test_private_mixed/5.png")


def test_a_root_may_be_text(tmp_path: Path) -> None:
    root = files(tmp_path / "carpet", ["train/good/0.png"])
    assert read(str(root)) == read(root)
