"""Folders, classes and masks as other people name them, and hints that work when they are followed to the letter."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from helpers.trees import HEIGHT, WIDTH, files, image, mask

from carpet_data.core.images import write_png
from carpet_data.diagnosis.doctor import doctor
from carpet_data.errors import DataError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.export import export
from carpet_data.formats.folders import good_names
from carpet_data.preparation.prepare import prepare

SKIP = ReadOptions(skip_faulty=True)
NUMBERS = range(3)


def photo(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, np.random.default_rng(seed).integers(40, 200, (HEIGHT, WIDTH), np.uint8))


def mvtec(root: Path, good: str, bad: str = "hole", truth: str = "ground_truth", mask_name: str = "{}_mask") -> Path:
    return files(
        root,
        [*(f"train/{good}/{n}.png" for n in range(8)), *(f"test/{bad}/{n}.png" for n in NUMBERS), f"test/{good}/0.png"],
        [f"{truth}/{bad}/{mask_name.format(n)}.png" for n in NUMBERS],
    )


def classes(root: Path, **options: object) -> dict[str, int]:
    names = [sample.class_name for sample in read(root, ReadOptions(**options)).samples]  # type: ignore[arg-type]
    return {name: names.count(name) for name in sorted(set(names))}


def refused(root: Path, **options: object) -> DataError:
    with pytest.raises(DataError) as caught:
        read(root, ReadOptions(**options))  # type: ignore[arg-type]
    return caught.value


def followed(hint: str) -> tuple[Path, dict[str, str]]:
    """The folder and the options of a command in a hint."""
    words = shlex.split(hint)
    start = words.index("doctor") + 1
    flags = words[start + 1 :]
    names = {"--from": "format"}
    return Path(words[start]), {
        names.get(flag, flag.strip("-").replace("-", "_")): value.rstrip(",")
        for flag, value in zip(flags[::2], flags[1::2], strict=False)
        if flag.startswith("--")
    }


@pytest.mark.parametrize(
    "good",
    [
        "gut",
        "i.O.",
        "正常",
        "合格",
        "No Defect",
        "defect_free",
        "defect-free",
        "OK",
        "Good Parts",
        "ok_front",
        "Ohne Fehler",
    ],
)
def test_the_good_class_in_other_words(good: str, tmp_path: Path) -> None:
    assert classes(mvtec(tmp_path / "set", good)) == {"good": 9, "hole": 3}


@pytest.mark.parametrize(
    "bad", ["n.i.O.", "not ok", "not_good", "abnormal", "defect", "nok", "Loch", "no_thread", "不良"]
)
def test_no_defect_class_is_taken_for_good(bad: str, tmp_path: Path) -> None:
    assert good_names([bad]) == frozenset()
    assert classes(mvtec(tmp_path / "set", "ok", bad)) == {"good": 9, bad: 3}


@pytest.mark.parametrize("truth", ["ground truth", "Ground Truth", "msk", "Masken", "GT", "masks"])
def test_folders_of_masks_in_other_words(truth: str, tmp_path: Path) -> None:
    assert classes(mvtec(tmp_path / "set", "good", truth=truth)) == {"good": 9, "hole": 3}


@pytest.mark.parametrize(("images", "masks"), [("img", "msk"), ("Bilder", "Masken"), ("images", "ground truth")])
def test_pairs_of_folders_in_other_words(images: str, masks: str, tmp_path: Path) -> None:
    root = files(tmp_path, [f"{images}/{n}.png" for n in range(5)], [f"{masks}/{n}.png" for n in NUMBERS])
    assert classes(root) == {"defect": 3, "good": 2}


@pytest.mark.parametrize("ending", ["_segmentation", "_ground_truth", "_groundtruth", "_msk"])
def test_endings_of_masks_in_other_words(ending: str, tmp_path: Path) -> None:
    root = files(tmp_path, [f"im{n}.png" for n in range(5)], [f"im{n}{ending}.png" for n in NUMBERS])
    assert classes(root) == {"defect": 3, "good": 2}


def test_a_class_without_any_mask_may_be_the_good_one(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "set", "negative", "positive")
    problems = doctor(root, workers=1).of("mask-missing")
    assert len(problems) == 9
    assert problems[0].hint == "draw the masks; if negative means good, rename its folders to good"
    for side in ("train", "test"):
        (root / side / "negative").rename(root / side / "good")
    assert doctor(root, workers=1).exit_code == 0


@pytest.mark.parametrize("to", ["coco", "yolo", "voc", "mvtec", "masks"])
def test_a_side_may_lose_all_of_its_images(to: str, tmp_path: Path) -> None:
    root = mvtec(tmp_path / "set", "negative", "positive")
    done = export(root, to, tmp_path / "out", read_options=SKIP, workers=1)
    assert (done.images, len(done.skipped)) == (3, 9)


def test_an_image_without_a_mask_where_good_ones_have_an_empty_one(tmp_path: Path) -> None:
    root = files(tmp_path / "set", [f"images/{n}.png" for n in range(6)], [f"masks/{n}.png" for n in NUMBERS])
    mask(root / "masks/4.png", value=0)
    mask(root / "masks/5.png", value=0)
    error = refused(root)
    assert "images/3.png" in str(error)
    assert "other good images have an empty one" in str(error)
    assert [each.where for each in doctor(root, workers=1).of("mask-missing")] == ["images/3.png"]
    with pytest.raises(DataError):
        prepare(root, tmp_path / "prepared", workers=1, near_duplicates=False)
    dataset = read(root, SKIP)
    assert (len(dataset), [error.where for error in dataset.skipped]) == (5, [str(root / "images/3.png")])
    # The hint works.
    mask(root / "masks/3.png", value=0)
    assert classes(root) == {"defect": 3, "good": 3}
    assert doctor(root, workers=1).exit_code == 0


def test_an_image_without_an_index_mask_where_good_ones_have_an_empty_one(tmp_path: Path) -> None:
    root = files(tmp_path / "set", [f"images/{n}.png" for n in range(6)])
    for number in (0, 1, 2, 4, 5):
        mask(root / f"masks/{number}.png", value=int(number < 3))
    assert "images/3.png" in str(refused(root, mask_classes="1=hole"))
    assert len(doctor(root, ReadOptions(mask_classes="1=hole"), workers=1).of("mask-missing")) == 1
    assert classes(root, mask_classes="1=hole", skip_faulty=True) == {"good": 2, "hole": 3}


def test_few_empty_masks_are_no_rule(tmp_path: Path) -> None:
    root = files(tmp_path, [f"images/{n}.png" for n in range(9)], [f"masks/{n}.png" for n in NUMBERS])
    mask(root / "masks/4.png", value=0)
    assert classes(root) == {"defect": 3, "good": 6}
    assert doctor(root, workers=1).exit_code == 0


def test_who_says_that_a_missing_mask_means_good_is_believed(tmp_path: Path) -> None:
    root = files(tmp_path, [f"images/{n}.png" for n in range(6)], [f"masks/{n}.png" for n in NUMBERS])
    mask(root / "masks/4.png", value=0)
    mask(root / "masks/5.png", value=0)
    assert classes(root, class_from_mask=True) == {"defect": 3, "good": 3}


def sides(root: Path, masked: str, bare: str) -> Path:
    return files(
        root,
        [f"{side}/images/{side}{n}.png" for side in (masked, bare) for n in range(5)],
        [f"{masked}/masks/{masked}{n}.png" for n in NUMBERS],
    )


@pytest.mark.parametrize("bare", ["test", "val", "Validation"])
def test_a_side_without_any_mask_where_train_has_some(bare: str, tmp_path: Path) -> None:
    root = sides(tmp_path / "set", "train", bare)
    assert f"{bare}/images/{bare}0.png" in str(refused(root))
    assert len(doctor(root, workers=1).of("mask-missing")) == 1
    assert classes(root, skip_faulty=True) == {"defect": 3, "good": 2}
    # The hint works: a folder says that they are good.
    (root / bare / "images").rename(root / bare / "good")
    (root / bare / "images").mkdir()
    (root / bare / "good").rename(root / bare / "images" / "good")
    assert classes(root) == {"defect": 3, "good": 7}


def test_train_may_be_all_good(tmp_path: Path) -> None:
    assert classes(sides(tmp_path, "test", "train")) == {"defect": 3, "good": 7}


@pytest.mark.parametrize(("images", "masks"), [("input", "target"), ("图像", "掩膜"), ("a b", "c d")])
def test_the_hint_names_both_folders(images: str, masks: str, tmp_path: Path) -> None:
    root = tmp_path / "a set"
    for number in range(5):
        photo(root / f"{images}/{number}.png", number)
    files(root, masks=[f"{masks}/{number}.png" for number in NUMBERS])
    problem = doctor(root, ReadOptions(format="folder"), workers=1).of("roles-doubtful")[0]
    assert problem.hint is not None
    place, options = followed(problem.hint)
    assert place == root
    assert classes(place, **options) == {"defect": 3, "good": 2}


def test_predictions_beside_are_never_offered_as_images(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "set", "good")
    files(root, masks=[f"predictions/hole/{number}.png" for number in NUMBERS])
    error = refused(root)
    assert "--class-by" not in str(error)
    assert "move predictions/ out of it" in str(error)
    (root / "predictions").rename(tmp_path / "predictions")
    assert classes(root) == {"good": 9, "hole": 3}


def test_images_without_masks_are_not_offered_as_a_class(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "set", "good")
    files(root, [f"unlabeled/{number}.png" for number in range(4)])
    error = refused(root)
    assert "--from folder" not in str(error)
    assert "move unlabeled/ out of it" in str(error)


def test_masks_are_not_offered_to_another_side(tmp_path: Path) -> None:
    names = [*(f"train/{n}.png" for n in range(4)), *(f"test/{n}.png" for n in NUMBERS)]
    root = files(tmp_path / "set", names, [f"ground_truth/{n}.png" for n in NUMBERS])
    error = refused(root)
    assert "--images-dir train" not in str(error)
    assert error.hint is not None
    place, options = followed(error.hint)
    assert classes(place, **options) == {"defect": 3}


def test_a_file_of_classes_beside_index_masks_is_named(tmp_path: Path) -> None:
    root = files(tmp_path / "set", [f"images/{n}.png" for n in range(4)])
    for number in range(4):
        mask(root / f"masks/{number}.png", value=1 + number % 2)
    (root / "classes.txt").write_text("background\nhole\ncut\n", encoding="utf-8")
    hint = refused(root).hint
    assert hint is not None
    place, options = followed(hint.partition(", or ")[0])
    assert classes(place, **options) == {"cut": 2, "hole": 2}
    # One that names other values is of something else.
    (root / "classes.txt").write_text("hole\n", encoding="utf-8")
    assert "classes.txt" not in str(refused(root).hint)


def test_an_expression_for_the_class_needs_no_format(tmp_path: Path) -> None:
    names = [
        f"{date}/{camera}/{name}/{n}.png" for date in "ab" for camera in "cd" for name in ("ok", "nok") for n in "12"
    ]
    files(tmp_path / "set", names)
    assert "2 data sets" in str(refused(tmp_path / "set")) or "4 data sets" in str(refused(tmp_path / "set"))
    assert classes(tmp_path / "set", class_by=r"([^/]+)/[^/]+$") == {"good": 8, "nok": 8}


def test_images_named_by_class_are_not_all_good_by_a_hint(tmp_path: Path) -> None:
    for name in ("Cr_1", "Cr_2", "In_1"):
        image(tmp_path / "set" / f"{name}.png")
    hint = refused(tmp_path / "set").hint
    assert hint is not None
    assert "--class-by" in hint
    assert "if all images are good" in hint
    assert classes(tmp_path / "set", class_by="^([A-Za-z]+)_") == {"Cr": 2, "In": 1}
