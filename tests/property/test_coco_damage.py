"""Random damage to single entries of a COCO file: no crash, no defect image that becomes good, no other image lost."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.coco_sets import HEIGHT, WIDTH, annotation, entry, pictures, square, write
from helpers.examples import examples
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import carpet_data as cd
from carpet_data.dataset import GOOD
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.fiftyone.coco import of_coco
from carpet_data.formats.coco.check import check

COUNT = 4
SKIP = cd.ReadOptions(skip_faulty=True, overlap="first")

_NUMBERS = st.integers(-5, 40) | st.integers() | st.floats() | st.sampled_from([2e8, 1e8, 9e18, -1.0, 1.5, 10**400])
_LEAVES = st.none() | st.booleans() | _NUMBERS | st.text(max_size=4) | st.sampled_from(["1", "b'0'", "o" * 50, "~"])
_SEGMENTATIONS = (
    _LEAVES
    | st.lists(_NUMBERS, max_size=9)
    | st.lists(st.lists(_NUMBERS, max_size=9), max_size=3)
    | st.lists(st.lists(st.lists(_NUMBERS, min_size=2, max_size=2), max_size=4), max_size=2)
    | st.fixed_dictionaries(
        {},
        optional={
            "size": st.sampled_from([[HEIGHT, WIDTH], [WIDTH, HEIGHT], [10**6, 10**6], None, "x"]),
            "counts": st.lists(_NUMBERS, max_size=5) | st.text(max_size=8) | st.just([0, WIDTH * HEIGHT]),
        },
    )
)
# A reference to another image or category that exists is another annotation, not a damaged one.
_REFERENCES = st.none() | st.booleans() | st.text(alphabet="xyz", max_size=3) | st.floats().filter(lambda v: v % 1 != 0)

_OF_ANNOTATION = st.one_of(
    st.tuples(st.just("segmentation"), _SEGMENTATIONS),
    st.tuples(st.just("category_id"), _REFERENCES),
    st.tuples(st.just("id"), _REFERENCES),
    st.tuples(st.sampled_from(["bbox", "area", "iscrowd"]), _LEAVES),
)
_OF_IMAGE = st.one_of(
    st.tuples(
        st.just("file_name"), st.none() | st.sampled_from(["", "lost.png", "../../x.png", "https://x/y.png", "/x"])
    ),
    st.tuples(st.sampled_from(["width", "height"]), _LEAVES),
    st.tuples(st.just("license"), _LEAVES),
)
_DAMAGE = st.tuples(st.integers(1, COUNT), st.sampled_from(["annotations", "images"])).flatmap(
    lambda where: st.tuples(st.just(where), _OF_ANNOTATION if where[1] == "annotations" else _OF_IMAGE)
)


def _document() -> dict[str, Any]:
    """Four images, each with a defect of its own."""
    annotations = [annotation(n, n, square(3 * n, 2 * n), category_id=1 + n % 2) for n in range(1, COUNT + 1)]
    return {"images": [entry(n) for n in range(1, COUNT + 1)], "annotations": annotations}


def _damaged(damage: list[tuple[tuple[int, str], tuple[str, Any]]]) -> dict[str, Any]:
    document = _document()
    for (number, kind), (key, value) in damage:
        document[kind][number - 1][key] = value
    return document


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_DAMAGE, min_size=1, max_size=3))
@example([((1, "annotations"), ("segmentation", [[float("nan")] * 6]))])
@example([((2, "annotations"), ("segmentation", [2, 2, 2e8, 2, 2e8, 6])), ((3, "images"), ("width", 10**6))])
def test_damaged_entries_cost_their_images_and_no_others(damage: list[tuple[tuple[int, str], tuple[str, Any]]]) -> None:
    concerned = {f"im_{number}" for (number, _), _ in damage}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "set"
        pictures(root / "images", *(f"im_{number}.png" for number in range(1, COUNT + 1)))
        whole = write(root / "annotations/instances_train.json", **_document())
        before = {sample.id: sample for sample in cd.read(whole)}
        masks = {name: sample.mask() for name, sample in before.items()}
        path = write(root / "annotations/instances_train.json", **_damaged(damage))
        try:
            left = {sample.id: sample for sample in cd.read(root, SKIP)}
        except DataError:
            # Nothing is read where every image is at fault, or where the whole file is.
            left = {}
        assert all(sample.class_name != GOOD for sample in left.values())
        for name in set(before) - concerned:
            assert not left or np.array_equal(left[name].mask(), masks[name])
        if len(concerned) < COUNT and "image_id" not in {key for _, (key, _) in damage}:
            assert set(before) - concerned <= set(left)
        _survive(root, path)


def _survive(root: Path, path: Path) -> None:
    """Whatever is in the file, each command says what is wrong in words of its own."""
    for command in (
        lambda: cd.read(root),
        lambda: check(path, workers=1),
        lambda: cd.doctor(root, near_duplicates=False, workers=1),
        lambda: of_coco(path),
    ):
        with contextlib.suppress(CarpetDataError):
            command()


@settings(max_examples=examples(30), deadline=None)
@given(st.sampled_from(["images", "annotations", "categories"]), _LEAVES | st.lists(_LEAVES, max_size=3))
def test_damaged_lists_are_refused(key: str, value: Any) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "set"
        pictures(root / "images", *(f"im_{number}.png" for number in range(1, COUNT + 1)))
        path = write(root / "annotations/instances_train.json", **_document())
        document = json.loads(path.read_text())
        document[key] = value
        path.write_text(json.dumps(document))
        if value == [] and key == "annotations":
            assert {sample.class_name for sample in cd.read(root)} == {GOOD}
            return
        with pytest.raises(DataError):
            cd.read(root)
        with pytest.raises(DataError):
            cd.read(root, SKIP)
