"""carpet-data to-coco and check, as people call them, with what people have."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.command import Called
from helpers.shapes import SHAPES, write_mvtec
from PIL import Image

from carpet_data.dataset import IndexFile, Sample
from carpet_data.errors import DataError, UsageError
from carpet_data.formats.coco.check import check
from carpet_data.formats.exports import to_coco

Run = Callable[..., Called]
FEW = {name: (("hole", "thread")[n % 2], SHAPES[name]) for n, name in enumerate(("ring", "point", "diagonal", "comb"))}


@pytest.fixture
def carpet(tmp_path: Path) -> Path:
    return write_mvtec(tmp_path / "carpet", FEW)


def tree(folder: Path) -> dict[str, str]:
    """Path -> hash of every file."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def load(out: Path, part: str = "test") -> dict[str, Any]:
    document: dict[str, Any] = json.loads((out / "annotations" / f"instances_{part}.json").read_text(encoding="utf-8"))
    return document


def test_the_literal_command_works_inside_a_data_folder(
    run: Run, carpet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(carpet)
    monkeypatch.chdir(carpet)
    done = run("to-coco")
    assert done.code == 0, done.err
    out = carpet.parent / "carpet-coco"
    assert sorted(path.name for path in (out / "annotations").iterdir()) == [
        "instances_test.json",
        "instances_train.json",
    ]
    assert "categories: hole, thread" in done.out
    assert tree(carpet) == before
    assert run("check", out, "--against", carpet).code == 0


def test_root_may_come_from_the_environment(
    run: Run, carpet: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CARPET_DATA_ROOT", str(carpet))
    monkeypatch.chdir(tmp_path)
    assert run("to-coco", "-o", tmp_path / "out").code == 0
    monkeypatch.delenv("CARPET_DATA_ROOT")
    nothing = run("to-coco", "-o", tmp_path / "other")
    assert nothing.code == 2
    assert "no data set given" in nothing.err


def test_good_images_are_listed_and_are_no_category(run: Run, carpet: Path, tmp_path: Path) -> None:
    run("to-coco", carpet, "-o", tmp_path / "out")
    train = load(tmp_path / "out", "train")
    assert [image["class_name"] for image in train["images"]] == ["good"]
    assert train["annotations"] == []
    assert [category["name"] for category in train["categories"]] == ["hole", "thread"]
    assert list(train) == ["info", "licenses", "images", "annotations", "categories"]


@pytest.mark.parametrize("kind", ["polygon", "rle"])
def test_byte_identical_for_any_number_of_workers(hostile_shapes: Path, tmp_path: Path, kind: str) -> None:
    for workers, name in ((1, "a"), (2, "b"), (2, "c")):
        to_coco(hostile_shapes, tmp_path / name, segmentation=kind, workers=workers)  # type: ignore[arg-type]
    assert tree(tmp_path / "a") == tree(tmp_path / "b") == tree(tmp_path / "c")
    text = (tmp_path / "a" / "annotations" / "instances_test.json").read_text(encoding="utf-8")
    assert "date" not in text
    assert str(tmp_path) not in text


def test_images_are_linked_copied_or_left(run: Run, carpet: Path, tmp_path: Path) -> None:
    source = carpet / "test" / "hole" / "ring.png"
    for mode in ("link", "copy"):
        run("to-coco", carpet, "-o", tmp_path / mode, "--images", mode)
        placed = tmp_path / mode / "images" / "test_hole_ring.png"
        assert placed.read_bytes() == source.read_bytes()
        assert placed.samefile(source) == (mode == "link")
    run("to-coco", carpet, "-o", tmp_path / "none", "--images", "none")
    assert not (tmp_path / "none" / "images").exists()
    assert "test/hole/ring.png" in {image["file_name"] for image in load(tmp_path / "none")["images"]}
    assert run("check", tmp_path / "none", "--against", carpet).code == 0


def test_names_that_some_file_system_refuses(run: Run, tmp_path: Path) -> None:
    masks = {"a:b": ("hole", SHAPES["ring"]), "a?b": ("hole", SHAPES["comb"])}
    root = write_mvtec(tmp_path / "data", masks)
    assert run("to-coco", root, "-o", tmp_path / "out").code == 0
    names = sorted(image["file_name"] for image in load(tmp_path / "out")["images"])
    assert [name.startswith("test_hole_a_b-") for name in names] == [True, True]
    assert names == sorted(path.name for path in (tmp_path / "out" / "images").glob("test_*"))
    checked = run("check", tmp_path / "out", "--against", root, "--json").json
    assert (checked["compared"], checked["differing_pixels"], checked["problems"]) == (3, 0, [])


def test_merge_min_area_and_tolerance(run: Run, tmp_path: Path) -> None:
    root = write_mvtec(tmp_path / "data", {"blobs": ("hole", SHAPES["border blobs"] | SHAPES["point"])})
    run("to-coco", root, "-o", tmp_path / "all")
    assert len(load(tmp_path / "all")["annotations"]) == 4
    run("to-coco", root, "-o", tmp_path / "merged", "--merge")
    (merged,) = load(tmp_path / "merged")["annotations"]
    assert merged["area"] == int((SHAPES["border blobs"] | SHAPES["point"]).sum())
    assert run("check", tmp_path / "merged", "--against", root).code == 0  # its info says that it was merged
    damage(tmp_path / "merged", lambda d: d["info"].pop("merge"))
    assert run("check", tmp_path / "merged", "--against", root, "--merge").code == 0
    assert run("check", tmp_path / "merged", "--against", root).code == 1
    large = run("to-coco", root, "-o", tmp_path / "large", "--min-area", 2)
    assert "skipped 1 instance below --min-area" in large.out
    assert len(load(tmp_path / "large")["annotations"]) == 3
    lost = run("check", tmp_path / "large", "--against", root)
    assert lost.code == 1
    assert "1 pixels differ" in lost.out
    assert run("to-coco", root, "-o", tmp_path / "simple", "--tolerance", 2).code == 0
    assert run("to-coco", root, "-o", tmp_path / "x", "--tolerance", 2, "--segmentation", "rle").code == 2
    assert run("to-coco", root, "-o", tmp_path / "x", "--min-area", 0).code == 2


def test_connectivity_four_parts_what_touches_at_a_corner(run: Run, tmp_path: Path) -> None:
    root = write_mvtec(tmp_path / "data", {"line": ("thread", SHAPES["diagonal"])})
    run("to-coco", root, "-o", tmp_path / "eight")
    run("to-coco", root, "-o", tmp_path / "four", "--connectivity", 4)
    assert len(load(tmp_path / "eight")["annotations"]) == 1
    assert len(load(tmp_path / "four")["annotations"]) == 30
    assert run("check", tmp_path / "four", "--against", root, "--connectivity", 4).code == 0
    assert "29 annotations no instance" not in run("check", tmp_path / "four", "--against", root).out
    assert run("check", tmp_path / "four", "--against", root).code == 1


def test_an_output_with_something_in_it_is_kept(run: Run, carpet: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    refused = run("to-coco", carpet, "-o", out)
    assert refused.code == 1
    assert "not empty" in refused.err
    assert "--overwrite" in refused.err
    assert (out / "mine.txt").read_text() == "mine"
    foreign = run("to-coco", carpet, "-o", out, "--overwrite")
    assert foreign.code == 1
    assert "holds something else" in foreign.err
    assert (out / "mine.txt").read_text() == "mine"
    (out / "mine.txt").unlink()
    assert run("to-coco", carpet, "-o", out).code == 0
    assert run("to-coco", carpet, "-o", out, "--overwrite").code == 0


def test_the_output_cannot_lie_in_the_source(run: Run, carpet: Path) -> None:
    before = tree(carpet)
    for out in (carpet, carpet / "coco", carpet.parent):
        refused = run("to-coco", carpet, "-o", out, "--overwrite")
        assert refused.code == 2
        assert "overlaps the source" in refused.err
    assert tree(carpet) == before


def test_a_failure_leaves_the_old_output_whole(run: Run, carpet: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("to-coco", carpet, "-o", out)
    before = tree(out)
    (carpet / "ground_truth" / "hole" / "ring_mask.png").write_bytes(b"broken")
    failed = run("to-coco", carpet, "-o", out, "--overwrite")
    assert failed.code == 1
    assert "ring_mask.png" in failed.err
    assert "hint:" in failed.err
    assert tree(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["carpet", "out"]


def test_a_killed_export_leaves_the_old_output_whole(tmp_path: Path) -> None:
    blobs = {f"{n:03}": ("hole", SHAPES["sieve"]) for n in range(300)}
    root = write_mvtec(tmp_path / "data", blobs)
    out = tmp_path / "out"
    to_coco(root, out, workers=1)
    before = tree(out)
    command = [
        sys.executable,
        "-m",
        "carpet_data",
        "to-coco",
        str(root),
        "-o",
        str(out),
        "--overwrite",
        "--workers",
        "1",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not list(tmp_path.glob(".out.*.partial/annotations")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert tree(out) == before


def test_faults_are_collected(run: Run, carpet: Path, tmp_path: Path) -> None:
    small = np.zeros((5, 5), np.uint8)
    cv2.imwrite(str(carpet / "ground_truth" / "hole" / "ring_mask.png"), small)
    low = cv2.imread(str(carpet / "ground_truth" / "thread" / "point_mask.png"), cv2.IMREAD_UNCHANGED) // 255
    cv2.imwrite(str(carpet / "ground_truth" / "thread" / "point_mask.png"), low)
    (carpet / "ground_truth" / "thread" / "comb_mask.png").unlink()
    failed = run("to-coco", carpet, "-o", tmp_path / "out", "--json")
    assert failed.code == 1
    faults = failed.json["problems"]
    said = {Path(fault["where"]).name: fault["what"] for fault in faults}
    assert "5x5" in said["ring_mask.png"]
    assert "largest value is 1" in said["point_mask.png"]
    assert "no mask" in said["comb.png"]
    assert all(fault["hint"] for fault in faults)
    assert not (tmp_path / "out").exists()


def test_low_values_count_when_asked_for(run: Run, tmp_path: Path) -> None:
    root = write_mvtec(tmp_path / "data", {"ring": ("hole", SHAPES["ring"])})
    path = root / "ground_truth" / "hole" / "ring_mask.png"
    cv2.imwrite(str(path), SHAPES["ring"].astype(np.uint8))
    assert run("to-coco", root, "-o", tmp_path / "out", "--threshold", 1).code == 0
    assert load(tmp_path / "out")["annotations"][0]["area"] == int(SHAPES["ring"].sum())


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "1", "I;16", "LA"])
def test_masks_of_every_kind(run: Run, tmp_path: Path, mode: str) -> None:
    root = write_mvtec(tmp_path / "data", {"ring": ("hole", SHAPES["ring"])})
    mask = Image.fromarray(SHAPES["ring"].astype(np.uint8) * 255)
    path = root / "ground_truth" / "hole" / "ring_mask.png"
    if mode == "I;16":
        Image.fromarray(SHAPES["ring"].astype(np.uint16) * 65535).save(path)
    else:
        mask.convert(mode).save(path)
    assert run("to-coco", root, "-o", tmp_path / "out").code == 0
    assert load(tmp_path / "out")["annotations"][0]["area"] == int(SHAPES["ring"].sum())
    assert run("check", tmp_path / "out", "--against", root).code == 0


def test_an_unreadable_source_and_a_missing_one(run: Run, tmp_path: Path) -> None:
    missing = run("to-coco", tmp_path / "nowhere", "-o", tmp_path / "out")
    assert missing.code == 1
    assert "nowhere" in missing.err
    (tmp_path / "empty").mkdir()
    empty = run("to-coco", tmp_path / "empty", "-o", tmp_path / "out")
    assert empty.code == 1
    assert "hint:" in empty.err


def test_unknown_split(run: Run, carpet: Path, tmp_path: Path) -> None:
    refused = run("to-coco", carpet, "-o", tmp_path / "out", "--split", "fold9")
    assert refused.code == 2
    assert "there are: source" in refused.err


def test_touching_instances_and_several_types_survive(tmp_path: Path) -> None:
    """An instance-index mask: two holes that touch, and a thread beside them, in one image."""
    values = np.zeros((40, 60), np.uint8)
    values[5:20, 5:20], values[5:20, 20:40], values[25:27, 3:55] = 1, 2, 3
    root = tmp_path / "data"
    (root / "masks").mkdir(parents=True)
    cv2.imwrite(str(root / "masks" / "a.png"), values)
    cv2.imwrite(str(root / "a.png"), values * 60)
    from carpet_data.formats.tree import from_samples

    annotation = IndexFile("masks/a.png", ((1, "hole"), (2, "hole"), (3, "thread")))
    dataset = from_samples(
        [Sample("a", "a.png", "combined", 60, 40, annotation)], root=root, name="mixed", format="test"
    )
    to_coco(dataset, tmp_path / "out", workers=1)
    document = load(tmp_path / "out", "all")
    assert [(a["category_id"], a["area"]) for a in document["annotations"]] == [(1, 225), (1, 300), (2, 104)]
    assert check(tmp_path / "out", dataset, workers=1).problems == ()
    # Read back by our own reader, written again, the instances are the same.
    again = to_coco(tmp_path / "out", tmp_path / "again", workers=1)
    assert again.categories == ("hole", "thread")
    written = load(tmp_path / "again", next(iter(again.parts)))
    keys = ("category_id", "bbox", "area", "segmentation")
    assert [[a[k] for k in keys] for a in written["annotations"]] == [
        [a[k] for k in keys] for a in document["annotations"]
    ]


def test_python_errors_are_the_same() -> None:
    with pytest.raises(UsageError, match="--tolerance"):
        to_coco(Path("x"), tolerance_px=-1)
    with pytest.raises(UsageError, match="invalid --images value 'ln'"):
        to_coco(Path("x"), images="ln")  # type: ignore[arg-type]
    with pytest.raises(DataError):
        to_coco(Path("no such folder"))


# check


def damage(out: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    path = out / "annotations" / "instances_test.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def put(document: dict[str, Any], kind: str, key: str, value: object) -> None:
    document[kind][0][key] = value


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: put(d, "annotations", "area", 1), "coco-area"),
        (lambda d: put(d, "annotations", "bbox", [0, 0, 5, 5]), "coco-box"),
        (lambda d: put(d, "annotations", "image_id", 99), "coco-reference"),
        (lambda d: put(d, "annotations", "category_id", 99), "coco-reference"),
        (lambda d: put(d, "annotations", "id", 2), "coco-id-repeated"),
        (lambda d: put(d, "annotations", "id", "one"), "coco-id"),
        (lambda d: put(d, "categories", "id", 0), "coco-id-zero"),
        (lambda d: put(d, "annotations", "segmentation", [[1, 2, 3, 4]]), "coco-segmentation"),
        (lambda d: put(d, "annotations", "segmentation", {"size": [96, 128], "counts": "zzzz"}), "coco-segmentation"),
        (lambda d: put(d, "annotations", "segmentation", {"size": [9, 9], "counts": [81]}), "coco-segmentation"),
        (lambda d: put(d, "annotations", "segmentation", {"size": [96, 128], "counts": [1, 2]}), "coco-segmentation"),
        (lambda d: put(d, "annotations", "segmentation", [["a", "b", "c", "d", "e", "f"]]), "coco-segmentation"),
        (lambda d: put(d, "annotations", "segmentation", None), "coco-segmentation"),
        (lambda d: put(d, "annotations", "segmentation", [[0, 0, 2, 0, 2, 2, 0, 2]]), "coco-pixels"),
        (lambda d: d["annotations"].pop(), "coco-pixels"),
        (lambda d: d["annotations"].append({**d["annotations"][0], "id": 77}), "coco-pixels"),
        (lambda d: put(d, "images", "file_name", "nowhere.png"), "coco-image-missing"),
        (lambda d: put(d, "images", "file_name", "../../carpet/test/hole/ring.png"), "coco-file-name"),
        (lambda d: put(d, "images", "file_name", "/etc/hostname"), "coco-file-name"),
        (lambda d: put(d, "images", "file_name", "C:\\x.png"), "coco-file-name"),
        (lambda d: put(d, "images", "file_name", d["images"][1]["file_name"]), "coco-file-name"),
        (lambda d: put(d, "images", "width", 5), "coco-size"),
        (lambda d: put(d, "images", "height", None), "coco-size"),
    ],
)
def test_check_finds_each_damage(
    run: Run, carpet: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], code: str
) -> None:
    run("to-coco", carpet, "-o", tmp_path / "out")
    damage(tmp_path / "out", change)
    found = run("check", tmp_path / "out", "--against", carpet, "--json")
    assert found.code == 1
    assert code in {problem["code"] for problem in found.json["problems"]}


def test_check_of_a_file_alone(run: Run, carpet: Path, tmp_path: Path) -> None:
    run("to-coco", carpet, "-o", tmp_path / "out")
    alone = run("check", tmp_path / "out" / "annotations" / "instances_test.json")
    assert alone.code == 0
    assert "passed" in alone.out
    assert "differing" not in alone.out
    damage(tmp_path / "out", lambda d: put(d, "annotations", "area", 1))
    failed = run("check", tmp_path / "out")
    assert failed.code == 1
    assert "area is 1" in failed.out
    assert failed.out.rstrip().endswith("failed")


def test_check_names_images_left_out_and_strangers(run: Run, carpet: Path, tmp_path: Path) -> None:
    run("to-coco", carpet, "-o", tmp_path / "out")
    partial = run("check", tmp_path / "out" / "annotations" / "instances_test.json", "--against", carpet)
    assert partial.code == 0
    assert "1 of 5 images of the source are not listed" in partial.out
    other = write_mvtec(tmp_path / "other", {"else": ("hole", SHAPES["ring"])})
    strange = run("check", tmp_path / "out", "--against", other)
    assert strange.code == 1
    assert "no image of the source has this name" in strange.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "line 1"),
        (b"[]", "not an object"),
        (b"{}", "'images'"),
        (b'{"images": 3}', "'images'"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_check_of_what_is_no_coco_file(run: Run, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "ö.json"
    path.write_bytes(content)
    refused = run("check", path)
    assert refused.code == 1
    assert said in refused.err
    assert run("check", tmp_path / "nowhere").code == 1


def test_a_read_only_source_is_enough(run: Run, carpet: Path, tmp_path: Path) -> None:
    before = tree(carpet)
    folders = [carpet, *(path for path in carpet.rglob("*") if path.is_dir())]
    for path in carpet.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert run("to-coco", carpet, "-o", tmp_path / "out", "--images", "copy").code == 0
        assert run("check", tmp_path / "out", "--against", carpet).code == 0
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert tree(carpet) == before


@pytest.mark.real
@pytest.mark.parametrize("kind", ["polygon", "rle"])
@pytest.mark.parametrize("name", ["mvtec/carpet", "mvtec/screw_512", "mtd"])
def test_real_data_come_back_to_the_pixel(
    real_data: Callable[[str], Path], tmp_path: Path, name: str, kind: str
) -> None:
    root = real_data(name)
    to_coco(root, tmp_path / "out", segmentation=kind)  # type: ignore[arg-type]
    found = check(tmp_path / "out", root)
    assert found.differing_pixels == 0
    assert found.compared == {"mvtec/carpet": 16, "mvtec/screw_512": 480, "mtd": 1344}[name]
    assert found.problems == ()


def test_interrupting_says_so(tmp_path: Path) -> None:
    blobs = {f"{n:03}": ("hole", SHAPES["2000 specks"]) for n in range(150)}
    root = write_mvtec(tmp_path / "data", blobs)
    command = [sys.executable, "-m", "carpet_data", "to-coco", str(root), "-o", str(tmp_path / "out"), "--workers", "2"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 20
    while not list(tmp_path.glob(".out.*.partial/images/*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
