from __future__ import annotations

import json

import pytest

from carpet_data.errors import DataError, ProblemsError, UsageError
from carpet_data.grouping import frame_runs, groups
from carpet_data.grouping.groups import Link, chain, from_mapping, groups_from_json, join, link


def test_groups_are_the_components_of_all_reasons() -> None:
    links = [link("c", "b", "near", 0.91), link("b", "a", "file"), link("e", "d", "run", detail="1-5")]
    found = join("fedcba", links)
    assert dict(found.of) == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "d", "f": "f"}
    assert found.members() == {"a": ("a", "b", "c"), "d": ("d", "e"), "f": ("f",)}
    assert list(found.shared()) == ["a", "d"]
    assert len(found) == 3
    assert found.links[:2] == (Link("a", "b", "file"), Link("b", "c", "near", 0.91))
    assert found.counts() == {"file": 1, "near": 1, "run": 1}


def test_groups_round_trip_through_json() -> None:
    found = join(["a", "b", "ü"], [link("ü", "a", "given", detail="tile 7")])
    assert groups_from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"of": [], "links": []},
        {"of": {"a": "a"}, "links": [{"a": "a"}]},
        {"of": {"a": "a"}, "links": [{"a": "a", "b": "b", "reason": "near", "score": 1, "detail": ""}]},
        {"of": {"a": "a", "b": "a"}, "links": [{"a": "a", "b": "b", "reason": "magic", "score": 1, "detail": ""}]},
    ],
)
def test_other_json_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(DataError, match="invalid groups"):
        groups_from_json(values)


def test_a_link_to_an_unknown_sample_is_refused() -> None:
    with pytest.raises(DataError, match="'b'"):
        join(["a"], [link("a", "b", "given")])


def test_chains_and_mappings() -> None:
    assert chain(["c", "a", "b"], "name", "t") == [Link("a", "b", "name", 1.0, "t"), Link("a", "c", "name", 1.0, "t")]
    assert chain(["a"], "name") == []
    assert from_mapping({"a": "x", "b": None, "c": "x", "d": None}, "given") == [Link("a", "c", "given", 1.0, "x")]
    assert set(groups.REASONS) == {"file", "pixels", "near", "name", "run", "given", "source"}


def test_names_are_grouped_by_what_is_captured() -> None:
    names = ["test/cut/tile7_a.png", "test/cut/tile7_b.png", "train/good/tile8_a.png", "train/good/odd.png"]
    found = frame_runs.by_regex(names, r"tile(\d+)")
    assert found.of["test/cut/tile7_b.png"] == "7"
    assert found.unmatched == ("train/good/odd.png",)
    assert "1 of 4 images" in found.notes[0]
    assert found.links() == [Link("test/cut/tile7_a.png", "test/cut/tile7_b.png", "name", 1.0, "7")]
    assert frame_runs.by_regex(names[:3], r"tile(\d+)").notes == ()


def test_several_captures_are_joined_and_none_means_the_whole_match() -> None:
    assert frame_runs.by_regex(["a1_b2", "a1_b3"], r"a(\d)_b(\d)").of == {"a1_b2": "1/2", "a1_b3": "1/3"}
    assert frame_runs.by_regex(["a1_b2", "a1_b3"], r"a\d").of == {"a1_b2": "a1", "a1_b3": "a1"}
    assert frame_runs.by_regex(["a1", "a1x"], r"a(\d)(x)?").of == {"a1": "1/", "a1x": "1/x"}


def test_a_name_equal_to_a_captured_text_is_not_drawn_into_the_group() -> None:
    found = frame_runs.by_regex(["7", "tile7_a", "tile7_b"], r"tile(\d+)")
    assert join(["7", "tile7_a", "tile7_b"], found.links()).members() == {
        "7": ("7",),
        "tile7_a": ("tile7_a", "tile7_b"),
    }


def test_runs_are_cut_where_neighbours_are_far_apart() -> None:
    names = [f"exp_num_{n}.jpg" for n in (5, 105, 205, 306, 9, 1000)] + ["other.jpg"]
    found = frame_runs.by_runs(names, r"num_(\d+)", 100)
    members: dict[str, int] = {}
    for group in found.of.values():
        members[group] = members.get(group, 0) + 1
    assert members == {"5-205": 4, "306-306": 1, "1000-1000": 1, "other.jpg": 1}
    assert found.unmatched == ("other.jpg",)
    assert len(found.links({name: name.upper() for name in names})) == 3


def test_numbers_are_compared_as_numbers() -> None:
    assert set(frame_runs.by_runs(["n9", "n10", "n010"], r"n(\d+)", 1).of.values()) == {"9-10"}


def test_a_capture_that_is_no_integer_names_its_file() -> None:
    with pytest.raises(ProblemsError) as caught:
        frame_runs.by_runs(["n1", "nx", "n1_000"], r"n(.*)", 5)
    assert [fault.where for fault in caught.value.problems] == ["n1_000", "nx"]


@pytest.mark.parametrize(("pattern", "gap"), [("(", 1), (r"\d+", 1), (r"(\d)(\d)", 1), (r"(\d+)", -1)])
def test_wrong_patterns_are_wrong_use(pattern: str, gap: int) -> None:
    with pytest.raises(UsageError) as caught:
        frame_runs.by_runs(["1"], pattern, gap)
    assert caught.value.hint


def test_a_wrong_regex_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="regular expression"):
        frame_runs.by_regex(["1"], "[")
