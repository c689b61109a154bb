"""to-mvtec before our own MVTec reader, and a glob as one-class tools write it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from carpet_data.core.images import read_values, write_png
from carpet_data.core.masks import load
from carpet_data.core.masks.runs import to_binary
from carpet_data.dataset import Dataset, IndexFile, MaskFile, Sample, Split
from carpet_data.errors import ProblemsError
from carpet_data.formats import ReadOptions
from carpet_data.formats.exports import to_mvtec
from carpet_data.formats.mvtec import ad


@pytest.fixture(scope="module")
def dataset(hostile_shapes: Path) -> Dataset:
    return ad.read(hostile_shapes, ReadOptions())


def _tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_round_trip_keeps_masks_classes_and_sides(dataset: Dataset, tmp_path: Path) -> None:
    again = ad.read(to_mvtec(dataset, tmp_path / "out", workers=1).out, ReadOptions())
    assert again.format == "mvtec"
    assert len(again) == len(dataset)
    by_stem = {Path(sample.image_path).stem: sample for sample in again}
    for sample in dataset:
        copy = by_stem[sample.id]
        assert (copy.class_name, copy.side) == (sample.class_name, sample.side)
        np.testing.assert_array_equal(
            to_binary(load(again.root, copy).runs), to_binary(load(dataset.root, sample).runs), sample.id
        )
        assert again.path(copy.image_path).read_bytes() == dataset.path(sample.image_path).read_bytes()


def test_every_defect_of_the_test_side_has_its_mask_by_name(dataset: Dataset, tmp_path: Path) -> None:
    out = to_mvtec(dataset, tmp_path / "out", workers=1).out
    for image in out.glob("test/*/*.png"):
        mask = out / "ground_truth" / image.parent.name / f"{image.stem}_mask.png"
        assert set(np.unique(read_values(mask)).tolist()) <= {0, 255}
    assert {path.parent.name for path in out.glob("train/*/*.png")} == {"good"}


def _with_defects_in_train(dataset: Dataset) -> Dataset:
    train = {sample.id: "train" for sample in dataset if "ring" in sample.id or sample.class_name == "good"}
    val = {sample.id: "val" for sample in dataset if "diagonal" in sample.id}
    test = {sample.id: "test" for sample in dataset if sample.id not in train and sample.id not in val}
    return replace(dataset, splits={"main": Split("main", {**train, **val, **test})})  # type: ignore[dict-item]


def test_train_holds_good_images_only_and_nothing_is_lost(dataset: Dataset, tmp_path: Path) -> None:
    result = to_mvtec(_with_defects_in_train(dataset), tmp_path / "out", workers=1)
    files = _tree(result.out)
    assert {name.split("/")[1] for name in files if name.startswith("train/")} == {"good"}
    assert sum(name.startswith(("train/", "test/")) for name in files) == len(dataset)
    assert any(note.startswith("5 images of train and val went to test") for note in result.notes), result.notes


def test_sides_can_be_kept(dataset: Dataset, tmp_path: Path) -> None:
    split = _with_defects_in_train(dataset)
    result = to_mvtec(split, tmp_path / "out", sides="keep", workers=1)
    assert not any("went to test" in note for note in result.notes)
    again = ad.read(result.out, ReadOptions())
    assert {Path(s.image_path).stem: s.side for s in again} == dict(split.splits["main"].sides)


def test_what_a_binary_mask_cannot_say_is_counted(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    values = np.zeros((20, 30), np.uint8)
    values[2:8, 2:8], values[2:8, 8:12], values[14:18, 3:9] = 1, 2, 3
    write_png(root / "a.png", values)
    write_png(root / "m.png", values)
    table = ((1, "cut"), (2, "hole"), (3, "cut"))
    sample = Sample("a", "a.png", "combined", 30, 20, annotation=IndexFile("m.png", table))
    result = to_mvtec(Dataset(root, "d", (sample,), ("cut", "hole")), tmp_path / "out", workers=1)
    np.testing.assert_array_equal(read_values(result.out / "ground_truth/combined/a_mask.png") > 0, values > 0)
    assert [note.split(" show ")[0].split(" have ")[0] for note in result.notes[1:]] == ["1 image", "1 image"]
    assert "other defect types" in result.notes[1]
    assert "touch" in result.notes[2]


def test_a_good_image_with_a_defect_is_a_fault(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    write_png(root / "a.png", np.full((20, 30), 255, np.uint8))
    sample = Sample("a", "a.png", "good", 30, 20, annotation=MaskFile("a.png"))
    with pytest.raises(ProblemsError, match="labeled good"):
        to_mvtec(Dataset(root, "d", (sample,), ()), tmp_path / "out")
    assert not (tmp_path / "out").exists()
