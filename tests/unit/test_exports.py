"""What the exports have in common: outputs that appear whole, the same bytes for any number of workers, faults."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.shapes import SHAPES, write_mvtec

from carpet_data.core.images import write_png
from carpet_data.dataset import Dataset, MaskFile, Sample
from carpet_data.errors import DataError, OutputError, ProblemsError, UsageError
from carpet_data.formats import ReadOptions
from carpet_data.formats.exports import to_folder, to_masks, to_mvtec, to_voc, to_yolo
from carpet_data.formats.mvtec import ad
from carpet_data.formats.voc import color_map
from carpet_data.formats.yolo import writer as yolo
from carpet_data.preparation.prepare import prepare
from carpet_data.store.output import fresh_folder

Verb = Callable[..., Any]
VERBS: tuple[Verb, ...] = (to_yolo, to_voc, to_folder, to_mvtec, to_masks)
MASKED = (to_yolo, to_voc, to_mvtec, to_masks)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 20 small images: more than the chunk of one worker."""
    names = ("point", "ring", "nested rings", "diagonal", "border blobs", "full image")
    masks = {f"{name} {turn}": (("hole", "cut")[turn], SHAPES[name]) for name in names for turn in (0, 1)}
    return write_mvtec(tmp_path_factory.mktemp("exports") / "data", masks, good=8)


def _read(root: Path) -> Dataset:
    return ad.read(root, ReadOptions())


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("[!.]*"))
        if path.is_file()
    }


@pytest.mark.parametrize("verb", VERBS)
def test_the_same_bytes_for_any_number_of_workers(verb: Verb, source: Path, tmp_path: Path) -> None:
    one = verb(_read(source), tmp_path / "one", workers=1)
    two = verb(_read(source), tmp_path / "two", workers=2)
    assert _hashes(one.out) == _hashes(two.out)
    assert one.files == len(_hashes(one.out))
    assert one.images == 20
    assert replace(one, out=two.out) == two


@pytest.mark.parametrize("verb", VERBS)
def test_sources_stay_as_they_are(verb: Verb, source: Path, tmp_path: Path) -> None:
    before = _hashes(source)
    verb(_read(source), tmp_path / "out", workers=1)
    verb(_read(source), tmp_path / "out", images="copy", overwrite=True, workers=1)
    assert _hashes(source) == before


@pytest.mark.parametrize("verb", VERBS)
def test_outputs_are_not_replaced_unasked(verb: Verb, source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        verb(_read(source), tmp_path / "out")
    assert (tmp_path / "out" / "precious").read_text() == "mine"
    with pytest.raises(UsageError, match="overlaps the source"):
        verb(_read(source), source / "export")
    with pytest.raises(UsageError, match="unknown split"):
        verb(_read(source), tmp_path / "new", split="fold7")


@pytest.mark.parametrize("verb", VERBS)
def test_images_are_linked_or_copied(verb: Verb, source: Path, tmp_path: Path) -> None:
    inodes = {path.stat().st_ino for path in source.rglob("*.png")}
    linked = verb(_read(source), tmp_path / "linked", workers=1).out
    copied = verb(_read(source), tmp_path / "copied", images="copy", workers=1).out
    assert sum(path.stat().st_ino in inodes for path in linked.rglob("*.png")) == 20
    assert not any(path.stat().st_ino in inodes for path in copied.rglob("*.png"))
    with pytest.raises(UsageError, match="images"):
        verb(_read(source), tmp_path / "bad", images="moved")


@pytest.mark.parametrize("verb", MASKED)
def test_faults_are_collected_and_leave_the_old_output(verb: Verb, source: Path, tmp_path: Path) -> None:
    dataset = _read(source)
    broken = write_mvtec(tmp_path / "data", {"a": ("hole", SHAPES["ring"]), "b": ("hole", SHAPES["ring"])})
    for name in ("a", "b"):
        write_png(broken / f"ground_truth/hole/{name}_mask.png", np.zeros((5, 5), np.uint8))
    verb(dataset, tmp_path / "out", workers=1)
    before = _hashes(tmp_path / "out")
    with pytest.raises(ProblemsError) as caught:
        verb(_read(broken), tmp_path / "out", overwrite=True)
    assert len(caught.value.problems) == 2
    assert all(fault.hint for fault in caught.value.problems)
    assert _hashes(tmp_path / "out") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out"]


@pytest.mark.parametrize("verb", MASKED)
def test_a_defect_without_a_mask_is_a_fault_or_left_out(verb: Verb, source: Path, tmp_path: Path) -> None:
    whole = _read(source)
    first = next(sample for sample in whole.samples if sample.annotation is not None)
    samples = tuple(replace(s, annotation=None) if s is first else s for s in whole.samples)
    dataset = replace(whole, samples=samples)
    with pytest.raises(ProblemsError, match="has no mask"):
        verb(dataset, tmp_path / "out")
    result = verb(dataset, tmp_path / "out", skip_unmasked=True, workers=1)
    assert result.images == 19
    assert not any(first.id in name for name in _hashes(result.out))
    assert "skipped 1 image without a mask" in result.notes


@pytest.mark.parametrize("verb", [to_yolo, to_voc, to_masks])
def test_small_instances_are_left_out_and_counted(verb: Verb, source: Path, tmp_path: Path) -> None:
    everything = verb(_read(source), tmp_path / "all", workers=1)
    larger = verb(_read(source), tmp_path / "larger", min_area=2, workers=1)
    # "point" and the point inside "nested rings", each in two images.
    assert everything.instances - larger.instances == 4
    assert "skipped 4 instances below --min-area" in larger.notes
    with pytest.raises(UsageError, match="at least 1"):
        verb(_read(source), tmp_path / "bad", min_area=0)


def test_hostile_ids_and_classes_stay_inside(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    write_png(root / "a.png", np.zeros((12, 12), np.uint8))
    write_png(root / "m.png", SHAPES["checkerboard"][:12, :12].astype(np.uint8) * 255)
    samples = tuple(
        Sample(f"../../{name}", "a.png", "../up", 12, 12, annotation=MaskFile("m.png")) for name in ("x", "y")
    )
    dataset = Dataset(root, "d", samples, ("../up",))
    for verb in VERBS:
        result = verb(dataset, tmp_path / "exports" / verb.__name__)
        assert len(_hashes(result.out)) == result.files
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "exports"]
    assert sorted(path.name for path in (tmp_path / "exports").iterdir()) == sorted(verb.__name__ for verb in VERBS)


def test_voc_refuses_what_its_palette_cannot_hold(hostile_shapes: Path, tmp_path: Path) -> None:
    dataset = _read(hostile_shapes)
    with pytest.raises(ProblemsError, match="2000 instances") as caught:
        to_voc(dataset, tmp_path / "voc", workers=1)
    assert "2000 specks" in str(caught.value)
    assert to_voc(dataset, tmp_path / "voc", objects=False, workers=1).instances == 2026
    assert to_voc(dataset, tmp_path / "merged", merge=True, workers=1).instances == 19
    many = replace(dataset, categories=tuple(f"c{number:03}" for number in range(255)))
    with pytest.raises(DataError, match="255 defect types"):
        to_voc(many, tmp_path / "many")
    with pytest.raises(DataError, match="labelmap"):
        to_voc(replace(dataset, categories=("a:b", "hole", "thread")), tmp_path / "colon")


def test_voc_colours_are_the_challenge_s() -> None:
    colors = np.frombuffer(color_map(), np.uint8).reshape(256, 3).tolist()
    # aeroplane, bicycle, tvmonitor and void, as the development kit prints them.
    assert [colors[index] for index in (0, 1, 2, 20, 255)] == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [0, 64, 128],
        [224, 224, 192],
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 96, 127, 224, 1000, 1024, 4099, 16384])
def test_corners_survive_being_written_down(size: int) -> None:
    texts = yolo.corner_texts(size)
    corners = np.arange(size + 1)
    double = np.array([float(text) for text in texts])
    single = double.astype(np.float32) * np.float32(size)
    assert double.min() == 0
    assert double.max() == 1
    for values in (double * size, single):
        np.testing.assert_array_equal(np.floor(values), corners)
        np.testing.assert_allclose(values, corners, atol=0.011)
    assert max(map(len, texts)) <= 12


