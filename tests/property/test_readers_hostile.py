"""Whatever an annotation file holds, a reader reads it or says what is wrong; it never falls over."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from helpers.examples import examples
from helpers.trees import image
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from carpet_data.core.masks import load
from carpet_data.errors import CarpetDataError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.coco import reader as coco_reader
from carpet_data.formats.mvtec import loco
from carpet_data.formats.yolo import reader as yolo_reader

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 20)
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["a.png", "../a.png", "/", "..", "1", "", "\ud800"])
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=8)
        | st.dictionaries(st.sampled_from(["id", "size", "counts", "name"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_WHOLE: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.png", "width": 12, "height": 8}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[2, 1, 5, 1, 5, 4, 2, 4]], "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 1, "segmentation": {"size": [8, 12], "counts": [80, 2, 14]}},
    ],
    "categories": [{"id": 1, "name": "hole"}],
    "licenses": [{"id": 1, "name": "CC0"}],
}
_PATHS: list[tuple[str | int, ...]] = [
    ("images",),
    ("images", 0),
    *(("images", 0, key) for key in ("id", "file_name", "width", "height", "class_name", "origin")),
    ("annotations",),
    *(("annotations", 0, key) for key in ("id", "image_id", "category_id", "segmentation", "iscrowd")),
    ("annotations", 0, "segmentation", 0),
    ("annotations", 0, "segmentation", 0, 3),
    ("annotations", 1, "segmentation", "size"),
    ("annotations", 1, "segmentation", "counts"),
    ("annotations", 1, "segmentation", "counts", 1),
    ("categories",),
    ("categories", 0, "id"),
    ("categories", 0, "name"),
    ("licenses",),
    ("licenses", 0, "name"),
]


def _changed(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    document = json.loads(json.dumps(_WHOLE))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    changed: dict[str, Any] = document
    return changed


def _try(root: Path, reader: Any) -> None:
    """Read and load every mask; only errors of ours, with their place, may come out."""
    try:
        dataset = reader(root, ReadOptions())
        for sample in dataset:
            assert not sample.image_path.startswith(("/", "../"))
            sample.id.encode(), sample.class_name.encode()
            load(dataset.root, sample)
        (dataset.license + "".join(dataset.categories)).encode()
    except CarpetDataError as error:
        assert error.what  # noqa: PT017
        json.dumps(error.to_json(), ensure_ascii=False).encode()
        str(error).encode()


@example(("annotations", 0, "segmentation"), {"size": "\ud800"})
@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(_PATHS), value=_VALUES)
@example(("categories", 0, "name"), "\ud800")
@example(("licenses", 0, "name"), "\ud800")
@example(("annotations", 0, "id"), "\ud800")
@example(("annotations", 0, "image_id"), "\ud800")
@example(("images", 0, "file_name"), "\ud800.png")
@example(("images", 0, "class_name"), "\ud800")
@example(("images", 0, "id"), 10**400)
@example(("annotations", 0, "segmentation", 0, 3), 10**400)
@example(("annotations", 1, "segmentation", "counts", 1), 10**400)
def test_coco(path: tuple[str | int, ...], value: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        image(root / "a.png")
        (root / "set.json").write_text(json.dumps(_changed(path, value)))
        _try(root, coco_reader.read)


@settings(max_examples=examples(100), deadline=None)
@given(data=st.binary(max_size=60))
def test_coco_bytes(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "set.json").write_bytes(data)
        with pytest.raises(CarpetDataError):
            coco_reader.read(Path(folder), ReadOptions())


_NUMBERS = (
    st.floats(0, 1).map(str) | st.floats().map(str) | st.sampled_from(["0", "1", "-1", "x", "1e999", "\x00", "٣"])
)
_LINES = st.lists(st.lists(_NUMBERS, max_size=10).map(" ".join), max_size=3).map("\n".join)


@settings(max_examples=examples(100), deadline=None)
@given(text=_LINES, data=st.none() | st.binary(max_size=20))
def test_yolo_labels(text: str, data: bytes | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        image(root / "images/a.png")
        (root / "labels").mkdir()
        (root / "labels/a.txt").write_bytes(text.encode() if data is None else data)
        _try(root, yolo_reader.read)


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example("names", ["\ud800"], None)
@example("train", "\ud800", None)
@example("train", "\0", None)
@example("path", "\ud800", None)
@given(key=st.sampled_from(["path", "train", "val", "names", "x"]), value=_VALUES, raw=st.none() | st.text(max_size=30))
def test_yolo_configurations(key: str, value: Any, raw: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        image(root / "images/train/a.png")
        document = {"train": "images/train", "names": ["hole"], key: value}
        text = json.dumps(document) if raw is None else raw
        (root / "data.yaml").write_text(text, encoding="utf-8", errors="replace")
        _try(root, yolo_reader.read)


@settings(max_examples=examples(100), deadline=None)
@given(value=_VALUES)
def test_loco_configurations(value: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        image(root / "test/logical_anomalies/a.png")
        image(root / "ground_truth/logical_anomalies/a/000.png", 1)
        (root / "defects_config.json").write_text(json.dumps(value))
        _try(root, loco.read)


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    """The document that the tests above damage is a good one."""
    image(tmp_path / "a.png")
    (tmp_path / "set.json").write_text(json.dumps(_WHOLE))
    dataset = read(tmp_path)
    assert len(load(dataset.root, dataset.samples[0]).names) == 2
