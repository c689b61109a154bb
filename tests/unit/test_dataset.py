"""Datasets as objects: arrays on call, filters that chain, exports of what is left, what a notebook shows."""

from __future__ import annotations

import base64
import pickle
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.examples import examples
from helpers.shapes import SHAPES, write_mvtec
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import carpet_data as cd
from carpet_data.core import masks
from carpet_data.core.masks.runs import to_binary
from carpet_data.dataset import GOOD, IndexFile, MaskFile, Sample, Side, Split
from carpet_data.errors import DataError, ImageError, UsageError


def _one(root: Path, name: str, mask: np.ndarray | None = None, class_name: str = "hole") -> Sample:
    """The only sample of a data set of one image file, which lies there already, and its mask."""
    annotation = None
    if mask is not None:
        cv2.imwrite(str(root / "mask.png"), mask.astype(np.uint8) * 255)
        annotation = MaskFile("mask.png")
    with Image.open(root / name) as image:
        width, height = image.size
    return cd.Dataset(root, "d", (Sample("a", name, class_name, width, height, annotation),), ("hole",))[0]


def test_images_and_masks_are_the_files(hostile_shapes: Path) -> None:
    dataset = cd.read(str(hostile_shapes))
    assert len(dataset) == len(SHAPES) + 2
    for sample in dataset:
        image, mask = sample.image(), sample.mask()
        assert image.dtype == np.uint8
        assert mask.dtype == np.bool_
        assert image.shape[:2] == mask.shape == (sample.height, sample.width)
        assert (mask == to_binary(masks.load(dataset.root, sample).runs)).all()
        if sample.class_name == GOOD:
            assert not mask.any()
            assert sample.instances() == ()


def test_instances_are_the_mask_in_parts(hostile_shapes: Path) -> None:
    for sample in cd.read(hostile_shapes):
        whole = np.zeros((sample.height, sample.width), np.int64)
        for instance in sample.instances():
            mask = instance.mask()
            x, y, w, h = instance.bbox
            assert instance.class_name == sample.class_name
            assert instance.area == mask.sum() == mask[y : y + h, x : x + w].sum()
            assert mask[y : y + h, x : x + w].any(axis=0).all() or not mask[:, x : x + w].any(axis=0).all()
            assert mask.any(axis=0).nonzero()[0][[0, -1]].tolist() == [x, x + w - 1]
            assert mask.any(axis=1).nonzero()[0][[0, -1]].tolist() == [y, y + h - 1]
            whole += mask
        assert ((whole == 1) == sample.mask()).all()


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1), st.sampled_from([4, 8]))
def test_random_masks_come_back(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, seed: int, connectivity: int
) -> None:
    root = tmp_path_factory.mktemp("one")
    wanted = np.random.default_rng(seed).random((height, width)) < 0.4
    cv2.imwrite(str(root / "a.png"), np.zeros((height, width), np.uint8))
    sample = _one(root, "a.png", wanted)
    dataset = cd.Dataset(root, "d", (sample,), ("hole",), connectivity=connectivity)  # type: ignore[arg-type]
    assert (dataset[0].mask() == wanted).all()
    components, _ = cv2.connectedComponents(wanted.astype(np.uint8), connectivity=connectivity)
    found = dataset[0].instances()
    assert len(found) == components - 1
    assert (sum((each.mask().astype(int) for each in found), np.zeros((height, width), int)) == wanted).all()