def test_yolo_refuses_a_tolerance_that_makes_no_sense(source: Path, tmp_path: Path) -> None:
    for arguments in ({"tolerance_px": -1.0}, {"tolerance_px": float("nan")}, {"tolerance_px": 1.0, "task": "boxes"}):
        with pytest.raises(UsageError, match="tolerance"):
            to_yolo(_read(source), tmp_path / "out", **arguments)
    with pytest.raises(UsageError, match="task"):
        to_yolo(_read(source), tmp_path / "out", task="poses")  # type: ignore[arg-type]


def test_yolo_simplifies_when_asked(source: Path, tmp_path: Path) -> None:
    exact = to_yolo(_read(source), tmp_path / "exact", workers=1)
    simple = to_yolo(_read(source), tmp_path / "simple", tolerance_px=2, workers=1)
    assert simple.instances == exact.instances

    def size(folder: Path) -> int:
        return sum(path.stat().st_size for path in folder.rglob("*.txt"))

    assert size(simple.out) < size(exact.out) / 2


def test_results_travel_and_become_json(source: Path, tmp_path: Path) -> None:
    result = to_masks(_read(source), tmp_path / "out", workers=1)
    assert pickle.loads(pickle.dumps(result)) == result
    values = result.to_json()
    counted = {part: (count["images"], count["instances"]) for part, count in values["parts"].items()}
    assert counted == {"train": (8, 0), "test": (12, result.instances)}
    assert values["files"] == 20 + 20 + 3


def test_a_place_that_was_filled_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def write() -> None:
        with fresh_folder(out, overwrite=False) as folder:
            (folder / "mine.txt").write_text("mine")
            out.mkdir()
            (out / "theirs.txt").write_text("theirs")

    with pytest.raises(OutputError, match="not empty"):
        write()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "theirs.txt"]


def test_a_place_that_cannot_be_had_is_named_and_not_a_hidden_one(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="a file is where a folder should be") as caught:
        to_mvtec(_read(source), tmp_path / "file" / "out")
    assert caught.value.where == str(tmp_path / "file" / "out")
    with pytest.raises(OutputError, match="a file is where a folder should be"):
        prepare(source, tmp_path / "file" / "out", workers=1)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "hidden")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(OutputError, match="permission denied") as caught:
        to_mvtec(_read(source), tmp_path / "out")
    assert caught.value.where == str(tmp_path / "out")
    assert caught.value.hint
