"""The facts of a validation go to disk and come back; damage is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.validation_pages import NAMES, page
from hypothesis import given
from hypothesis import strategies as st

from carpet_data.errors import DataError
from carpet_data.reporting.pages import PAGE, Estimate, load
from carpet_data.reporting.texts import duration, p_text, shortened


def test_a_page_comes_back_as_it_was(tmp_path: Path) -> None:
    written = page()
    (tmp_path / PAGE).write_bytes(written.to_bytes())
    assert load(tmp_path) == written
    assert written.baseline is not None
    assert written.baseline.name == NAMES[1]


def test_a_figure_that_is_not_finite_is_none(tmp_path: Path) -> None:
    written = page(p_value=None, seconds=float("nan"))
    (tmp_path / PAGE).write_bytes(written.to_bytes())
    read = load(tmp_path)
    assert read is not None
    assert read.seconds is None


def test_no_page_is_none(tmp_path: Path) -> None:
    assert load(tmp_path) is None


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        (b'"helps"', b'"wins"', "verdict"),
        (b'"schema": 1', b'"schema": 2', "schema 2"),
        (b'"conditions"', b'"conditiony"', "conditions"),
        (b"{", b"", "damaged"),
    ],
)
def test_damage_is_named_with_its_place(before: bytes, after: bytes, named: str, tmp_path: Path) -> None:
    data = page().to_bytes()
    assert before in data
    (tmp_path / PAGE).write_bytes(data.replace(before, after, 1))
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert named in caught.value.what
    assert caught.value.where == str(tmp_path / PAGE)
    assert caught.value.hint


def test_figures_as_text() -> None:
    assert Estimate(0.5521, 0.4, 0.7).text() == "0.552 (0.400 to 0.700)"
    assert Estimate(-0.1, -0.2, 0.0).text(signed=True) == "-0.100 (-0.200 to +0.000)"
    assert Estimate(0.5).text() == "0.500"
    assert Estimate(None, 0.1, 0.2).text() == "–"
    assert [p_text(value) for value in (None, 0.0004, 0.0312, 1.0)] == [
        "no test",
        "p < 0.001",
        "p = 0.031",
        "p = 1.000",
    ]
    assert [duration(value) for value in (0.2, 59.6, 185, 7800)] == ["0 s", "1 min 0 s", "3 min 5 s", "2 h 10 min"]


@given(text=st.text(max_size=60), most=st.integers(1, 40))
def test_a_shortened_text_is_no_longer_than_asked(text: str, most: int) -> None:
    short = shortened(text, most)
    assert len(short) <= most or short == text
    assert len(short) <= max(most, 0)
    assert (short == text) == (len(text) <= most) or text.endswith("…")
