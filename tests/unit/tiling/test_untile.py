"""Putting tiles together again: what is restored, and which tiles are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.carpets import rewritten
from helpers.sources import write_source

import carpet_data as cd
from carpet_data.core.images import read_deep, write_png
from carpet_data.dataset import Sample
from carpet_data.store.files import sha256
from carpet_data.store.leaks import leaks
from carpet_data.store.verify import verify
from carpet_data.weave.sample import sample

Cut = Callable[..., cd.Dataset]


@pytest.fixture
def tiles(tmp_path: Path, cut: Cut) -> cd.Dataset:
    """Tiles of a good image and three holes, four each; rows and columns 16 to 23 lie in two."""
    write_source(tmp_path / "raw", {"train/good": 1, "test/hole": 3})
    return cut(tmp_path / "raw", tmp_path / "tiles", size=24, overlap=8)


def _change(path: Path, row: int, column: int, value: int = 7) -> None:
    """Another value for one pixel of an image or a mask."""
    pixels = read_deep(path).copy()
    assert (pixels[row, column] != value).any()
    pixels[row, column] = value
    path.unlink()
    write_png(path, pixels)


def _masked(tiles: cd.Dataset) -> Sample:
    """The first tile with a mask."""
    return next(tile for tile in tiles if tile.mask_path is not None)


def test_a_missing_tile_is_named(tmp_path: Path, tiles: cd.Dataset) -> None:
    path = tiles.path(tiles["test_hole_001_y0016_x0000"].image_path)
    path.unlink()
    with pytest.raises(cd.ProblemsError, match="'test_hole_001_y0016_x0000' of 'test_hole_001' is missing") as caught:
        cd.untile(tiles, tmp_path / "whole", workers=1)
    assert [each.where for each in caught.value.problems] == [str(path)]
    assert not (tmp_path / "whole").exists()


def test_tiles_that_the_manifest_lacks_are_all_named(tmp_path: Path, tiles: cd.Dataset) -> None:
    manifest = tiles.root / "manifest.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if "y0000_x0016" not in line))
    for split in (tiles.root / "splits").iterdir():
        kept = [line for line in split.read_text().splitlines(keepends=True) if "y0000_x0016" not in line]
        split.write_text("".join(kept))
    with pytest.raises(cd.ProblemsError) as caught:
        cd.untile(tiles.root, tmp_path / "whole", workers=1)
    assert len(caught.value.problems) == 4
    assert "manifest.jsonl" in str(caught.value)


def test_a_dropped_tile_is_named(tmp_path: Path, tiles: cd.Dataset) -> None:
    cd.drop(tiles, where=["id=test_hole_002_y0000_x0000"])
    with pytest.raises(cd.ProblemsError, match="'test_hole_002_y0000_x0000' of 'test_hole_002' was dropped"):
        cd.untile(tiles.root, tmp_path / "whole", workers=1)


def test_pixels_that_a_neighbor_contradicts_are_refused(tmp_path: Path, tiles: cd.Dataset) -> None:
    path = tiles.path(tiles["train_good_000_y0016_x0016"].image_path)
    _change(path, 2, 20)  # row 18, column 36 of the image: shared with the tile above
    with pytest.raises(
        cd.ImageError, match="1 pixel shared with neighboring tiles, the first at row 18, column 36"
    ) as e:
        cd.untile(tiles, tmp_path / "whole", workers=1)
    assert e.value.where == str(path)
    assert not (tmp_path / "whole").exists()


def test_a_mask_that_a_neighbor_contradicts_is_refused(
    tmp_path: Path, indexed: Callable[..., cd.Dataset], cut: Cut
) -> None:
    values = np.zeros((8, 20), np.uint8)
    values[1:5, 3:17] = 1
    left, right = tiles = cut(indexed(values, "cut"), tmp_path / "tiles", size=12, overlap=4)
    _change(tiles.path(str(right.mask_path)), 4, 3, 0)  # row 4, column 11 of the image, the last of the left tile
    with pytest.raises(cd.DataError, match=r"1 pixel shared .* first at row 4, column 11 .* in the mask") as caught:
        cd.untile(tiles, tmp_path / "whole", workers=1)
    assert caught.value.where == str(tiles.path(str(right.mask_path)))
    _change(tiles.path(str(left.mask_path)), 4, 11, 0)
    assert cd.read(cd.untile(tiles, tmp_path / "whole", overwrite=True, workers=1))[0].instances()[0].area == 55


def test_changes_that_no_neighbor_contradicts_are_taken_over(tmp_path: Path, tiles: cd.Dataset) -> None:
    _change(tiles.path(tiles["train_good_000_y0016_x0016"].image_path), 20, 20)
    one, other = (tiles[f"train_good_000_y0000_x{x:04d}"] for x in (0, 16))
    _change(tiles.path(one.image_path), 1, 20)
    _change(tiles.path(other.image_path), 1, 4)
    whole = cd.read(cd.untile(tiles, tmp_path / "whole", workers=1))["train_good_000"].image()
    before = read_deep(tmp_path / "raw" / "train" / "good" / "000.png")
    assert {tuple(each) for each in np.argwhere((whole != before).any(axis=2)).tolist()} == {(36, 36), (1, 20)}
    assert whole[36, 36].tolist() == whole[1, 20].tolist() == [7, 7, 7]


def test_another_number_of_instances_is_refused(tmp_path: Path, tiles: cd.Dataset) -> None:
    tile = _masked(tiles)
    row, column = np.argwhere(~tile.mask())[-1].tolist()
    _change(tiles.path(str(tile.mask_path)), row, column, 255)
    with pytest.raises(cd.DataError, match=r"the mask of the tile has \d instances, and \d were cut"):
        cd.untile(tiles, tmp_path / "whole", workers=1)


def test_a_tile_of_another_size_or_kind_is_refused(tmp_path: Path, tiles: cd.Dataset) -> None:
    path = tiles.path(tiles["train_good_000_y0016_x0016"].image_path)
    pixels = read_deep(path)
    for changed, what in ((pixels[:20], "the tile is 24x20, not 24x24"), (pixels[:, :, 0], "other channels")):
        path.unlink()
        write_png(path, changed)
        with pytest.raises(cd.ImageError, match=what):
            cd.untile(tiles, tmp_path / "whole", overwrite=True, workers=1)


def test_tiles_of_an_image_on_two_sides_are_refused(tmp_path: Path, tiles: cd.Dataset) -> None:
    moved = "train_good_000_y0000_x0000"
    rewritten(tiles.root, "splits/main.jsonl", lambda row: {**row, "side": "test"} if row.get("id") == moved else row)
    with pytest.raises(cd.ProblemsError, match="tiles of 'train_good_000' are on two sides of the split 'main'"):
        cd.untile(tiles.root, tmp_path / "whole", workers=1)


def test_what_holds_no_tiles_is_refused(tmp_path: Path, tiles: cd.Dataset) -> None:
    cd.prepare(tmp_path / "raw", tmp_path / "set", near_duplicates=False, protocol="source", workers=1)
    with pytest.raises(cd.UsageError, match=r"not a folder of tiles: it has no tiles\.jsonl"):
        cd.untile(tmp_path / "set", tmp_path / "whole", workers=1)
    with pytest.raises(cd.DataError, match="not a prepared data set"):
        cd.untile(tmp_path / "raw", tmp_path / "whole", workers=1)
    document = tiles.root / "tiles.jsonl"
    first, *lines = document.read_text().splitlines(keepends=True)
    for damaged in ('{"tiles": {"version": 9}}\n', "[]\n", '{"tiles": 3}\n'):
        document.write_text("".join([damaged, *lines]))
        with pytest.raises(cd.DataError, match="line 1"):
            cd.untile(tiles.root, tmp_path / "whole", workers=1)
    document.write_text("".join([first, '{"id": "a"}\n']))
    with pytest.raises(cd.DataError, match="line 2: the line is not an image"):
        cd.untile(tiles.root, tmp_path / "whole", workers=1)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared carpet with pasted defects, of which a donor and a synthetic image were dropped."""
    folder = tmp_path_factory.mktemp("synthetic")
    counts = {"good": 8, "test-good": 2, "color": 0, "cut": 0, "hole": 6, "metal_contamination": 0, "thread": 0}
    sample(folder / "raw", size=96, counts=counts, workers=1)
    cd.prepare(folder / "raw", folder / "set", fractions=(0.5, 0.5), workers=1)
    cd.rebalance(folder / "set", 7, workers=1)
    made = [each for each in cd.read(folder / "set") if each.origin == "synthetic"]
    gone = [made[0].id, *(made[1].provenance or {})["donors"]]
    for sample_id in gone:
        path = folder / "set" / cd.read(folder / "set")[sample_id].image_path
        cd.drop(folder / "set", where=[f"id={sample_id}"], reason="a test")
        path.unlink()  # as `curate` moves it away
    return folder / "set"