def _exif(path: Path) -> None:
    image = Image.fromarray(np.arange(6 * 4 * 3, dtype=np.uint8).reshape(4, 6, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(path, exif=exif)


def _deep(path: Path) -> None:
    cv2.imwrite(str(path), np.full((3, 5), 257 * 7, np.uint16))


def _palette(path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), mode="P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.save(path)


@pytest.mark.parametrize(
    ("write", "shape", "first"),
    [
        (_exif, (6, 4, 3), [54, 55, 56]),
        (_deep, (3, 5), 7),
        (_palette, (2, 2, 3), [255, 0, 0]),
        (lambda path: cv2.imwrite(str(path), np.full((1, 1), 9, np.uint8)), (1, 1), 9),
    ],
    ids=["exif", "16 bit", "palette", "one grey pixel"],
)
def test_images_come_as_people_see_them(
    tmp_path: Path, write: Callable[[Path], None], shape: tuple[int, ...], first: object
) -> None:
    write(tmp_path / "a.png")
    image = _one(tmp_path, "a.png", class_name=GOOD).image()
    assert image.shape == shape
    assert image.dtype == np.uint8
    assert image[0, 0].tolist() == first


def test_what_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((2, 2), np.uint8))
    unmasked = _one(tmp_path, "a.png")
    for load in (unmasked.mask, unmasked.instances):
        with pytest.raises(DataError, match="no mask") as raised:
            load()
        assert raised.value.hint
    gone = replace(unmasked, image_path="b.png", annotation=MaskFile("b.png"))
    for each in (gone.image, gone.mask):
        with pytest.raises(ImageError, match="missing"):
            each()
    with pytest.raises(UsageError, match="belongs to no data set"):
        Sample("a", "a.png", GOOD, 2, 2).image()


def test_items_are_samples_and_slices_data_sets(hostile_shapes: Path) -> None:
    dataset = cd.read(hostile_shapes)
    first = dataset.samples[0]
    assert dataset[0] is first
    assert dataset[first.id] is first
    assert dataset[-1] == dataset.samples[-1]
    assert first in dataset
    assert first.id in dataset
    assert "nothing" not in dataset
    assert dataset[:3].samples == dataset.samples[:3]
    assert dataset[::-1].samples == dataset.samples
    assert set(dataset[:3].splits["source"].sides) == {sample.id for sample in dataset.samples[:3]}
    with pytest.raises(KeyError, match=f"did you mean '{first.id}'"):
        _ = dataset[first.id[:-1]]
    with pytest.raises(IndexError):
        _ = dataset[len(dataset)]


def test_filters_chain(synthesized_carpet: Path) -> None:
    dataset = cd.read(synthesized_carpet)
    chained = dataset.on_side("train").of_class("hole", "thread").of_origin("synthetic")
    sides = dataset.splits["main"].sides
    wanted = [
        sample
        for sample in dataset
        if sides.get(sample.id) == "train" and sample.class_name != GOOD and sample.origin == "synthetic"
    ]
    assert list(chained) == wanted != []
    assert chained.categories == dataset.categories
    assert set(chained.splits["main"].sides) == {sample.id for sample in wanted}
    assert dataset.take([wanted[0].id]).samples == (wanted[0],)
    assert dataset.where(lambda sample: sample.class_name == GOOD) == dataset.of_class(GOOD)
    assert len(chained.of_origin("real")) == 0
    assert chained.of_class(GOOD).classes == ()


def test_filters_refuse_what_is_not_there(hostile_shapes: Path) -> None:
    dataset = cd.read(hostile_shapes)
    with pytest.raises(UsageError, match="unknown class 'hol'") as raised:
        dataset.of_class("hol")
    assert raised.value.hint == "did you mean 'hole'? use one of: good, hole, thread"
    with pytest.raises(UsageError, match="unknown origin"):
        dataset.of_origin("fake")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unknown side 'main'"):
        dataset.on_side("main", "train")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"unknown split 'main' \(there are: source\)"):
        dataset.on_side("test", "main")
    with pytest.raises(UsageError, match="no split"):
        replace(dataset, splits={}).on_side("test")
    with pytest.raises(UsageError, match="unknown sample 'nothing'"):
        dataset.take([dataset[0].id, "nothing"])


def test_a_filtered_data_set_is_exported_with_what_is_left(hostile_shapes: Path, tmp_path: Path) -> None:
    holes = cd.read(hostile_shapes).of_class("hole")
    for name in ("coco", "yolo", "folder", "masks", "mvtec"):
        getattr(holes, f"to_{name}")(str(tmp_path / name), workers=1)
    holes.to_voc(tmp_path / "voc", workers=1, objects=False)
    again = cd.read(tmp_path / "coco")
    assert again.categories == ("hole", "thread")
    assert len(again) == len(holes)
    by_name = {Path(sample.image_path).stem: sample for sample in again}
    for sample in holes:
        assert (by_name[sample.id].mask() == sample.mask()).all()
    assert holes.stats(workers=1).images == len(holes)
    assert holes.preview(tmp_path / "sheet.png", n=4).ids[0] == holes[0].id


