"""The table of markers names tests that are there."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.marking import MARKERS

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("place", MARKERS)
def test_every_place_is_there(place: str) -> None:
    path, _, name = place.partition("::")
    assert (TESTS / path).exists()
    assert not name or f"def {name}(" in (TESTS / path).read_text(encoding="utf-8")
