"""Problems that a reader collects: of the whole data set, and of single images."""

from __future__ import annotations

import pytest

from carpet_data.errors import DataError, ImageError, ProblemsError
from carpet_data.formats.problems import MOST_PROBLEMS, Problems


def test_an_image_at_fault_ends_the_run_by_default() -> None:
    problems = Problems()
    problems.say("no segmentation", "set.json (annotation 1)", image="a.png")
    with pytest.raises(ProblemsError):
        problems.settle()
    assert problems.faulty("a.png")


def test_images_at_fault_are_listed_once_each() -> None:
    problems = Problems(skip_faulty=True)
    problems.add(ImageError("the file is empty", where="a.png", hint="restore it"), image="a.png")
    for number in range(3):
        problems.say("no segmentation", f"set.json (annotation {number})", image="b.png")
    skipped = problems.settle()
    first = skipped[0]
    assert (first.where, first.what, first.hint) == (
        "a.png",
        "the file is empty",
        "restore it",
    )
    assert isinstance(skipped[0], ImageError)
    assert skipped[1].where == "b.png"
    assert skipped[1].what.endswith("no segmentation (and 2 more problems of this image)")
    assert len(skipped) == 2
    assert not problems.faulty("c.png")


def test_thousands_of_images_at_fault_do_not_end_the_run() -> None:
    problems = Problems(skip_faulty=True)
    for number in range(10 * MOST_PROBLEMS):
        problems.say("no segmentation", "set.json", image=f"{number}.png")
    assert len(problems.settle()) == 10 * MOST_PROBLEMS


def test_what_concerns_the_whole_set_is_never_settled() -> None:
    problems = Problems(skip_faulty=True)
    problems.say("no segmentation", "set.json", image="a.png")
    problems.say("two categories have the id 1", "set.json")
    with pytest.raises(ProblemsError) as caught:
        problems.settle()
    assert [error.what for error in caught.value.problems] == ["two categories have the id 1"]


def test_one_cause_is_one_error() -> None:
    problems = Problems()
    for number in range(3 * MOST_PROBLEMS):
        problems.say("no category 7", f"annotation {number}", image=f"{number}.png", cause=("category", 7))
    problems.add(DataError("something else", where="set.json"))
    with pytest.raises(ProblemsError) as caught:
        problems.check()
    first, second = caught.value.problems
    assert (first.what, first.where) == (f"no category 7 ({3 * MOST_PROBLEMS - 1} more alike)", "annotation 0")
    assert second.what == "something else"


def test_the_bound() -> None:
    problems = Problems()
    for number in range(MOST_PROBLEMS - 1):
        problems.say(f"fault {number}", "set.json")
    with pytest.raises(ProblemsError) as caught:
        problems.say("one more", "set.json")
    assert len(caught.value.problems) == MOST_PROBLEMS