def test_samples_know_their_root_and_are_equal_without_it(hostile_shapes: Path, tmp_path: Path) -> None:
    dataset = cd.read(hostile_shapes)
    moved = replace(dataset, root=tmp_path)
    assert all(sample.root == hostile_shapes for sample in dataset)
    assert all(sample.root == tmp_path for sample in moved)
    assert moved.samples == dataset.samples
    assert hash(moved[0]) == hash(dataset[0])
    assert moved.fingerprint() == dataset.fingerprint()
    assert pickle.loads(pickle.dumps(dataset[0])).root == hostile_shapes


def test_a_large_data_set_is_bound_at_once() -> None:
    samples = tuple(Sample(f"{n:06}", f"{n}.png", GOOD, 8, 8) for n in range(100_000))
    start = time.process_time()
    dataset = cd.Dataset(Path("a"), "d", samples, ())
    assert time.process_time() - start < 1
    start = time.process_time()
    assert len(dataset[:50_000]) == 50_000
    assert time.process_time() - start < 2


def test_repr_is_short(hostile_shapes: Path) -> None:
    dataset = cd.read(hostile_shapes)
    assert repr(dataset) == f"Dataset('shäpes and spaces', {len(dataset)} images, 3 classes, mvtec)"
    assert repr(dataset[:1]) == "Dataset('shäpes and spaces', 1 image, 1 class, mvtec)"
    assert len(repr(dataset[0])) < 120


def test_a_notebook_shows_counts_and_bounded_pictures(tmp_path: Path) -> None:
    root = write_mvtec(tmp_path / "d", {f"{n:02}": ("hole", np.eye(40, dtype=bool)) for n in range(20)}, good=2)
    evil = "<b>'\"&"
    dataset = cd.read(root)
    side: Side = "test"
    named = replace(
        dataset,
        name=evil,
        samples=tuple(
            replace(s, id=f"{evil}{s.id}", class_name=evil if s.class_name == "hole" else GOOD) for s in dataset
        ),
        categories=(evil,),
        splits={evil: Split(evil, {}), "main": Split("main", {f"{evil}{s.id}": side for s in dataset})},
    )
    html = named._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    assert len(pictures) == 12
    assert len(html) < 12 * 30_000
    assert "<th>test</th>" in html
    assert "<td>20</td>" in html
    for picture in pictures:
        pixels = cv2.imdecode(np.frombuffer(base64.b64decode(picture), np.uint8), cv2.IMREAD_UNCHANGED)
        assert max(pixels.shape[:2]) <= 128


def test_a_notebook_shows_a_sample_with_its_outline(tmp_path: Path) -> None:
    image = np.full((1200, 2400), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    mask = np.zeros_like(image, dtype=bool)
    mask[700, 1300] = True
    html = _one(tmp_path, "a.png", mask)._repr_html_()
    (picture,) = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(picture), np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (256, 512, 3)
    assert pixels.max() > 150  # the single pixel of the defect is marked at the size shown
    (tmp_path / "a.png").unlink()
    gone = cd.Dataset(tmp_path, "d", (Sample("a", "a.png", GOOD, 2, 2),), ())
    assert "the file is missing" in gone._repr_html_()
    assert "<img" not in gone._repr_html_()
    assert cd.Dataset(tmp_path, "d", (), ())._repr_html_()


def test_index_masks_have_their_own_instances(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((2, 4), np.uint8))
    cv2.imwrite(str(tmp_path / "mask.png"), np.array([[1, 1, 2, 0], [1, 2, 2, 0]], np.uint8))
    sample = Sample("a", "a.png", "mixed", 4, 2, IndexFile("mask.png", ((1, "hole"), (2, "thread"))))
    found = cd.Dataset(tmp_path, "d", (sample,), ("hole", "thread"))[0].instances()
    assert [(each.class_name, each.bbox, each.area) for each in found] == [
        ("hole", (0, 0, 2, 2), 3),
        ("thread", (1, 0, 2, 2), 3),
    ]
