"""Colours of classes: once given they stay, and are shared only when they run out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carpet_data.core.colors import CLASSES, GOOD_COLOR, of_classes

NAMES = st.lists(st.text(min_size=1), unique=True, max_size=20)


@given(NAMES, NAMES)
def test_colors_once_given_stay(first: list[str], second: list[str]) -> None:
    before = of_classes(first)
    after = of_classes(list(dict.fromkeys([*second, *first])), before)
    assert {name: after[name] for name in first} == before
    defects = [name for name in first if name != "good"]
    assert len({before[name] for name in defects}) == min(len(defects), len(CLASSES))


def test_good_has_a_color_of_its_own() -> None:
    assert of_classes(["hole", "good"])["good"] == GOOD_COLOR
    assert GOOD_COLOR not in CLASSES
