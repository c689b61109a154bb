"""Contact sheets: items are picked evenly, pictures keep their pixels, text of any script fits."""

from __future__ import annotations

import numpy as np
import pytest

from carpet_data.core import sheets


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
