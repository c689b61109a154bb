"""Contact sheets: items are picked evenly, pictures keep their pixels, text of any script fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from carpet_data.core import sheets
from carpet_data.core.images import write_png
from carpet_data.dataset import MaskFile, Sample
from carpet_data.synthesis.engine import contact_sheet


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50])
def test_items_are_picked_evenly(count: int) -> None:
    items = list(range(1, 24))
    found = sheets.evenly(items, count)
    assert len(found) == min(count, len(items))
    assert found == sorted(set(found))
    assert found[0] == items[0]
    if count > 1:
        assert found[-1] == items[-1]
        assert np.ptp(np.diff(found)) <= 1


def test_a_sheet_holds_every_panel_whatever_its_size() -> None:
    tiles = [np.full((height, width, 3), (0, 0, 255), np.uint8) for height, width in ((40, 40), (20, 40), (64, 9))]
    panels = [sheets.panel(["thread", "x" * 500], tiles), sheets.panel([], tiles[:1]), sheets.panel(["Fäden"], tiles)]
    found = sheets.sheet(panels, across=2, title="дефекты")
    assert (found == (0, 0, 255)).all(axis=2).sum() == 2 * sum(tile[..., 0].size for tile in tiles) + tiles[0][
        ..., 0
    ].size


def test_a_crop_holds_the_largest_component() -> None:
    mask = np.zeros((200, 300), np.bool_)
    mask[5:8, 5:8] = mask[150:199, 200:260] = True
    x, y, width, height = sheets.around(mask)
    assert mask[y : y + height, x : x + width].sum() == 49 * 60
    assert sheets.around(np.ones((3, 5), np.bool_)) == (0, 0, 5, 3)


@pytest.mark.parametrize("turned", [False, True])
def test_in_a_strip_the_crop_shows_the_defect_large(turned: bool) -> None:
    """A scratch of 1500x4 px on 4096x256: the middle of it, at the strip's own width."""
    mask = np.zeros((256, 4096), np.bool_)
    mask[200:204, 1000:2500] = True
    x, y, width, height = sheets.around(mask.T if turned else mask)
    if turned:
        x, y, width, height = y, x, height, width
    assert (y, width, height) == (0, 256, 256)
    assert 1000 <= x <= 2500 - 256
    small = np.zeros((256, 4096), np.bool_)
    small[10:20, 4000:4020] = True
    assert sheets.around(small)[2:] == (64, 64)


def test_the_tiles_of_a_strip_are_as_wide_as_three_others(tmp_path: Path) -> None:
    image = np.full((256, 4096), 120, np.uint8)
    mask = np.zeros((256, 4096), np.uint8)
    mask[100:110, 3000:3012] = 255
    for turn in (False, True):
        root = tmp_path / str(turn)
        (root / "m").mkdir(parents=True)
        write_png(root / "a.png", image.T if turn else image)
        write_png(root / "m/a.png", mask.T if turn else mask)
        width, height = (256, 4096) if turn else (4096, 256)
        sample = Sample("a", "a.png", "hole", width, height, annotation=MaskFile("m/a.png"))
        drawn = contact_sheet.draw(root, [sample], "one")
        assert min(drawn.shape[:2]) > 300
        marked = (drawn == sheets.OUTLINE).all(axis=2)
        assert marked.sum() > 4 * 25, "the outline of the enlarged defect"
