"""However the labels of a YOLO data set are placed and named: a labeled image is its defect, or the set is refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from helpers.examples import examples
from helpers.yolo_sets import CUT, HOLE, box_mask, outline, polygons_in, polygons_of, yolo_set
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from carpet_data.errors import DataError
from carpet_data.formats import ReadOptions, read

_SETTINGS = settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])

_IMAGE_FOLDERS = st.sampled_from(["images/", "Images/", "IMAGES/", "image/", "imgs/", "JPEGImages/", "pics/", ""])
_LABEL_FOLDERS = st.sampled_from(
    ["labels/", "Labels/", "LABELS/", "label/", "annotations/", "txt/", "yolo/", "images/", "Images/", ""]
)
_SIDES = st.sampled_from(["", "train/", "Train/", "val/", "line 1/", "a/b/"])
_STEMS = st.lists(st.sampled_from(["a", "A", "im_1", "im-1", "im 1", "é", "x.rf.1f", "labels"]), min_size=1, max_size=3)
_RENAMED = st.sampled_from([str, str, str, str.upper, str.lower, lambda stem: f"{stem}.png", lambda stem: f"{stem}_1"])
_SUFFIXES = st.sampled_from([".txt", ".txt", ".TXT"])


@_SETTINGS
@given(
    images=_IMAGE_FOLDERS,
    labels=_LABEL_FOLDERS,
    side=_SIDES,
    label_side=st.none() | _SIDES,
    side_first=st.booleans(),
    stems=_STEMS,
    renamed=_RENAMED,
    suffix=_SUFFIXES,
    yaml=st.sampled_from(["names: [hole, cut]\n", "names: [hole, cut]\ntrain: .\n", None]),
    bare=st.integers(0, 2),
    skip=st.booleans(),
)
def test_a_labeled_image_is_never_good(
    images: str,
    labels: str,
    side: str,
    label_side: str | None,
    side_first: bool,
    stems: list[str],
    renamed: object,
    suffix: str,
    yaml: str | None,
    bare: int,
    skip: bool,
) -> None:
    assert callable(renamed)
    stems = list(dict.fromkeys(stems))

    def place(folder: str, its_side: str) -> str:
        return f"{its_side}{folder}" if side_first else f"{folder}{its_side}"

    where = place(labels, side if label_side is None else label_side)
    content: dict[str, tuple[str | None, str]] = {}
    for number, stem in enumerate(stems):
        line = outline((HOLE, CUT)[number % 2], number % 2)
        content[f"{place(images, side)}{stem}.png"] = (f"{where}{renamed(stem)}{suffix}", line)
    assume(len({label for label, _ in content.values()}) == len(content))
    labeled = set(content)
    content.update({f"{place(images, side)}bare{number}.png": (None, "") for number in range(bare)})
    with tempfile.TemporaryDirectory() as folder:
        more = {} if yaml is None else {"data__yaml": yaml}
        root = yolo_set(Path(folder), content, **more)
        try:
            dataset = read(root, ReadOptions(format="yolo", skip_faulty=skip))
        except DataError as error:
            assert str(error)  # noqa: PT017
            return
        for sample in dataset:
            if sample.image_path not in labeled:
                assert sample.class_name == "good"
                continue
            # Which label file was used does not matter where names leave it open, as long as it is one of its lines.
            (shape,) = polygons_in(sample)
            label = content[sample.image_path][0]
            if label is not None and (root / label).is_file():
                assert [shape] == [polygon for _, polygon in polygons_of(root / label)]
            assert any(np.array_equal(sample.mask(), box_mask(box)) for box in (HOLE, CUT))
        left_out = {Path(str(error.where)).relative_to(root).as_posix() for error in dataset.skipped}
        assert labeled <= {sample.image_path for sample in dataset} | left_out


@_SETTINGS
@given(
    faults=st.lists(
        st.sampled_from(["", "0 0.5 0.5 0.2 0.2", "7 0 0 1 0 1 1", "hole 0 0 1 0 1 1", "0 1 2", "\xff"]),
        min_size=1,
        max_size=6,
    )
)
def test_exactly_the_images_at_fault_are_left_out(faults: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        content: dict[str, tuple[str | None, str]] = {
            f"images/{number}.png": (f"labels/{number}.txt", f"{outline(HOLE)}\n{fault}\n")
            for number, fault in enumerate(faults)
        }
        content["images/sound.png"] = ("labels/sound.txt", outline(CUT, 1))
        root = yolo_set(Path(folder), content, data__yaml="names: [hole, cut]\n")
        dataset = read(root, ReadOptions(skip_faulty=True))
        wrong = {f"{number}.png" for number, fault in enumerate(faults) if fault}
        assert {Path(str(error.where)).name for error in dataset.skipped} == wrong
        assert {Path(sample.image_path).name for sample in dataset} == {Path(path).name for path in content} - wrong
        assert all(sample.class_name != "good" for sample in dataset)
        if wrong:
            try:
                read(root)
            except DataError:
                return
            raise AssertionError("read although lines are wrong")
