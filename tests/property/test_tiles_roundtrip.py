"""What `tile` cuts, `untile` puts together again: pixels, instances, classes, groups and sides, for random images."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import carpet_data as cd
from carpet_data.core.images import read_deep, write_png
from carpet_data.dataset import Annotation, ClassFile, IndexFile, MaskFile, Sample
from carpet_data.formats.tree import from_samples
from carpet_data.store.verify import verify

NAMES = ("hole", "cut", "naht ö")
SIDES: tuple[Literal["train", "test"], ...] = ("train", "test")


@st.composite
def images(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Up to three images: sizes, depth, channels, and labels of which one may have every pixel."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        height, width = draw(st.integers(1, 20)), draw(st.integers(1, 20))
        found.append(
            {
                "shape": (height, width, *draw(st.sampled_from([(), (3,)]))),
                "dtype": draw(st.sampled_from([np.uint8, np.uint16])),
                "seed": draw(st.integers(0, 2**16)),
                "density": draw(st.sampled_from([0, 0.1, 0.6, 1])),
                "kind": draw(st.sampled_from(["binary", "classes", "instances"])),
                "group": draw(st.sampled_from([None, "g"])),
                "side": draw(st.sampled_from(SIDES)),
            }
        )
    return found


def _write(root: Path, number: int, about: dict[str, Any]) -> Sample:
    random = np.random.default_rng(about["seed"])
    pixels = random.integers(0, np.iinfo(about["dtype"]).max, about["shape"], about["dtype"], endpoint=True)
    write_png(root / f"bild {number} ö.png", pixels)
    height, width = about["shape"][:2]
    labels = random.integers(1, len(NAMES) + 1, (height, width)) * (random.random((height, width)) < about["density"])
    classes = [NAMES[value - 1] for value in np.unique(labels[labels > 0]).tolist()]
    if about["kind"] == "binary":
        classes = classes[:1]
        labels = (labels > 0) * 255
    write_png(root / f"{number}.png", labels.astype(np.uint8))
    annotation: Annotation | None = None
    if classes:
        tables = tuple((value, NAMES[value - 1]) for value in np.unique(labels[labels > 0]).tolist() if value < 255)
        annotation = {
            "binary": lambda: MaskFile(f"{number}.png"),
            "classes": lambda: ClassFile(f"{number}.png", tables),
            "instances": lambda: IndexFile(f"{number}.png", tables),
        }[about["kind"]]()
    class_name = "good" if not classes else classes[0] if len(classes) == 1 else "combined"
    return Sample(
        f"bild {number}", f"bild {number} ö.png", class_name, width, height, annotation, side=about["side"],
        group=about["group"],
    )  # fmt: skip


def _instances(sample: Sample) -> list[tuple[str, str]]:
    return sorted((each.class_name, each.rle) for each in sample.instances())


def _partition(dataset: cd.Dataset, name: dict[str, str]) -> set[frozenset[str]]:
    groups: dict[str, set[str]] = {}
    for sample in dataset:
        groups.setdefault(sample.group or sample.id, set()).add(name[sample.id])
    return {frozenset(ids) for ids in groups.values()}


@settings(max_examples=examples(25), deadline=None)
@given(
    about=images(),
    size=st.integers(1, 16),
    overlap=st.integers(0, 15),
    least=st.sampled_from([1, 3]),
    connectivity=st.sampled_from([4, 8]),
)
def test_the_round_trip_is_exact(
    about: list[dict[str, Any]], size: int, overlap: int, least: int, connectivity: Literal[4, 8]
) -> None:
    with TemporaryDirectory() as folder, patch("os.fsync"):  # waiting for the disk is most of the time otherwise
        root = Path(folder) / "source"
        root.mkdir()
        samples = [_write(root, number, each) for number, each in enumerate(about)]
        source = from_samples(samples, root=root, name="random", connectivity=connectivity, format="test")
        options = cd.TileOptions(size=size, overlap=min(overlap, size - 1), least_pixels=least)
        done = cd.tile(
            source, Path(folder) / "tiles", options, protocol="source", near_duplicates=False, workers=1,
        )  # fmt: skip
        tiles = cd.read(done)
        whole = cd.read(cd.untile(done, Path(folder) / "whole", workers=1))
        assert not [each for each in verify(tiles.root) if each.severity == "error"]
        assert not [each for each in verify(whole.root) if each.severity == "error"]
        _check_tiles(source, tiles, least)
        _check_whole(source, whole)
        assert _partition(tiles, {sample.id: sample.provenance["tile"]["of"] for sample in tiles}) == _partition(  # type: ignore[index]
            whole, {sample.id: sample.id for sample in whole}
        )
        for sample in tiles:
            of = sample.provenance["tile"]["of"]  # type: ignore[index]
            assert tiles.splits["main"].sides.get(sample.id) == whole.splits["main"].sides.get(of)


def _check_tiles(source: cd.Dataset, tiles: cd.Dataset, least: int) -> None:
    """Every tile is the part of its image that it says, and every pixel of an image is in a tile."""
    images = source.by_id()
    covered = {sample.id: np.zeros((sample.height, sample.width), np.bool_) for sample in source}
    for tile in tiles:
        record = tile.provenance["tile"]  # type: ignore[index]
        image = images[record["of"]]
        part = slice(record["y"], record["y"] + tile.height), slice(record["x"], record["x"] + tile.width)
        pixels: NDArray[Any] = read_deep(source.path(image.image_path))[part]
        np.testing.assert_array_equal(read_deep(tiles.path(tile.image_path)), pixels)
        mask = image.mask()[part]
        np.testing.assert_array_equal(tile.mask(), mask)
        assert (tile.class_name == "good") == (np.count_nonzero(mask) < least)
        instances = image.instances()
        for number, found in zip(record["instances"], tile.instances(), strict=True):
            np.testing.assert_array_equal(found.mask(), instances[number - 1].mask()[part])
            assert found.class_name == instances[number - 1].class_name
        covered[image.id][part] = True
    assert all(each.all() for each in covered.values())


def _check_whole(source: cd.Dataset, whole: cd.Dataset) -> None:
    assert [sample.id for sample in whole] == [sample.id for sample in source]
    assert whole.categories == source.categories
    for was, now in zip(source, whole, strict=True):
        assert (now.class_name, now.side, now.source) == (was.class_name, was.side, was.image_path)
        np.testing.assert_array_equal(
            read_deep(whole.path(now.image_path)), read_deep(source.path(was.image_path)), strict=True
        )
        np.testing.assert_array_equal(now.mask(), was.mask())
        assert _instances(now) == _instances(was)
