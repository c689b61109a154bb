"""to-folder before torchvision's ImageFolder."""

from __future__ import annotations

from pathlib import Path

import pytest

from carpet_data.dataset import Dataset
from carpet_data.formats import ReadOptions
from carpet_data.formats.exports import to_folder
from carpet_data.formats.mvtec import ad

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def dataset(hostile_shapes: Path) -> Dataset:
    return ad.read(hostile_shapes, ReadOptions())


def test_image_folder_reads_classes_and_bytes(dataset: Dataset, tmp_path: Path) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    out = to_folder(dataset, tmp_path / "out").out
    reader = datasets.ImageFolder(out / "test")
    assert reader.classes == ["hole", "thread"]
    by_id = dataset.by_id()
    assert len(reader) == len(dataset.on_side("test", "source"))
    for (path, number), (image, _) in zip(reader.samples, reader, strict=True):
        sample = by_id[Path(path).stem]
        assert reader.classes[number] == sample.class_name
        assert image.size == (sample.width, sample.height)
        assert Path(path).read_bytes() == dataset.path(sample.image_path).read_bytes()


def test_empty_classes_make_the_numbers_agree(dataset: Dataset, tmp_path: Path) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    plain = to_folder(dataset, tmp_path / "plain")
    assert (
        datasets.ImageFolder(plain.out / "train").class_to_idx != datasets.ImageFolder(plain.out / "test").class_to_idx
    )
    assert any("hole, thread" in note for note in plain.notes)
    whole = to_folder(dataset, tmp_path / "whole", empty_classes=True)
    assert whole.notes == ()
    numbers = [datasets.ImageFolder(whole.out / part, allow_empty=True).class_to_idx for part in ("train", "test")]
    assert numbers[0] == numbers[1] == {"good": 0, "hole": 1, "thread": 2}
    assert (whole.out / "classes.txt").read_text().split() == ["good", "hole", "thread"]