def test_synthetic_images_keep_what_made_them(tmp_path: Path, synthetic: Path, cut: Cut) -> None:
    whole, tiles = cd.read(synthetic), cut(synthetic, tmp_path / "tiles", size=64, overlap=16)
    made = [tile for tile in tiles if tile.origin == "synthetic"]
    assert made
    assert {side for tile_id, side in tiles.splits["main"].sides.items() if tile_id in {t.id for t in made}} == {
        "train"
    }
    for tile in made:
        provenance = tile.provenance or {}
        was = whole[provenance["tile"]["of"]].provenance or {}
        place = tile.id.removeprefix(provenance["tile"]["of"])
        assert provenance["host"] == f"{was['host']}{place}"
        assert set(provenance["donors"]) >= {f"{donor}_y0000_x0000" for donor in was["donors"]}
        assert provenance["recipe"] == was["recipe"]
    assert not [each for each in verify(tiles.root) if each.severity == "error"]
    assert not list(leaks(tiles.root, tiles.splits["main"]))
    again = cd.read(cd.untile(tiles, tmp_path / "whole", workers=1))
    assert (again.root / "manifest.jsonl").read_text().count('"dropped":true') == 2
    assert [each.to_json() for each in cd.groups(again).groups] == [each.to_json() for each in cd.groups(whole).groups]
    for before, after in zip(whole, again, strict=True):
        assert (after.id, after.provenance, after.group) == (before.id, before.provenance, before.group)
        np.testing.assert_array_equal(after.image(), before.image())
        np.testing.assert_array_equal(after.mask(), before.mask())
    assert {name: split.sides for name, split in again.splits.items()} == {
        name: split.sides for name, split in whole.splits.items()
    }
    assert sorted(path.name for path in (again.root / "recipes").iterdir()) == sorted(
        path.name for path in (synthetic / "recipes").iterdir()
    )


