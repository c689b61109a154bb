"""What is written is read back: instances to the pixel, whatever the names and masks."""

from __future__ import annotations

import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.examples import examples
from helpers.shapes import write_mvtec
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from carpet_data.core.masks import find, load, rle
from carpet_data.dataset import Dataset
from carpet_data.formats import read
from carpet_data.formats.exports import to_coco, to_mvtec, to_yolo
from carpet_data.formats.pairing import Named, pair

Facts = dict[str, tuple[object, ...]]

_NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="/\0"), min_size=1, max_size=12
).filter(lambda name: name.strip(" .") == name and not name.startswith((".", "~")))
_MASKS = hnp.arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14)))


def _facts(dataset: Dataset, by_class: bool) -> Facts:
    """id -> side, class and instances; order within an image does not matter."""
    facts: Facts = {}
    for sample in dataset:
        regions = find(load(dataset.root, sample), connectivity=dataset.connectivity)
        instances = sorted(zip(regions.class_names, rle.encode_each(regions), strict=True))
        facts[sample.id] = (sample.side, sample.class_name if by_class else "", instances)
    return facts


@pytest.mark.parametrize("kind", ["polygon", "rle", "yolo"])
@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(masks=st.lists(st.tuples(st.sampled_from(["hole", "cut off"]), _MASKS), min_size=1, max_size=4))
def test_annotation_files(kind: str, masks: list[tuple[str, NDArray[np.bool_]]]) -> None:
    for name in ("hole", "cut off"):
        empty = [not mask.any() for each, mask in masks if each == name]
        assume(2 * sum(empty) <= len(empty) or len(empty) < 2)  # a class of empty masks is refused
    with tempfile.TemporaryDirectory() as folder:
        root = write_mvtec(Path(folder) / "data", {f"{n:03}": mask for n, mask in enumerate(masks)})
        dataset, out = read(root), Path(folder) / "out"
        if kind == "yolo":
            to_yolo(dataset, out, workers=1)
        else:
            to_coco(dataset, out, segmentation="rle" if kind == "rle" else "polygon", workers=1)
        again = read(out)
        assert again.categories == dataset.categories
        # YOLO has nowhere to say that an image without instances belongs to a defect class.
        assert _facts(again, kind != "yolo") == _facts(dataset, kind != "yolo")


@settings(max_examples=examples(40), deadline=None)
@given(
    names=st.lists(_NAMES, min_size=1, max_size=5, unique_by=lambda name: unicodedata.normalize("NFC", name).casefold())
)
def test_any_names(names: list[str]) -> None:
    mask = np.ones((3, 4), np.bool_)
    with tempfile.TemporaryDirectory() as folder:
        root = write_mvtec(Path(folder) / "data", dict.fromkeys(names, ("hole", mask)))
        dataset = read(root)
        pairs = {
            Path(sample.image_path).stem: Path(sample.mask_path or "").stem
            for sample in dataset
            if sample.side == "test"
        }
        assert pairs == {name: f"{name}_mask" for name in names}
        out = Path(folder) / "out"
        to_mvtec(dataset, out, workers=1)
        assert len(read(out)) == len(dataset)


_PIECES = st.text(st.sampled_from("aAbé\u0301_mask"), min_size=1, max_size=4)


@given(images=st.sets(_PIECES, max_size=8), masks=st.sets(_PIECES, max_size=8))
def test_pairing_is_by_name(images: set[str], masks: set[str]) -> None:
    """Each pair has one name, each mask one image unless it is called a fault, and nothing gets lost."""

    def fold(text: str) -> str:
        return unicodedata.normalize("NFC", text).casefold()

    outcome = pair(
        Path("root"),
        [Named(f"i/{name}", name, (("hole",),)) for name in sorted(images)],
        [Named(f"m/{name}", name, (("hole",),)) for name in sorted(masks)],
        ("_mask", ""),
    )
    for image, mask in outcome.mask_of.items():
        assert fold(mask[2:]) in (fold(image[2:] + "_mask"), fold(image[2:]))
    taken = list(outcome.mask_of.values())
    if not outcome.problems:
        assert len(set(taken)) == len(taken)
        assert {*taken, *outcome.orphans} == {f"m/{name}" for name in masks}
    left = {f"i/{name}" for name in images} - outcome.mask_of.keys()
    assert not {fold(mask[2:]) for mask in outcome.orphans} & {fold(image[2:]) for image in left}


def test_pairing_does_not_depend_on_order() -> None:
    names = ["a", "A", "b_mask", "b", "c"]
    masks = ["a_mask", "A", "b_mask", "C_mask"]

    def paired(turn: Callable[[list[str]], list[str]]) -> dict[str, str]:
        return pair(
            Path("root"),
            [Named(name, name, (("x",),)) for name in turn(names)],
            [Named(name, name, (("x",),)) for name in turn(masks)],
            ("_mask", ""),
        ).mask_of

    assert paired(list) == paired(lambda values: values[::-1])
    assert paired(list) == {"a": "a_mask", "A": "A", "b": "b_mask", "c": "C_mask"}
