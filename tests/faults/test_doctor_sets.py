"""Faults of a data set as a whole: names, classes, sizes, repeats, documents."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from helpers.cloth import HOLE_MASK, SIDE, examine, only, picture, save, spot
from numpy.typing import NDArray

from carpet_data.diagnosis.doctor import doctor
from carpet_data.errors import DataError, UsageError
from carpet_data.formats import ReadOptions
from carpet_data.preparation.prepare import prepare


def lighter(seed: int) -> NDArray[np.uint8]:
    return np.clip(picture(seed) * 0.8 + 40, 0, 255).astype(np.uint8)


def test_sizes_that_vary(root: Path) -> None:
    for number in range(4):
        save(root / f"train/good/{number:03}.png", picture(number, side=SIDE + number))
    diagnosis = examine(root)
    assert only(diagnosis, "sizes-vary").what.startswith("4 sizes, widths 64 to 67 px")
    assert diagnosis.of("size-unlike-rest") == ()


def test_no_masks_at_all_is_no_error(root: Path) -> None:
    shutil.rmtree(root / "ground_truth")
    diagnosis = examine(root)
    only(diagnosis, "no-masks")
    assert diagnosis.exit_code == 0


def test_names_that_collide(root: Path) -> None:
    folder = root / "train/good"
    save(folder / "A.png", picture(50))
    save(folder / "a.png", picture(51))
    save(folder / "000.jpg", picture(52))
    save(folder / (unicodedata.normalize("NFC", "ä") + ".png"), picture(53))
    save(folder / (unicodedata.normalize("NFD", "ä") + ".png"), picture(54))
    if len(list(folder.iterdir())) < 11:
        pytest.skip("this file system takes colliding names for one file")
    diagnosis = examine(root)
    assert only(diagnosis, "name-case").files == ("train/good/a.png",)
    assert only(diagnosis, "name-stem").files == ("train/good/000.png",)
    only(diagnosis, "name-unicode")


def test_two_images_for_one_mask(root: Path) -> None:
    save(root / "test/hole/002.bmp", picture(60))
    diagnosis = examine(root)
    assert diagnosis.of("pairing")
    assert diagnosis.exit_code == 1


def test_small_classes(root: Path) -> None:
    for number in (1, 2, 3, 4):
        (root / f"test/cut/{number:03}.png").unlink()
        (root / f"ground_truth/cut/{number:03}_mask.png").unlink()
    (root / "test/hole/004.png").unlink()
    (root / "ground_truth/hole/004_mask.png").unlink()
    diagnosis = examine(root)
    assert only(diagnosis, "class-single").where == "cut"
    assert only(diagnosis, "class-small").where == "hole"
    assert diagnosis.exit_code == 0


def test_without_good_images(root: Path) -> None:
    shutil.rmtree(root / "train")
    shutil.rmtree(root / "test/good")
    only(examine(root), "no-good")


def test_no_image(root: Path) -> None:
    for path in root.rglob("*.png"):
        path.unlink()
    diagnosis = examine(root, format="mvtec")
    only(diagnosis, "no-images")
    assert diagnosis.exit_code == 1


def test_loco_masks_in_an_mvtec_layout(root: Path) -> None:
    for number in range(5):
        old = root / f"ground_truth/hole/{number:03}_mask.png"
        save(root / f"ground_truth/hole/{number:03}/000.png", spot())
        old.unlink()
    diagnosis = examine(root, format="mvtec")
    found = only(diagnosis, "loco-masks")
    assert found.where == "ground_truth/hole"
    assert len(found.files) == 5
    assert "mvtec-loco" in found.hint
    assert diagnosis.of("unknown-file") == ()
    assert diagnosis.of("mask-missing") == ()


def test_overlapping_instances_of_loco(tmp_path: Path) -> None:
    root = tmp_path / "box"
    save(root / "train/good/000.png", picture(0))
    save(root / "test/good/000.png", picture(1))
    save(root / "test/structural_anomalies/000.png", picture(2))
    save(root / "ground_truth/structural_anomalies/000/000.png", spot())
    save(root / "ground_truth/structural_anomalies/000/001.png", np.roll(spot(), 5, axis=1))
    # Masks of one class are united, as everywhere.
    assert examine(root, format="mvtec-loco").of("mask-overlap") == ()


def test_many_near_duplicates_straddle_a_split_and_the_names_say_how_to_group(tmp_path: Path) -> None:
    root = tmp_path / "tiles"
    for tile in range(12):
        for exposure in range(3):
            light = np.clip(picture(tile) * (0.6 + 0.2 * exposure) + 10, 0, 255).astype(np.uint8)
            save(root / f"train/good/exp{exposure}_num_{1000 * tile + 17 * exposure}.png", light)
    diagnosis = examine(root)
    assert len(diagnosis.of("near-duplicates")) == 12
    leak = only(diagnosis, "split-leak")
    assert "36 of 36 images belong to 12 groups" in leak.what
    assert r"--group-runs 'num_(\d+)' --gap 20" in leak.hint


def test_a_split_of_the_source_that_leaks(root: Path) -> None:
    save(root / "test/good/000.png", lighter(0))
    leak = only(examine(root), "split-leak")
    assert "'source'" in leak.what
    assert "1 of 12 held-out images" in leak.what


def test_without_near_the_search_is_for_exact_copies_only(root: Path) -> None:
    save(root / "train/good/lighter.png", lighter(0))
    assert doctor(root, near_duplicates=False, workers=1).problems == ()


def test_the_number_of_workers_changes_nothing(root: Path) -> None:
    (root / HOLE_MASK).write_bytes((root / HOLE_MASK).read_bytes()[:-20])
    shutil.copy(root / "test/good/000.png", root / "test/good/copy.png")
    save(root / "test/cut/000.png", picture(7)[..., 0])
    one, two = (doctor(root, workers=workers).to_json() for workers in (1, 2))
    assert one == two


def test_a_missing_file_of_a_prepared_folder(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "prepared"
    prepare(root, out, workers=1)
    assert doctor(out, workers=1).problems == ()
    victim = sorted((out / "images/hole").iterdir())[0]
    other = sorted((out / "masks/cut").iterdir())[0]
    victim.unlink()
    other.unlink()
    save(other, spot()[::-1])
    save(out / "images/hole/stray.png", picture(99))
    diagnosis = doctor(out, workers=1)
    assert only(diagnosis, "missing-file").where == f"images/hole/{victim.name}"
    assert only(diagnosis, "hash-mismatch").where == f"masks/cut/{other.name}"
    assert only(diagnosis, "file-unknown").where == "images/hole/stray.png"
    assert diagnosis.exit_code == 1


def test_a_damaged_manifest_is_one_fault(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "prepared"
    prepare(root, out, workers=1)
    (out / "manifest.jsonl").write_text("{not json\n")
    diagnosis = doctor(out, workers=1)
    only(diagnosis, "manifest-damaged")
    assert diagnosis.exit_code == 1
    assert diagnosis.of("no-images") == ()


def test_a_prepared_folder_that_holds_near_duplicates_together_is_not_blamed(root: Path, tmp_path: Path) -> None:
    save(root / "train/good/lighter.png", lighter(0))
    out = tmp_path / "prepared"
    prepare(root, out, workers=1)
    assert doctor(out, workers=1).problems == ()


def test_a_damaged_coco_file_is_one_fault(tmp_path: Path) -> None:
    (tmp_path / "coco.json").write_text('{"images": [')
    diagnosis = doctor(tmp_path / "coco.json", workers=1)
    only(diagnosis, "unreadable-data-set")
    assert diagnosis.exit_code == 1


def test_an_annotation_that_cannot_be_drawn(tmp_path: Path) -> None:
    save(tmp_path / "images/a.png", picture(1))
    square = [10, 10, 30, 10, 30, 30, 10, 30]
    annotations = [
        {"id": number, "image_id": 1, "category_id": number, "segmentation": [square], "iscrowd": 0}
        for number in (1, 2)
    ]
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": SIDE, "height": SIDE}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "hole"}, {"id": 2, "name": "cut"}],
    }
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/instances_train.json").write_text(json.dumps(document))
    diagnosis = doctor(tmp_path, workers=1)
    assert "annotation 2 (cut) repeats annotation 1 (hole)" in only(diagnosis, "mask-overlap").what
    assert doctor(tmp_path, ReadOptions(overlap="first"), workers=1).of("mask-overlap") == ()


def test_a_folder_of_images_and_masks_without_classes_may_have_empty_masks(tmp_path: Path) -> None:
    for number in range(6):
        save(tmp_path / f"images/{number}.png", picture(number))
        save(tmp_path / f"masks/{number}.png", spot(255 if number < 5 else 0))
    diagnosis = doctor(tmp_path, workers=1)
    assert diagnosis.of("mask-empty") == ()
    assert diagnosis.of("no-good") == ()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        doctor(tmp_path / "nowhere")
    with pytest.raises(UsageError):
        doctor(tmp_path, ReadOptions(format="nothing"))