def test_a_held_out_host_is_found_among_tiles_too(tmp_path: Path, synthetic: Path, cut: Cut) -> None:
    tiles = cut(synthetic, tmp_path / "tiles", size=64, overlap=16)
    made = next(tile for tile in tiles if tile.origin == "synthetic")
    host = (made.provenance or {})["host"]
    of = host.rsplit("_y", 1)[0]
    rewritten(
        tiles.root,
        "splits/main.jsonl",
        lambda row: {**row, "side": "test"} if str(row.get("id", "")).startswith(of) else row,
    )
    found = list(leaks(tiles.root, cd.read(tiles.root).splits["main"]))
    assert any(each.code == "ancestor-held-out" and host in each.what for each in found)


def test_samples_added_to_tiles_are_left_out_and_counted(tmp_path: Path, synthetic: Path, cut: Cut) -> None:
    tiles = cut(synthetic, tmp_path / "tiles", size=96, overlap=16)
    assert len(tiles) == len(cd.read(synthetic))
    files = {tile.id: sha256(tiles.path(tile.image_path)) for tile in tiles}
    assert files == {each.id: each.image_sha256 for each in cd.read(synthetic)}
    cd.synthesize(tiles.root, "hole", n=3, seed=5, workers=1)
    done = cd.untile(tiles.root, tmp_path / "whole", workers=1)
    assert done.images == len(tiles)
    assert any("3 samples added" in note for note in done.notes)
