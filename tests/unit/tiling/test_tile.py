"""Cutting data sets into tiles: pixels, classes, instances, groups, sides, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.command import caller
from helpers.sources import hashes, write_source
from PIL import Image
from pycocotools.coco import COCO

import carpet_data as cd
from carpet_data.core.images import read_deep, write_png
from carpet_data.dataset import IndexFile, MaskFile, Sample
from carpet_data.formats.tree import from_samples
from carpet_data.store.verify import verify

Cut = Callable[..., cd.Dataset]
Make = Callable[..., cd.Dataset]


def _numbers(tile: Sample) -> list[int]:
    assert tile.provenance is not None
    return list(tile.provenance["tile"]["instances"])


# --- images


def _pictures(root: Path) -> dict[str, Path]:
    """One image of each kind that a camera or a tool may write, 30x20."""
    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (20, 30, 3), np.uint8)
    root.mkdir(parents=True)
    made = {
        name: root / f"{name}.{suffix}"
        for name, suffix in {
            "grey": "png", "deep": "png", "deep-tiff": "tif", "palette": "png", "alpha": "png", "bilevel": "png",
            "turned": "jpg", "webp": "webp", "bmp": "bmp",
        }.items()
    }  # fmt: skip
    write_png(made["grey"], rgb[:, :, 0])
    write_png(made["deep"], random.integers(0, 65536, (20, 30, 3), np.uint16))
    Image.fromarray(random.integers(0, 65536, (20, 30), np.uint16)).save(made["deep-tiff"])
    Image.fromarray(rgb).quantize(16).save(made["palette"])
    Image.fromarray(np.dstack((rgb, rgb[:, :, :1]))).save(made["alpha"])
    Image.fromarray(rgb[:, :, 0] > 128).save(made["bilevel"])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.repeat(rgb, 1, axis=0)).save(made["turned"], exif=exif)
    Image.fromarray(rgb).save(made["webp"], lossless=True)
    Image.fromarray(rgb).save(made["bmp"])
    return made


def test_every_kind_of_image_keeps_its_pixels(tmp_path: Path, cut: Cut) -> None:
    made = _pictures(tmp_path / "set" / "train" / "good")
    done = cd.tile(tmp_path / "set", tmp_path / "tiles", size=16, overlap=4, near_duplicates=False, workers=1)
    assert any("1 image with an alpha channel" in note for note in done.notes)
    for tile in cd.read(done):
        assert tile.source is not None
        whole = read_deep(tmp_path / "set" / tile.source)
        record = (tile.provenance or {})["tile"]
        part = whole[record["y"] : record["y"] + tile.height, record["x"] : record["x"] + tile.width]
        np.testing.assert_array_equal(read_deep(done.out / tile.image_path), part, strict=True)
        assert (tile.height, tile.width) == (16, 16)
    turned = [tile for tile in cd.read(done) if "turned" in (tile.source or "")]
    assert max((tile.provenance or {})["tile"]["y"] for tile in turned) == 14  # 20 across and 30 down, as it is seen
    assert done.images == len(made)


def test_an_image_no_larger_than_a_tile_keeps_its_file(tmp_path: Path, cut: Cut) -> None:
    made = _pictures(tmp_path / "set" / "train" / "good")
    tiles = cut(tmp_path / "set", tmp_path / "tiles", size=30, overlap=4)
    assert len(tiles) == len(made)
    for tile in tiles:
        assert tile.source is not None
        assert tiles.path(tile.image_path).read_bytes() == (tmp_path / "set" / tile.source).read_bytes()
        assert tile.id == f"train_good_{Path(tile.source).stem}"


def test_names_with_spaces_and_other_letters(tmp_path: Path, cut: Cut) -> None:
    root = tmp_path / "Ordner mit Ünïcode 布"
    write_source(root, {"train/good": 1, "test/naht ö": 1}, size=24)
    tiles = cut(root, tmp_path / "tiles ö", size=16, overlap=2)
    assert {tile.class_name for tile in tiles} == {"good", "naht ö"}
    whole = cd.read(cd.untile(tiles, tmp_path / "ganz ö", workers=1))
    assert [sample.source for sample in whole] == ["test/naht ö/000.png", "train/good/000.png"]


# --- classes and instances


def test_a_tile_has_the_class_of_what_it_shows(tmp_path: Path, indexed: Make, cut: Cut) -> None:
    values = np.zeros((8, 32), np.uint8)
    values[2, 2], values[4, 2] = 1, 2  # hole and cut in the first tile
    values[2:4, 10] = 2  # cut alone in the second
    values[2, 19], values[5, 18:21] = 3, 2  # thread and cut in the third, which is no hole
    tiles = cut(indexed(values, "hole", "cut", "thread"), tmp_path / "tiles", size=8, overlap=0)
    assert [tile.class_name for tile in tiles] == ["hole", "cut", "cut", "good"]
    assert [_numbers(tile) for tile in tiles] == [[1, 2], [2], [3, 2], []]
    assert [tile.annotation is None for tile in tiles] == [False, False, False, True]
    assert [[each.class_name for each in tile.instances()] for tile in tiles[:3]] == [
        ["hole", "cut"],
        ["cut"],
        ["thread", "cut"],
    ]


def test_a_class_that_stands_for_several_stays_where_several_are(tmp_path: Path, indexed: Make, cut: Cut) -> None:
    values = np.zeros((8, 16), np.uint8)
    values[2, 2], values[4, 2], values[4, 12] = 1, 2, 2
    source = indexed(values, "hole", "cut", class_name="combined")
    assert [tile.class_name for tile in cut(source, tmp_path / "tiles", size=8, overlap=0)] == ["combined", "cut"]


def test_an_instance_that_is_cut_has_one_number_in_all_tiles(tmp_path: Path, indexed: Make, cut: Cut) -> None:
    values = np.zeros((8, 20), np.uint8)
    values[1:3, 3:17] = 1  # a bar through both tiles
    values[5:7, 2:5], values[5:7, 5:9] = 2, 3  # instances that touch
    tiles = cut(indexed(values, "cut", "cut", "cut"), tmp_path / "tiles", size=12, overlap=4)
    assert [_numbers(tile) for tile in tiles] == [[1, 2, 3], [1, 3]]
    assert [[each.area for each in tile.instances()] for tile in tiles] == [[18, 6, 8], [18, 2]]
    assert isinstance(tiles[0].annotation, IndexFile)  # a binary mask would join those that touch
    assert isinstance(tiles[1].annotation, MaskFile)


def test_an_instance_that_a_tile_breaks_in_two_stays_one(tmp_path: Path, indexed: Make, cut: Cut) -> None:
    values = np.zeros((10, 20), np.uint8)
    values[2:8, 2:16] = 1
    values[4:6, 8:16] = 0  # a U lying on its side: its arms are apart in the second tile
    values[4:6, 2:8] = 1
    (left, right) = cut(indexed(values, "cut"), tmp_path / "tiles", size=10, overlap=0)
    assert len(left.instances()) == 1
    (found,) = right.instances()
    assert found.area == 24
    assert found.bbox == (0, 2, 6, 6)


@pytest.mark.parametrize("segmentation", ["polygon", "rle"])
def test_coco_has_one_exact_annotation_for_each_part(
    tmp_path: Path, indexed: Make, cut: Cut, segmentation: str
) -> None:
    """Single pixels, slivers of one row, holes and pieces apart are what slicing polygons gets wrong."""
    values = np.zeros((30, 30), np.uint8)
    values[2:28, 2:28] = 1
    values[8:22, 8:22] = 0  # a ring, cut into corners
    values[15, 15] = 2  # one pixel, shared by four tiles
    values[0, 9:12] = 3  # a line of which a tile has one pixel
    tiles = cut(indexed(values, "cut", "hole", "thread"), tmp_path / "tiles", size=12, overlap=3)
    done = cd.to_coco(tiles, tmp_path / "coco", segmentation=segmentation, workers=1)
    assert done.instances == sum(len(_numbers(tile)) for tile in tiles)
    coco = COCO(str(done.out / "annotations" / "instances_train.json"))
    names = {category["id"]: category["name"] for category in coco.loadCats(coco.getCatIds())}
    assert len(coco.imgs) == len(tiles)
    for image in coco.imgs.values():
        tile = tiles[Path(image["file_name"]).stem]
        found = coco.loadAnns(coco.getAnnIds(image["id"]))
        wanted = {(each.class_name, each.area, each.bbox) for each in tile.instances()}
        assert {(names[each["category_id"]], each["area"], tuple(each["bbox"])) for each in found} == wanted
        union = np.zeros((12, 12), np.bool_)
        for each in found:
            pixels = coco.annToMask(each).astype(np.bool_)
            assert np.count_nonzero(pixels) == each["area"] > 0
            assert not (union & pixels).any()
            union |= pixels
            if segmentation == "polygon":
                assert all(len(polygon) >= 8 for polygon in each["segmentation"])
        np.testing.assert_array_equal(union, tile.mask())
    assert not [each for each in cd.check(done.out, against=tiles).problems if each.severity == "error"]


def test_slivers_are_good_and_stay_in_the_mask(tmp_path: Path, indexed: Make, cut: Cut) -> None:
    values = np.zeros((8, 16), np.uint8)
    values[3, 5:11] = 1  # three pixels in each tile
    values[5, 12:16] = 2
    source = indexed(values, "cut", "hole")
    done = cd.tile(source, tmp_path / "tiles", size=8, overlap=0, least_pixels=4, protocol="source", workers=1)
    left, right = tiles = cd.read(done)
    assert (done.slivers, dict(done.classes)) == (1, {"good": 1, "cut": 1})
    assert (left.class_name, right.class_name) == ("good", "cut")
    assert np.count_nonzero(left.mask()) == 3
    assert [each.class_name for each in left.instances()] == ["cut"]
    assert not [each for each in verify(tiles.root) if each.severity == "error"]
    whole = cd.read(cd.untile(tiles, tmp_path / "whole", workers=1))[0]
    assert whole.class_name == "cut"
    np.testing.assert_array_equal(whole.mask(), values > 0)


# --- groups and sides


def test_groups_and_splits_of_a_prepared_folder_carry_over(tmp_path: Path, cut: Cut) -> None:
    write_source(tmp_path / "raw", {"train/good": 4, "test/good": 2, "test/hole": 6})
    cd.prepare(tmp_path / "raw", tmp_path / "set", group_by=r"00([01])\.png", near_duplicates=False, workers=1)
    cd.split(tmp_path / "set", "fold", k_fold=2)
    whole, tiles = cd.read(tmp_path / "set"), cut(tmp_path / "set", tmp_path / "tiles", size=24, overlap=8)
    assert set(tiles.splits) == {"main", "fold0", "fold1"} == set(whole.splits)
    group_of = {sample.id: sample.group or sample.id for sample in whole}
    groups: dict[str, set[str | None]] = {}
    for tile in tiles:
        of = (tile.provenance or {})["tile"]["of"]
        groups.setdefault(group_of[of], set()).add(tile.group)
        for name, split in tiles.splits.items():
            assert split.sides.get(tile.id) == whole.splits[name].sides.get(of)
    assert all(len(names) == 1 and None not in names for names in groups.values())
    assert len({name for names in groups.values() for name in names}) == len(groups) < len(whole)
    assert not list(verify(tiles.root))
    shown = cd.groups(tiles)
    assert {group.name for group in shown.groups} == {tile.group for tile in tiles}
    assert set(shown.by_reason()) == {"name", "source"}
    # Splits that are made later keep images whole too.
    cd.split(tiles, "later", k_shot=1)
    assert not [each for each in verify(tiles.root) if each.severity == "error"]


def test_near_duplicates_of_a_raw_data_set_stay_together(tmp_path: Path) -> None:
    write_source(tmp_path / "raw", {"train/good": 4, "test/hole": 4})
    twin = tmp_path / "raw" / "test" / "good" / "twin.png"
    twin.parent.mkdir()
    twin.write_bytes((tmp_path / "raw" / "train" / "good" / "000.png").read_bytes())
    done = cd.tile(tmp_path / "raw", tmp_path / "tiles", size=24, overlap=8, workers=1)
    tiles = cd.read(done)
    pair = {tile.group for tile in tiles if tile.source in ("test/good/twin.png", "train/good/000.png")}
    assert len(pair) == 1
    assert set(done.splits) == {"main"}


def test_the_result_counts_and_a_dry_run_says_the_same(tmp_path: Path) -> None:
    write_source(tmp_path / "raw", {"train/good": 3, "test/good": 1, "test/hole": 4})
    options: dict[str, Any] = {"size": 24, "overlap": 8, "protocol": "source", "near_duplicates": False, "workers": 1}
    shown = cd.tile(tmp_path / "raw", tmp_path / "tiles", dry_run=True, **options)
    assert not (tmp_path / "tiles").exists()
    done = cd.tile(tmp_path / "raw", tmp_path / "tiles", **options)
    assert shown.to_json() == {**done.to_json(), "dry_run": True}
    assert (done.images, done.whole, done.tiles) == (8, 0, 32)
    assert sum(done.classes.values()) == 32 == sum(sum(row.values()) for row in done.splits["main"].values())
    assert done.instances == 8
    assert done.parts == sum(len(_numbers(tile)) for tile in cd.read(done)) > 8 > done.cut
    assert "would be cut into 32 tiles" in shown.text()


def test_any_number_of_workers_writes_the_same_bytes(tmp_path: Path) -> None:
    write_source(tmp_path / "raw", {"train/good": 20, "test/hole": 4})
    options: dict[str, Any] = {"size": 24, "overlap": 8, "protocol": "source", "near_duplicates": False}
    cd.tile(tmp_path / "raw", tmp_path / "one", workers=1, **options)
    cd.tile(tmp_path / "raw", tmp_path / "two", workers=2, **options)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")


# --- what is refused


def test_a_defect_that_no_mask_locates(tmp_path: Path, cut: Cut) -> None:
    write_source(tmp_path / "raw", {"train/good": 2, "test/hole": 3})
    write_png(tmp_path / "raw" / "ground_truth" / "hole" / "001_mask.png", np.zeros((40, 40), np.uint8))
    with pytest.raises(cd.ProblemsError, match="hole and has an empty mask") as caught:
        cut(tmp_path / "raw", tmp_path / "tiles", size=24, overlap=8)
    assert [Path(str(each.where)).name for each in caught.value.problems] == ["001.png"]
    assert not (tmp_path / "tiles").exists()
    kept = cut(tmp_path / "raw", tmp_path / "kept", size=24, overlap=8, keep_unmasked=True)
    assert [tile.class_name for tile in kept if tile.source == "test/hole/001.png"] == ["hole"] * 4
    assert cd.read(cd.untile(kept, tmp_path / "whole", workers=1))["test_hole_001"].class_name == "hole"
    left = cut(tmp_path / "raw", tmp_path / "left", size=24, overlap=8, skip_faulty=True)
    assert "test/hole/001.png" not in {tile.source for tile in left}
    assert len(left.splits["main"].sides) == len(left) == 16
    # A whole image keeps its class: one tile shows all that it shows.
    uncut = cut(tmp_path / "raw", tmp_path / "uncut", size=40, overlap=8)
    assert [tile.class_name for tile in uncut] == ["hole"] * 3 + ["good"] * 2
    assert {tile.group for tile in uncut} == {None}


def test_a_set_without_any_mask(tmp_path: Path, cut: Cut) -> None:
    write_source(tmp_path / "raw", {"train/good": 2, "test/hole": 3})
    for path in (tmp_path / "raw" / "ground_truth" / "hole").iterdir():
        path.unlink()
    with pytest.raises(cd.ProblemsError, match="has no mask"):
        cut(tmp_path / "raw", tmp_path / "tiles", size=24, overlap=8)


def test_options_for_raw_data_do_not_fit_a_prepared_folder(tmp_path: Path) -> None:
    write_source(tmp_path / "raw", {"train/good": 2, "test/hole": 4})
    cd.prepare(tmp_path / "raw", tmp_path / "set", near_duplicates=False, k_shot=1, workers=1)
    for options in ({"k_shot": 1}, {"group_by": "(.)"}, {"threshold": 1}):
        with pytest.raises(cd.UsageError, match="this data set is prepared"):
            cd.tile(tmp_path / "set", tmp_path / "tiles", size=24, overlap=4, workers=1, **options)
    with pytest.raises(cd.UsageError, match="filtered"):
        cd.tile(cd.read(tmp_path / "set").of_class("hole"), tmp_path / "tiles", workers=1)


def test_tiles_are_not_cut_again(tmp_path: Path, cut: Cut) -> None:
    write_source(tmp_path / "raw", {"train/good": 1, "test/hole": 1})
    tiles = cut(tmp_path / "raw", tmp_path / "tiles", size=24, overlap=8)
    with pytest.raises(cd.UsageError, match="tiles already"):
        cd.tile(tiles, tmp_path / "again", workers=1)


def test_what_is_there_is_kept(tmp_path: Path, cut: Cut) -> None:
    write_source(tmp_path / "raw", {"train/good": 1, "test/hole": 1})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for overwrite in (False, True):
        with pytest.raises(cd.OutputError):
            cut(tmp_path / "raw", tmp_path / "mine", size=24, overlap=8, overwrite=overwrite)
    with pytest.raises(cd.UsageError, match="overlaps the source"):
        cut(tmp_path / "raw", tmp_path / "raw" / "tiles", size=24, overlap=8)
    cut(tmp_path / "raw", tmp_path / "tiles", size=24, overlap=8)
    with pytest.raises(cd.OutputError, match="not empty"):
        cut(tmp_path / "raw", tmp_path / "tiles", size=16, overlap=8)
    assert len(cut(tmp_path / "raw", tmp_path / "tiles", size=40, overlap=8, overwrite=True)) == 2


def test_a_prepared_file_that_changed_is_refused(tmp_path: Path, cut: Cut) -> None:
    write_source(tmp_path / "raw", {"train/good": 2, "test/hole": 4})
    cd.prepare(tmp_path / "raw", tmp_path / "set", near_duplicates=False, k_shot=1, workers=1)
    path = tmp_path / "set" / cd.read(tmp_path / "set")[0].image_path
    path.unlink()
    write_png(path, np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(cd.ImageError, match="changed since it was prepared"):
        cut(tmp_path / "set", tmp_path / "tiles", size=24, overlap=8)
    assert not (tmp_path / "tiles").exists()


def test_two_images_whose_tiles_would_have_one_id(tmp_path: Path, cut: Cut) -> None:
    root = tmp_path / "set"
    root.mkdir()
    write_png(root / "a.png", np.zeros((8, 16), np.uint8))
    write_png(root / "b.png", np.zeros((8, 8), np.uint8))
    samples = [Sample("a", "a.png", "good", 16, 8), Sample("a_Y0000_x0008", "b.png", "good", 8, 8)]
    source = from_samples(samples, root=root, name="two", format="test")
    with pytest.raises(cd.DataError, match="would have the same id"):
        cd.tile(source, tmp_path / "tiles", size=8, overlap=0, near_duplicates=False, workers=1)


# --- the command


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = caller(capsys)
    write_source(tmp_path / "raw", {"train/good": 4, "test/hole": 4})
    how = ("--size", 24, "--overlap", 8, "--no-near-duplicates", "--fractions", 0.5, 0.5, "--workers", 1)
    done = run("tile", tmp_path / "raw", *how)
    assert done.code == 0, done.err
    assert f"8 images were cut into 32 tiles: {tmp_path / 'raw-tiles'}" in done.out
    again = run("untile", tmp_path / "raw-tiles", "--json", "--workers", 1)
    assert again.code == 0, again.err
    assert (again.json["images"], again.json["tiles"]) == (8, 32)
    assert again.json["out"] == str(tmp_path / "raw-tiles-untiled")
    assert run("tile", tmp_path / "raw", "-o", tmp_path / "x", "--size", 8, "--overlap", 8).code == 2
    document = (tmp_path / "raw-tiles" / "tiles.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(document[0])["tiles"]["options"] == {"size": 24, "overlap": 8, "least_pixels": 1}
    assert len(document) == 9
