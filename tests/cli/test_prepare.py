"""`carpet-data prepare`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.command import exit_code, printed
from helpers.sources import hashes, write_source

from carpet_data import store
from carpet_data.core import masks
from carpet_data.dataset import IndexFile, MaskFile
from carpet_data.formats import read
from carpet_data.preparation.options import GroupOptions
from carpet_data.preparation.prepare import prepare

CARPET = {
    "train/good": 280,
    "test/good": 28,
    "test/color": 19,
    "test/cut": 17,
    "test/hole": 17,
    "test/metal_contamination": 17,
    "test/thread": 19,
}


def run(*words: object) -> str:
    # This process is quicker than starting workers for a handful of images.
    alone = () if "--workers" in words else ("--workers", 1)
    return printed(*words, *alone)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("prepare") / "weave")


@pytest.fixture(scope="module")
def carpet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("carpet") / "carpet", CARPET, size=24)


def test_the_folder_is_what_it_is_said_to_be(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = run("prepare", source, "-o", out)
    assert text.splitlines()[-1] == f"17 images are in {out}"
    assert sorted(path.name for path in out.iterdir()) == [
        "dataset.json",
        "groups.jsonl",
        "images",
        "manifest.jsonl",
        "masks",
        "splits",
    ]
    dataset = read(out)
    raw = read(source)
    assert (dataset.format, dataset.name, dataset.classes) == ("prepared", "weave", ("good", "hole", "thread"))
    assert dataset.categories == raw.categories
    for sample in dataset:
        assert sample.source is not None
        assert sample.image_path == f"images/{sample.class_name}/{sample.id}.png"
        assert (out / sample.image_path).read_bytes() == (source / sample.source).read_bytes()
        assert sample.side == sample.source.split("/")[0]
        if sample.mask_path is not None:
            assert sample.mask_path == f"masks/{sample.class_name}/{sample.id}.png"
            truth = source / "ground_truth" / sample.class_name / f"{Path(sample.source).stem}_mask.png"
            assert (out / sample.mask_path).read_bytes() == truth.read_bytes()
    assert sorted(dataset.splits["main"].sides) == [sample.id for sample in dataset]
    assert list(store.verify(out)) == []


def test_twice_the_same_bytes_with_any_number_of_workers(source: Path, tmp_path: Path) -> None:
    for number, workers in enumerate((1, 2, 3)):
        run("prepare", source, "-o", tmp_path / str(number), "--workers", workers, "-q")
    assert hashes(tmp_path / "0") == hashes(tmp_path / "1") == hashes(tmp_path / "2")


def test_a_moved_folder_still_works(source: Path, tmp_path: Path) -> None:
    run("prepare", source, "-o", tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "moved")
    assert list(store.verify(tmp_path / "moved")) == []
    assert str(tmp_path) not in (tmp_path / "moved" / "dataset.json").read_text()


def test_the_homework_split(carpet: Path, tmp_path: Path) -> None:
    words = ("prepare", carpet, "-o", tmp_path / "out", "--per-class", 17, "--fractions", "0.8", "0.2", "--json")
    values = json.loads(run(*words))
    assert values["samples"] == 397
    main_split = values["splits"]["main"]
    assert set(main_split) == {"good", "color", "cut", "hole", "metal_contamination", "thread"}
    assert all(row == {"train": 13, "test": 4} for row in main_split.values())
    assert read(tmp_path / "out").splits["main"].counts() == {"train": 78, "test": 24}


def test_fractions_are_two_or_three_numbers(source: Path, tmp_path: Path) -> None:
    for number, words in enumerate(
        (["--fractions", "0.5", "0.25", "0.25"], ["--fractions", "0.5,", "0.25,", ".25"], ["--fractions=0.5,0.25,0.25"])
    ):
        out = tmp_path / str(number)
        run("prepare", *words, source, "-o", out)
        assert set(read(out).splits["main"].counts()) == {"train", "val", "test"}
    assert hashes(tmp_path / "0") == hashes(tmp_path / "1") == hashes(tmp_path / "2")


def test_folds(source: Path, tmp_path: Path) -> None:
    values = json.loads(run("prepare", source, "-o", tmp_path / "out", "--k-fold", 3, "--json"))
    assert list(values["splits"]) == ["main", "fold0", "fold1", "fold2"]
    splits = read(tmp_path / "out").splits
    assert splits["main"].sides == splits["fold0"].sides
    tests = [set(splits[f"fold{fold}"].ids("test")) for fold in range(3)]
    assert sum(map(len, tests)) == len(set.union(*tests)) == 17


def test_the_source_protocol_and_pools(source: Path, tmp_path: Path) -> None:
    run("prepare", source, "-o", tmp_path / "a", "--protocol", "source")
    assert read(tmp_path / "a").splits["main"].counts() == {"train": 6, "test": 11}
    run("prepare", source, "-o", tmp_path / "b", "--pool", "test", "--fractions", "0.5", "0.5")
    dataset = read(tmp_path / "b")
    assert len(dataset) == 17
    assert {dataset.by_id()[sample_id].side for sample_id in dataset.splits["main"].sides} == {"test"}


def test_groups_stay_whole(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    copy = source / "test" / "hole" / "900.png"
    copy.write_bytes((source / "train" / "good" / "000.png").read_bytes())
    mask = np.zeros((40, 40), np.uint8)
    mask[3:9, 3:9] = 255
    assert cv2.imwrite(str(source / "ground_truth" / "hole" / "900_mask.png"), mask)
    for seed in range(4):
        out = tmp_path / str(seed)
        words = ("prepare", source, "-o", out, "--seed", seed, "--group-by", r"thread/00([01])", "--json")
        values = json.loads(run(*words))
        assert values["links"] == {"file": 1}
        sides = read(out).splits["main"].sides
        assert sides["test_hole_900"] == sides["train_good_000"]
    runs = ("prepare", source, "-o", tmp_path / "runs", "--group-runs", r"thread/(\d+)", "--gap", 1)
    assert exit_code(*runs) == 1
    run(*runs, "--allow-starved")
    sides = read(tmp_path / "runs").splits["main"].sides
    assert len({sides[f"test_thread_00{number}"] for number in range(4)}) == 1
    assert "do not match the pattern" in run(
        "prepare", source, "-o", tmp_path / "x", "--group-by", "thread/(.)", "--allow-starved"
    )


def test_masks_become_exact(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    truth = source / "ground_truth"
    grey = cv2.imread(str(truth / "hole/000_mask.png"), cv2.IMREAD_UNCHANGED)
    grey[0, :2] = (127, 128)
    cv2.imwrite(str(truth / "hole/000_mask.png"), grey)
    cv2.imwrite(str(truth / "hole/001_mask.png"), cv2.merge([grey, grey, grey]))
    cv2.imwrite(str(truth / "hole/002_mask.png"), (grey.astype(np.uint16) * 257))
    cv2.imwrite(str(truth / "hole/003_mask.png"), np.zeros_like(grey))
    cv2.imwrite(str(truth / "hole/004_mask.bmp"), np.where(grey > 200, 255, 0).astype(np.uint8))
    (truth / "hole/004_mask.png").unlink()
    values = json.loads(run("prepare", source, "-o", tmp_path / "out", "--json"))
    assert values["masks"] == {"binary": 4, "kept": 5, "none": 8}
    assert values["empty_masks"] == ["ground_truth/hole/003_mask.png"]
    assert any("3 masks had gray values and were thresholded at 128" in note for note in values["notes"])
    raw = read(source).by_id()
    for sample in read(tmp_path / "out"):
        ours = masks.load(tmp_path / "out", sample).runs
        theirs = masks.load(source, raw[sample.id]).runs
        assert (ours.column.tolist(), ours.start.tolist(), ours.stop.tolist()) == (
            theirs.column.tolist(),
            theirs.start.tolist(),
            theirs.stop.tolist(),
        )
        if sample.mask_path is not None:
            stored = cv2.imread(str(tmp_path / "out" / sample.mask_path), cv2.IMREAD_UNCHANGED)
            assert stored.dtype == np.uint8
            assert stored.ndim == 2
            assert set(np.unique(stored).tolist()) <= {0, 255}
            assert isinstance(sample.annotation, MaskFile)


def test_touching_instances_and_types_become_an_index_mask(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    (tmp_path / "source" / "annotations").mkdir(parents=True)
    (tmp_path / "source" / "images").mkdir()
    for number in range(3):
        assert cv2.imwrite(
            str(tmp_path / "source" / "images" / f"{number}.png"), np.roll(image, 7 * number, 0)[:, ::-1]
        )

    def box(number: int, image_id: int, category: int, x: int) -> dict[str, object]:
        corners = [x, 2, x + 3, 2, x + 3, 6, x, 6]
        return {
            "id": number,
            "image_id": image_id,
            "category_id": category,
            "segmentation": [corners],
            "bbox": [x, 2, 3, 4],
            "area": 12,
            "iscrowd": 0,
        }

    coco = {
        "images": [{"id": n + 1, "file_name": f"{n}.png", "width": 20, "height": 20} for n in range(3)],
        "categories": [{"id": 1, "name": "cut"}, {"id": 2, "name": "hole"}],
        # Image 1: two of one type that touch. Image 2: two types. Image 3: two of one type, apart.
        "annotations": [
            box(1, 1, 1, 2),
            box(2, 1, 1, 5),
            box(3, 2, 1, 2),
            box(4, 2, 2, 12),
            box(5, 3, 2, 2),
            box(6, 3, 2, 12),
        ],
    }
    (tmp_path / "source" / "annotations" / "instances_train.json").write_text(json.dumps(coco))
    prepare(tmp_path / "source", tmp_path / "out", group_options=GroupOptions(near_duplicates=False), workers=1)
    kinds = {}
    for sample in read(tmp_path / "out"):
        regions = masks.find(masks.load(tmp_path / "out", sample))
        kinds[sample.source] = (type(sample.annotation), sorted(regions.class_names), regions.area.tolist())
    assert kinds == {
        "images/0.png": (IndexFile, ["cut", "cut"], [12, 12]),
        "images/1.png": (IndexFile, ["cut", "hole"], [12, 12]),
        "images/2.png": (MaskFile, ["hole", "hole"], [12, 12]),
    }
    assert list(store.verify(tmp_path / "out")) == []


def test_hostile_names_and_shapes(hostile_shapes: Path, tmp_path: Path) -> None:
    run("prepare", hostile_shapes, "-o", tmp_path / "out")
    raw = {sample.image_path: sample for sample in read(hostile_shapes)}
    dataset = read(tmp_path / "out")
    assert len(dataset) == len(raw)
    for sample in dataset:
        assert sample.source is not None
        ours, theirs = (
            masks.load(root, s) for root, s in ((tmp_path / "out", sample), (hostile_shapes, raw[sample.source]))
        )
        assert ours.runs.column.tolist() == theirs.runs.column.tolist()
        assert ours.runs.start.tolist() == theirs.runs.start.tolist()
        assert ours.runs.stop.tolist() == theirs.runs.stop.tolist()


def test_a_dry_run_writes_nothing(source: Path, tmp_path: Path) -> None:
    text = run("prepare", source, "-o", tmp_path / "out", "--dry-run")
    assert "17 images would be prepared as" in text
    assert "hole" in text
    assert list(tmp_path.iterdir()) == []


def test_the_default_output_is_beside_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_source(tmp_path / "weave")
    monkeypatch.chdir(source)
    run("prepare", "-q")
    assert store.is_prepared(tmp_path / "weave-prepared")


def test_exit_codes_and_errors(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    cases: list[tuple[list[str], int, str]] = [
        (["prepare", str(tmp_path / "none"), "-o", out], 1, "no such file"),
        (["prepare", str(source), "-o", out, "--fractions", "0.8", "0.3"], 2, "sum to 1.1"),
        (["prepare", str(source), "-o", out, "--fractions", "half"], 2, "not a valid float"),
        (
            ["prepare", str(source), "-o", out, "--fractions", "0.4", "0.3", "0.2", "0.1"],
            2,
            "unexpected extra argument",
        ),
        (["prepare", str(source), "-o", out, "--fractions"], 2, "requires an argument"),
        (["prepare", str(source), "-o", out, "--k-fold", "2", "--k-shot", "1"], 2, "different ways"),
        (["prepare", str(source), "-o", str(source)], 2, "overlaps the source"),
    ]
    for words, code, told in cases:
        assert exit_code(*words) == code
        output = capsys.readouterr()
        assert told in output.err
        assert "Traceback" not in output.err
    assert exit_code(*cases[0][0], "--json") == 1
    assert json.loads(capsys.readouterr().out)["error"] == "DataError"


def test_help_is_quick_and_has_an_example() -> None:
    for command in ("prepare", "split", "groups"):
        code = (
            "import sys; from carpet_data.cli.app import app;"
            f"app(['{command}', '--help'], standalone_mode=False);"
            "print('heavy:', [m for m in ('cv2', 'numpy', 'pydantic', 'PIL') if m in sys.modules])"
        )
        text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert "Example:" in text
        assert text.splitlines()[-1] == "heavy: []"
