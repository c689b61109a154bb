"""What a validation found goes to disk and comes back; damage is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.validation_pages import BASELINE, NAMES, compared, page
from hypothesis import given
from hypothesis import strategies as st

from carpet_data.core.text import duration, p_text, sentence, shortened
from carpet_data.errors import DataError
from carpet_data.reporting.pages import ValidationPage, load
from carpet_data.store import runs


def write(folder: Path, page: ValidationPage) -> Path:
    path = folder / runs.METRICS
    runs.write_json(path, page.to_json())
    return path


def test_a_page_comes_back_as_it_was(tmp_path: Path) -> None:
    written = page()
    write(tmp_path, written)
    assert load(tmp_path) == written
    assert (written.verdict, written.p_value) == ("helps", 0.0042)


def test_paired_tests_are_those_of_the_contrasts_with_the_verdicts_p_value() -> None:
    rows = page().tests()
    assert [(row.measure, row.p_value, row.primary) for row in rows] == [
        ("balanced accuracy", 0.0042, True),
        ("macro F1", 0.0003, False),
        ("balanced accuracy", 0.25, False),
    ]
    assert {(row.condition, row.against) for row in rows} == {(NAMES[3], BASELINE)}
    assert rows[0].method == "paired bootstrap over groups, 10000 resamples, Holm over 2"
    alone = page(comparisons=(compared(),), verdicts=(replace(page().verdicts[0], condition="another"),))
    assert [(row.p_value, row.primary) for row in alone.tests()] == [(0.0021, False)]


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        (b'"helps"', b'"wins"', "verdict"),
        (b'"schema": 3', b'"schema": 9', "schema 9"),
        (b'"conditions"', b'"conditiony"', "conditions"),
        (b"{", b"", "JSON"),
    ],
)
def test_damage_is_named_with_its_place(before: bytes, after: bytes, named: str, tmp_path: Path) -> None:
    path = write(tmp_path, page())
    data = path.read_bytes()
    assert before in data
    path.write_bytes(data.replace(before, after, 1))
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert named in caught.value.what
    assert caught.value.where == str(path)
    assert caught.value.hint


def test_metrics_as_text() -> None:
    assert [p_text(value) for value in (None, 0.0004, 0.0312, 1.0)] == [
        "no test",
        "p < 0.001",
        "p = 0.031",
        "p = 1.000",
    ]
    assert [duration(value) for value in (0.2, 59.6, 185, 7800)] == ["0 s", "1 min 0 s", "3 min 5 s", "2 h 10 min"]
    assert [sentence(text) for text in ("a note", "A whole one.", "")] == ["A note.", "A whole one.", "."]


@given(text=st.text(max_size=60), most=st.integers(1, 40))
def test_a_shortened_text_is_no_longer_than_asked(text: str, most: int) -> None:
    short = shortened(text, most)
    assert len(short) <= most or short == text
    assert len(short) <= max(most, 0)
    assert (short == text) == (len(text) <= most) or text.endswith("…")
