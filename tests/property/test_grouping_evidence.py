"""Whatever agrees with whatever: links stand out, do not chain, and do not depend on an order."""

from __future__ import annotations

import random
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from carpet_data.grouping import evidence
from carpet_data.grouping.alignment import Match
from carpet_data.grouping.evidence import COMMON, LIKELY, STEP, SURE, Compared, LinkEvidence
from carpet_data.grouping.neighbors import PairToCompare

COUNT = 9
PAIRS = [(a, b) for a in range(COUNT) for b in range(a + 1, COUNT)]
Agreements = dict[tuple[int, int], float]
below_sure = st.floats(0, SURE - 0.001)


def agreements(values: st.SearchStrategy[float]) -> st.SearchStrategy[Agreements]:
    return st.lists(values, min_size=len(PAIRS), max_size=len(PAIRS)).map(
        lambda each: dict(zip(PAIRS, each, strict=True))
    )


def links(of: Mapping[tuple[int, int], float], *, shared: float = 0.05, seed: int = 0) -> set[tuple[int, int]]:
    pairs = list(of)
    random.Random(seed).shuffle(pairs)
    stranger = Compared(PairToCompare(0, 1, ""), Match(shared, 0.0))
    found = LinkEvidence(COUNT, lambda row, related: [stranger] * 8, lambda compared: 1.0)
    for a, b in pairs:
        pair = PairToCompare(a, b, "")
        if not found.settled(pair):
            found.add(Compared(pair, Match(of[a, b], 0.0)))
    return {(each.pair.a, each.pair.b) for each in found.links()}


@given(agreements(st.floats(0, LIKELY - 0.001)))
def test_below_likely_there_is_no_link(of: Agreements) -> None:
    assert links(of) == set()


@given(agreements(below_sure))
def test_a_likely_link_stands_out_from_both_ends(of: Agreements) -> None:
    for pair in links(of):
        for end in pair:
            mine = sorted((value for other, value in of.items() if end in other), reverse=True)
            after = [value for value in mine if value < of[pair]]
            # Somewhere below the link there is a step, and nothing on the link's side of it is below LIKELY.
            assert any(
                above - below >= STEP * (1 - below) and above >= LIKELY
                for above, below in zip([of[pair], *after], [*after, 0.05], strict=True)
            )


@given(st.permutations(range(COUNT)), st.floats(LIKELY, SURE - 0.01), st.floats(0.8, 1))
def test_a_series_of_like_objects_does_not_chain(line: list[int], most: float, decay: float) -> None:
    # Each agrees with the next, a little less with the one after that, and so on.
    of = {(a, b): most * decay ** (abs(line.index(a) - line.index(b)) - 1) for a, b in PAIRS}
    assert links(of) == set()


@given(agreements(below_sure), st.integers(0, 5))
def test_the_order_of_comparing_changes_nothing(of: Agreements, seed: int) -> None:
    assert links(of, seed=seed) == links(of)


@given(agreements(st.floats(SURE, 1)), st.floats(COMMON + 0.01, 1))
def test_what_unrelated_images_share_makes_nothing_sure(of: Agreements, shared: float) -> None:
    # All agree, and so do strangers: only what stands out by the higher step may be a link.
    for a, b in links(of, shared=shared):
        others = [value for pair, value in of.items() if (a in pair) != (b in pair)]
        assert of[a, b] > min(others)


def test_sure_links_of_a_set_that_shares_nothing() -> None:
    of = dict.fromkeys(PAIRS, 0.05) | {(0, 3): 0.9, (3, 7): 0.85, (1, 2): 0.82}
    assert links(of) == {(0, 3), (3, 7), (1, 2)}
    assert evidence.SURE > evidence.COMMON > 0
