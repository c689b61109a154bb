"""`carpet-data stats`, its counts and its plots."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.command import exit_code

from carpet_data.errors import OutputError, ProblemsError, UsageError
from carpet_data.formats import ReadOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.statistics.plots import write_plots
from carpet_data.statistics.stats import stats
from carpet_data.statistics.summary import Distribution, distribution, imbalance

ALL_PLOTS = ["class-counts.png", "defect-areas.png", "defect-boxes.png", "image-sizes.png"]


def save(path: Path, pixels: np.ndarray) -> None:  # type: ignore[type-arg]
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def picture(seed: int, width: int = 40, height: int = 30) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """12 good (one larger), hole: 3 images of areas 4+6, 20 and an empty mask; cut: 1 of the whole first row."""
    root = tmp_path / "cloth"
    for number in range(11):
        save(root / f"train/good/{number:03}.png", picture(number))
    save(root / "test/good/000.png", picture(50, 48, 30))
    masks = {name: np.zeros((30, 40), np.uint8) for name in ("a", "b", "c", "row")}
    masks["a"][5:7, 5:7] = 255
    masks["a"][10:12, 20:23] = 255
    masks["b"][10:14, 10:15] = 255
    masks["row"][0] = 255
    for number, name in enumerate("abc"):
        save(root / f"test/hole/{number:03}.png", picture(60 + number))
        save(root / f"ground_truth/hole/{number:03}_mask.png", masks[name])
    save(root / "test/cut/000.png", picture(70))
    save(root / "ground_truth/cut/000_mask.png", masks["row"])
    return root


def test_counts(root: Path) -> None:
    found = stats(root, workers=1)
    assert (found.images, found.without_defects, found.split, found.sides) == (16, 12, "source", ("train", "test"))
    assert [(each.name, each.images, dict(each.sides)) for each in found.classes] == [
        ("good", 12, {"train": 11, "test": 1}),
        ("hole", 3, {"train": 0, "test": 3}),
        ("cut", 1, {"train": 0, "test": 1}),
    ]
    assert [(each.without_mask, each.empty_masks) for each in found.classes] == [(12, 0), (0, 1), (0, 0)]
    assert (found.imbalance, found.defect_imbalance) == (12, 3)
    assert found.image_sizes == ((40, 30, 15), (48, 30, 1))
    assert found.skipped == ()


def test_instances(root: Path) -> None:
    cut, hole = stats(root, workers=1).defects
    assert (cut.name, cut.images, cut.instances, cut.on_border) == ("cut", 1, 1, 1)
    assert (hole.name, hole.images, hole.instances, hole.on_border) == ("hole", 2, 3, 0)
    assert hole.area_px == Distribution(4, 5, 6, 13, 20)
    assert hole.width_px == Distribution(2, 2.5, 3, 4, 5)
    assert hole.height_px == Distribution(2, 2, 2, 3, 4)
    assert hole.area_percent is not None
    assert hole.area_percent.maximum == pytest.approx(100 * 20 / 1200)
    assert cut.width_px == Distribution(40, 40, 40, 40, 40)


def test_connectivity_is_the_callers(root: Path) -> None:
    mask = np.zeros((30, 40), np.uint8)
    mask[3, 3] = mask[4, 4] = 255
    save(root / "ground_truth/cut/000_mask.png", mask)
    assert [stats(root, ReadOptions(connectivity=how), workers=1).defects[0].instances for how in (4, 8)] == [2, 1]


def test_a_prepared_folder_counts_the_named_split(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "prepared"
    prepare(root, out, workers=1)
    found = stats(out, workers=1)
    assert (found.format, found.split, found.images) == ("prepared", "main", 16)
    assert sum(each.sides["train"] for each in found.classes) > 8
    assert stats(out, split="main", workers=1).to_json() == found.to_json()
    with pytest.raises(UsageError, match="unknown split 'other'"):
        stats(out, split="other")


def test_a_mask_that_cannot_be_read_is_an_error_or_skipped_and_named(root: Path) -> None:
    (root / "ground_truth/cut/000_mask.png").write_bytes(b"no image")
    with pytest.raises(ProblemsError, match=r"000_mask\.png"):
        stats(root, workers=1)
    found = stats(root, ReadOptions(skip_faulty=True), workers=1)
    assert found.images == 15
    assert [error.where for error in found.skipped] == [str(root / "test/cut/000.png")]
    assert "000_mask.png" in found.skipped[0].what


def test_the_number_of_workers_changes_nothing(root: Path) -> None:
    for number in range(40):
        save(root / f"train/good/more{number}.png", picture(100 + number))
    assert stats(root, workers=1).to_json() == stats(root, workers=2).to_json()


def test_nothing_has_no_distribution() -> None:
    assert distribution([]) is None
    assert imbalance([5]) is None
    assert imbalance([0, 5]) is None
    assert imbalance([2, 5]) == 2.5


def run(*arguments: object) -> int:
    return exit_code("stats", *arguments, "--workers", 1)


def test_text(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(root)) == 0
    out = capsys.readouterr().out
    head = "cloth (mvtec): 16 images, 12 without defects; largest class 12.0 times the smallest (among defects 3.0)"
    assert out.splitlines()[0] == head
    assert [line.split() for line in out.splitlines() if line.strip().startswith("hole")][:2] == [
        ["hole", "0", "3", "3", "0", "1"],
        ["hole", "2", "3", "0", "4", "5", "6", "13", "20"],
    ]
    assert "40x30 (15), 48x30 (1)" in out
    assert "\x1b" not in out


def test_json(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(root), "--json", "--plot", str(tmp_path / "plots")) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["images"] == 16
    assert values["defects"][1]["area_px"]["median"] == 6
    assert [Path(path).name for path in values["plots"]] == ALL_PLOTS


def test_a_split_that_is_not_there_is_wrong_use(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(root), "--split", "fold9") == 2
    assert "source" in capsys.readouterr().err


def ink(path: Path) -> float:
    """The share of pixels that are not white; 0 along the frame, where cut labels would stand."""
    pixels = cv2.imread(str(path))
    assert pixels is not None
    frame = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (frame == 255).all(), f"{path.name}: something is cut off at the edge"
    return float((pixels < 255).any(axis=2).mean())


def test_plots_are_drawn_and_nothing_is_cut_off(root: Path, tmp_path: Path) -> None:
    found = stats(root, workers=1)
    paths = write_plots(found, tmp_path / "plots")
    assert [path.name for path in paths] == ALL_PLOTS
    assert all(ink(path) > 0.01 for path in paths)
    again = write_plots(found, tmp_path / "again")
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    with pytest.raises(OutputError):
        write_plots(found, tmp_path / "plots")
    write_plots(found, tmp_path / "plots", overwrite=True)
    for place in (root, root / "plots", tmp_path):
        with pytest.raises(UsageError):
            write_plots(found, place, overwrite=True)


@pytest.mark.parametrize(
    "case", ["one class", "one image", "empty masks only", "one defect", "many classes", "odd names", "no good"]
)
def test_unusual_data_can_be_plotted(root: Path, tmp_path: Path, case: str) -> None:
    mask = np.zeros((30, 40), np.uint8)
    if case in ("one class", "one image"):
        shutil.rmtree(root / "test")
        shutil.rmtree(root / "ground_truth")
        for path in sorted((root / "train/good").iterdir())[1 if case == "one image" else 99 :]:
            path.unlink()
    elif case == "empty masks only":
        for path in (root / "ground_truth").rglob("*.png"):
            save(path, mask)
    elif case == "one defect":
        shutil.rmtree(root / "test/hole")
        shutil.rmtree(root / "ground_truth/hole")
        mask[7, 7] = 255
        save(root / "ground_truth/cut/000_mask.png", mask)
    elif case in ("many classes", "odd names"):
        mask[3:9, 3:9] = 255
        names = [f"type {number}" for number in range(40)]
        if case == "odd names":
            names = ["a_{b}$^2$", "_hidden", "x" * 120, r"\alpha$", "[bold]", "größe", "孔"]
        for number, name in enumerate(names):
            save(root / f"test/{name}/000.png", picture(500 + number))
            save(root / f"ground_truth/{name}/000_mask.png", mask)
    else:
        shutil.rmtree(root / "train")
        shutil.rmtree(root / "test/good")
    found = stats(root, workers=1)
    paths = write_plots(found, tmp_path / "plots")
    with_defects = case not in ("one class", "one image", "empty masks only")
    assert [path.name for path in paths] == (ALL_PLOTS if with_defects else [ALL_PLOTS[0], ALL_PLOTS[3]])
    assert all(ink(path) > 0.005 for path in paths)
