"""What the pictures of predicted maps say of themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from carpet_data.core import sheets
from carpet_data.training.contract import ImagePrediction
from carpet_data.training.map_pictures import map_panel

IMAGE = np.zeros((40, 60, 3), np.uint8)
HEAT = np.zeros((40, 60), np.float32)


@pytest.fixture
def captions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Those of the panel that is drawn."""
    seen: list[str] = []
    draw = sheets.panel

    def panel(lines: Sequence[str], tiles: Sequence[NDArray[np.uint8]], *, captions: Sequence[str] = ()) -> object:
        seen.extend(captions)
        return draw(lines, tiles, captions=captions)

    monkeypatch.setattr(sheets, "panel", panel)
    return seen


def test_each_picture_has_a_caption_and_the_predicted_classes_are_named(captions: list[str]) -> None:
    labels = np.zeros((40, 60), np.uint8)
    labels[:4], labels[10:20] = 1, 2
    found = ImagePrediction("thread", None, 0.9, HEAT, labels)
    map_panel(IMAGE, labels > 0, found, ("good", "hole", "thread"), ("id",))
    assert captions == ["image", "true outline", "heat: red is surely a defect", "predicted: thread, hole"]


def test_what_is_not_known_or_not_found_is_said(captions: list[str]) -> None:
    found = ImagePrediction("good", None, 0.1, HEAT, np.zeros((40, 60), np.uint8))
    map_panel(IMAGE, None, found, ("good", "hole"), ("id",))
    assert (captions[1], captions[3]) == ("mask not known", "predicted: none")


def test_captions_are_drawn_above_their_tiles() -> None:
    tiles = [np.zeros((30, 100, 3), np.uint8)] * 2
    plain, named = sheets.panel(["id"], tiles), sheets.panel(["id"], tiles, captions=["image", ""])
    added = named.shape[0] - plain.shape[0]
    row = named[plain.shape[0] - 30 : plain.shape[0] - 30 + added]
    assert added > 0
    assert (row[:, :100] != sheets.BACKGROUND).any()
    assert not (row[:, 106:] != sheets.BACKGROUND).any()
