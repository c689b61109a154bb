"""Images come into tables whole, in order, and within their memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.sources import write_source

from carpet_data.core import executor
from carpet_data.core.images import write_png
from carpet_data.dataset import Dataset
from carpet_data.errors import DataError, UsageError
from carpet_data.formats import read
from carpet_data.training import tables

COUNTS = {"train/good": 4, "test/hole": 3, "test/thread": 2}


@pytest.fixture
def source(tmp_path: Path) -> Dataset:
    return read(write_source(tmp_path / "raw", COUNTS, size=48))


def test_rows_are_the_samples_in_their_order(source: Dataset) -> None:
    samples = source.samples[::-1]
    table = tables.load(source, samples, source.classes, size=48, masks=True)
    assert table.ids == tuple(sample.id for sample in samples)
    assert [table.classes[label] for label in table.labels] == [sample.class_name for sample in samples]
    assert table.counts().tolist() == [4, 3, 2]
    assert table.origins == ("real",) * 9
    assert table.groups == table.ids
    assert table.size == 48
    assert table.masks is not None
    for row, sample in enumerate(samples):
        pixels = cv2.imread(str(source.root / sample.image_path))[:, :, ::-1]
        assert np.array_equal(table.pixels[row], pixels)
        mask = cv2.imread(str(source.root / sample.mask_path), 0) > 127 if sample.mask_path else np.zeros((48, 48))
        assert np.array_equal(table.masks[row], mask.astype(np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        table.pixels[0] = 0


def test_shrinking_averages_and_keeps_thin_defects(tmp_path: Path) -> None:
    (tmp_path / "test" / "cut").mkdir(parents=True)
    (tmp_path / "ground_truth" / "cut").mkdir(parents=True)
    image = np.zeros((64, 128), np.uint8)
    image[:, ::2] = 200
    mask = np.zeros((64, 128), np.bool_)
    mask[5, 10:100] = True
    write_png(tmp_path / "test" / "cut" / "000.png", image)
    write_png(tmp_path / "ground_truth" / "cut" / "000_mask.png", mask)
    source = read(tmp_path)
    table = tables.load(source, source.samples, ["cut"], size=16, masks=True)
    assert table.pixels.shape == (1, 16, 16, 3)
    assert (table.pixels == 100).all()
    assert table.masks is not None
    marked = np.zeros((16, 16), np.uint8)
    marked[1, 1:13] = 1
    assert np.array_equal(table.masks[0], marked)


@pytest.mark.parametrize("kept", [False, True])
def test_a_large_table_lies_on_disk_and_is_the_same(source: Dataset, tmp_path: Path, kept: bool) -> None:
    memory = tables.load(source, source.samples, source.classes, size=32, masks=True)
    folder = tmp_path / "cache" if kept else None
    disk = tables.load(
        source, source.samples, source.classes, size=32, masks=True, memory_bytes=1000, cache_folder=folder
    )
    assert isinstance(disk.pixels.base, np.memmap) or isinstance(disk.pixels, np.memmap)
    assert np.array_equal(memory.pixels, disk.pixels)
    assert memory.masks is not None
    assert disk.masks is not None
    assert np.array_equal(memory.masks, disk.masks)
    assert memory.digest == disk.digest
    assert not memory.notes
    assert "more than the" in disk.notes[0]
    if folder is None:
        return
    assert len(list(folder.iterdir())) == 2
    calls: list[int] = []
    again = tables.load(
        source,
        source.samples,
        source.classes,
        size=32,
        masks=True,
        memory_bytes=1000,
        cache_folder=folder,
        progress=lambda step: calls.append(step.done),
    )
    assert not calls, "nothing is decoded twice"
    assert again.digest == memory.digest
    changed = source.root / source.samples[0].image_path
    write_png(changed, np.zeros((48, 48, 3), np.uint8))
    fresh = tables.load(source, source.samples, source.classes, size=32, memory_bytes=1000, cache_folder=folder)
    assert (fresh.pixels[0] == 0).all()


def test_a_damaged_image_is_named_or_skipped(source: Dataset, tmp_path: Path) -> None:
    broken, gone = source.samples[1], source.samples[5]
    path = source.root / broken.image_path
    path.write_bytes(path.read_bytes()[:200])
    (source.root / gone.image_path).unlink()
    folder = tmp_path / "cache"
    options = {"size": 32, "masks": True, "memory_bytes": 1000, "cache_folder": folder}
    with pytest.raises(DataError) as caught:
        tables.load(source, source.samples, source.classes, **options)  # type: ignore[arg-type]
    assert caught.value.where == str(path)
    assert not list(folder.iterdir()), "a failed run leaves nothing"
    for extra in ({}, {"memory_bytes": 1000, "cache_folder": folder}):
        table = tables.load(
            source,
            source.samples,
            source.classes,
            size=32,
            skip_faulty=True,
            **extra,  # type: ignore[arg-type]
        )
        rest = [sample for sample in source.samples if sample not in (broken, gone)]
        assert table.ids == tuple(sample.id for sample in rest)
        assert [table.classes[label] for label in table.labels] == [sample.class_name for sample in rest]
        assert [error.where for error in table.skipped] == [
            str(source.root / each.image_path) for each in (broken, gone)
        ]
        alone = tables.load(source, [rest[-1]], source.classes, size=32)
        assert np.array_equal(table.pixels[-1], alone.pixels[0])
    assert not list(folder.iterdir()), "a table with gaps is not kept"
    for sample in source.samples:
        (source.root / sample.image_path).unlink(missing_ok=True)
    with pytest.raises(DataError, match="none of the 9"):
        tables.load(source, source.samples, source.classes, size=32, skip_faulty=True)


def test_wrong_use(source: Dataset) -> None:
    with pytest.raises(UsageError, match="thread"):
        tables.load(source, source.samples, ["good", "hole"], size=32)
    with pytest.raises(UsageError, match="image size 0"):
        tables.load(source, source.samples, source.classes, size=0)
    with pytest.raises(DataError, match="no images"):
        tables.load(source, [], source.classes, size=32)


def test_taking_rows(source: Dataset) -> None:
    table = tables.load(source, source.samples, source.classes, size=24, masks=True)
    some = table.take([4, 1, 4])
    assert some.ids == (table.ids[4], table.ids[1], table.ids[4])
    assert some.labels.tolist() == table.labels[[4, 1, 4]].tolist()
    assert np.array_equal(some.pixels[1], table.pixels[1])
    assert some.masks is not None
    assert table.masks is not None
    assert np.array_equal(some.masks[0], table.masks[4])
    assert len(table.take(table.labels == 0)) == 4
    assert table.take(np.arange(9)).digest == table.digest
    assert some.digest != table.digest


def test_workers_and_one_process_agree(source: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = tables.load(source, source.samples, source.classes, size=24)
    monkeypatch.setattr(tables, "_WORTH_WORKERS", 0)
    run = executor.run
    monkeypatch.setattr(executor, "run", lambda f, jobs, workers: run(f, jobs, workers=workers, chunk=3))
    assert tables.load(source, source.samples, source.classes, size=24, workers=2).digest == alone.digest


def test_progress_counts_images(source: Dataset) -> None:
    calls: list[tuple[int, int | None]] = []
    tables.load(
        source, source.samples, source.classes, size=8, progress=lambda step: calls.append((step.done, step.total))
    )
    assert calls == [(number, 9) for number in range(1, 10)]


@pytest.mark.real
def test_real_carpet(real_data: Callable[[str], Path]) -> None:
    source = read(real_data("mvtec/carpet"))
    table = tables.load(source, source.samples, source.classes, size=64, masks=True)
    assert len(table) == 16
    assert table.masks is not None
    defects = table.labels != table.classes.index("good")
    assert (table.masks[defects].reshape(defects.sum(), -1).sum(axis=1) > 0).all()
    assert not table.masks[~defects].any()
