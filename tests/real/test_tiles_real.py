"""Real photographs cut into tiles and put together again: no pixel, instance, class or side differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import carpet_data as cd

pytestmark = pytest.mark.real

CLASSES = "1=inclusion,2=patches,3=scratches"


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("mvtec/carpet", 512, {}),
        ("mvtec/capsule_fewshot", 512, {}),
        ("neu_seg", 128, {"mask_classes": CLASSES}),
    ],
)
def test_nothing_differs(
    name: str, size: int, options: dict[str, Any], real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    how = {"protocol": "source", "near_duplicates": False, "workers": 1, **options}
    wanted = cd.read(cd.prepare(real_data(name), tmp_path / "set", **how))
    tiles = cd.tile(real_data(name), tmp_path / "tiles", size=size, overlap=size // 8, **how)
    found = cd.read(cd.untile(tiles, tmp_path / "whole", workers=1))
    assert tiles.cut > 0
    assert (found.categories, found.classes) == (wanted.categories, wanted.classes)
    assert found.splits["main"].sides == wanted.splits["main"].sides
    for was, now in zip(wanted, found, strict=True):
        assert (now.id, now.class_name, now.side, now.source) == (was.id, was.class_name, was.side, was.source)
        np.testing.assert_array_equal(now.image(), was.image())
        assert now.instances() == was.instances()
