"""to-anomalib before anomalib's own Folder datamodule."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from carpet_data.core.images import read_values, write_png
from carpet_data.dataset import Dataset, MaskFile, Sample, Split
from carpet_data.errors import DataError
from carpet_data.formats.anomalib import CONFIGURATION
from carpet_data.formats.exports import to_anomalib

SIDES = {
    "g0": "train",
    "g1": "train",
    "g2": "val",
    "g3": "test",
    "x": "test",
    "x1": "test",
    "x.c": "test",
    "cut 0": "test",
    "cut 1": "train",
}


def _dataset(root: Path, sides: dict[str, str] | None = SIDES) -> Dataset:
    """Names whose order with and without an ending differs; the mask of image k has k + 1 pixels."""
    samples = []
    for number, name in enumerate(SIDES):
        write_png(root / f"{name}.png", np.full((20, 30), 9 + number, np.uint8))
        mask = np.zeros((20, 30), np.uint8)
        mask[0, : number + 1] = 255
        write_png(root / f"{name}-mask.png", mask)
        class_name = "good" if name.startswith("g") else "cut" if name.startswith("cut") else "hole"
        annotation = None if class_name == "good" else MaskFile(f"{name}-mask.png")
        samples.append(Sample(name, f"{name}.png", class_name, 30, 20, annotation))
    splits = {} if sides is None else {"main": Split("main", sides)}  # type: ignore[arg-type]
    return Dataset(root, "d", tuple(samples), ("cut", "hole"), splits=splits)


def test_the_configuration_and_its_folders(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    result = to_anomalib(_dataset(tmp_path / "raw"), tmp_path / "out", workers=1)
    document = yaml.safe_load((result.out / CONFIGURATION).read_text(encoding="utf-8"))
    assert document["class_path"] == "anomalib.data.Folder"
    stated = document["init_args"]
    assert (stated["normal_dir"], stated["normal_test_dir"]) == ("train/good", ["test/good"])
    assert stated["abnormal_dir"] == ["test/cut", "test/hole"]
    assert stated["mask_dir"] == ["ground_truth/cut", "ground_truth/hole"]
    assert stated["val_split_mode"] == "synthetic"
    assert len(list(result.out.glob("train/good/*"))) == 2
    assert sorted(note.split(" left out")[0] for note in result.notes) == ["1 image of train", "1 image of val"]


def test_images_and_masks_sort_alike(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    out = to_anomalib(_dataset(tmp_path / "raw"), tmp_path / "out", workers=1).out
    images, masks = (sorted(out.glob(f"{folder}/*/*")) for folder in ("test", "ground_truth"))
    assert [path.stem for path in images if path.parent.name != "good"] == [path.stem for path in masks]


def test_without_good_training_images_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    dataset = _dataset(tmp_path / "raw", {**SIDES, "g0": "test", "g1": "test"})
    with pytest.raises(DataError, match="no good image is on the training side"):
        to_anomalib(dataset, tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()


def test_synthetic_images_stay_out(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    dataset = _dataset(tmp_path / "raw")
    samples = [replace(each, origin="synthetic") if each.id == "g1" else each for each in dataset]
    out = to_anomalib(replace(dataset, samples=tuple(samples)), tmp_path / "out", workers=1).out
    assert [path.stem for path in out.glob("train/good/*")] == ["g0"]


@pytest.fixture
def datamodule() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what another project's import says is not our fault
        pytest.importorskip("anomalib", reason="anomalib is not installed")
        from anomalib.data import AnomalibDataModule

        yield AnomalibDataModule


@pytest.mark.parametrize("validation", ["synthetic", "from_test", "none"])
def test_anomalib_reads_it(tmp_path: Path, datamodule: Any, validation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "raw").mkdir()
    dataset = _dataset(tmp_path / "raw")
    out = to_anomalib(dataset, tmp_path / "out", validation=validation, workers=1).out
    monkeypatch.chdir(out)
    module = datamodule.from_config(CONFIGURATION)
    module.setup()
    test = module.test_data.samples
    if validation != "from_test":
        assert len(test) == 5
        # The training images without those that anomalib gives artificial defects.
        assert len(module.train_data) == (1 if validation == "synthetic" else 2)
    of_id = {sample.id.replace(".", "_"): sample for sample in dataset}
    for row in test.itertuples():
        stem = Path(row.image_path).stem
        sample = of_id[stem if stem in of_id else stem.rpartition("-")[0]]
        assert row.label_index == int(sample.class_name != "good")
        if row.label_index:
            expected = read_values(dataset.path(sample.mask_path or ""))
            np.testing.assert_array_equal(read_values(Path(row.mask_path)), expected)
