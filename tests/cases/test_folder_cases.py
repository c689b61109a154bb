"""Folders of images and masks as people name them: read right where the intent is plain, refused where it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.trees import HEIGHT, WIDTH, coco, files, image, mask
from PIL import Image

from carpet_data.core.images import write_png
from carpet_data.dataset import Dataset
from carpet_data.diagnosis.doctor import doctor
from carpet_data.errors import DataError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.folders import side_of
from carpet_data.formats.reading import detect


def masked(dataset: Dataset) -> dict[str, str | None]:
    """Image -> its class where it has a mask, else None."""
    return {each.image_path: each.class_name if each.annotation is not None else None for each in dataset}


NAMES = ("a", "b", "c")

FLAT = [
    ("images/{}.png", "masks/{}.png"),
    ("Images/{}.png", "MASK/{}.png"),
    ("images/{}.jpg", "masks/{}.png"),
    ("imgs/{}.png", "gt/{}.png"),
    ("images/{}.png", "Label/{}_label.png"),
    ("images/{}.png", "annotations/{}.png"),
    ("images/{}.png", "labels/{}.png"),
    ("images/{}.png", "masks_machine/{}.png"),
    ("images/{}.png", "ground_truth/{}_mask.png"),
    ("images/train/{}.png", "masks/train/{}.png"),
    ("images/training/{}.png", "annotations/training/{}.png"),
    ("train/images/{}.png", "train/masks/{}.png"),
    ("train_images/{}.png", "train_masks/{}.png"),
    ("images_val/{}.png", "masks_val/{}.png"),
    ("{}.png", "{}_mask.png"),
    ("{}.png", "{}_GT.png"),
    ("train/{}.png", "train/{}_label.png"),
]


@pytest.mark.parametrize(("where", "whose"), FLAT, ids=[f"{where} {whose}" for where, whose in FLAT])
def test_images_and_their_masks_without_classes(where: str, whose: str, tmp_path: Path) -> None:
    # In annotations/ every image has a mask: one without is not known to be good.
    with_mask = NAMES if "annotations" in whose else NAMES[:2]
    files(tmp_path, [where.format(name) for name in NAMES], [whose.format(name) for name in with_mask])
    assert detect(tmp_path) in ("folder", "neu-seg")
    dataset = read(tmp_path)
    assert masked(dataset) == {where.format(name): "defect" if name in with_mask else None for name in NAMES}
    assert all(each.mask().sum() == 9 for each in dataset if each.annotation is not None)


CLASSED = [
    ("crack/{}.png", "crack_mask/{}.png"),
    ("Crack/{}.png", "Crack_Masks/{}_mask.png"),
    ("images/crack/{}.png", "masks/crack/{}.png"),
    ("crack/images/{}.png", "crack/masks/{}.png"),
    ("train/crack/{}.png", "train/crack_mask/{}.png"),
]


@pytest.mark.parametrize(("where", "whose"), CLASSED, ids=[f"{where} {whose}" for where, whose in CLASSED])
def test_masks_of_class_folders(where: str, whose: str, tmp_path: Path) -> None:
    files(tmp_path, [where.format(name) for name in NAMES], [whose.format(name) for name in NAMES])
    files(tmp_path, [where.replace("crack", "good").replace("Crack", "good").format(name) for name in NAMES])
    found = masked(read(tmp_path))
    crack = "Crack" if "Crack" in where else "crack"
    assert {image: name for image, name in found.items() if name is not None} == {
        where.format(name): crack for name in NAMES
    }
    assert len(found) == 6


@pytest.mark.parametrize(
    "names",
    [
        ("a_mask1", "a_mask2"),
        ("a_mask", "a_mask_2"),
        ("a_mask_1", "a_mask_2"),
        ("a_mask", "a_mask (1)"),
        ("a_1", "a_2"),
    ],
)
@pytest.mark.parametrize("layout", ["images/{}.png masks/{}.png", "test/hole/{}.png ground_truth/hole/{}.png"])
def test_several_masks_of_an_image_are_united(layout: str, names: tuple[str, str], tmp_path: Path) -> None:
    where, whose = layout.split()
    files(tmp_path, [where.format(name) for name in NAMES])
    image(tmp_path / where.format("x").replace("hole", "good"))
    mask(tmp_path / whose.format(names[0]), columns=slice(1, 5))
    mask(tmp_path / whose.format(names[1]), columns=slice(4, 9))
    for name in NAMES[1:]:
        mask(tmp_path / whose.format(f"{name}_mask"))
    dataset = read(tmp_path)
    assert dataset.notes == (
        f"1 image with several masks, such as {where.format('a')}: together they mark its defects",
    )
    sample = next(each for each in dataset if each.image_path == where.format("a"))
    wanted = np.zeros((HEIGHT, WIDTH), bool)
    wanted[1:4, 1:9] = True
    np.testing.assert_array_equal(sample.mask(), wanted)


def test_a_numbered_mask_that_could_be_of_two_images_is_refused(tmp_path: Path) -> None:
    files(tmp_path, ["images/a.png", "images/a_2.png", "images/b.png"], ["masks/a_mask_2.png", "masks/b.png"])
    with pytest.raises(DataError, match="the mask has no image"):
        read(tmp_path)


def test_a_class_that_is_called_like_masks_stays_a_class(tmp_path: Path) -> None:
    files(tmp_path, [f"{name}/{name}{n}.png" for name in ("good", "missing_label", "mask") for n in range(3)])
    assert sorted(read(tmp_path).classes) == ["good", "mask", "missing_label"]


@pytest.mark.parametrize(
    ("folder", "side"),
    [
        ("Train", "train"),
        ("TRAINING", "train"),
        ("train2017", "train"),
        ("train_set", "train"),
        ("Val", "val"),
        ("validation", "val"),
        ("val2017", "val"),
        ("dev", "val"),
        ("testing", "test"),
        ("testset", "test"),
        ("holdout", "test"),
        ("hold_out", "test"),
        ("test_public", None),
        ("test_private_mixed", None),
        ("trainee", None),
        ("contest", None),
        ("validated", None),
        ("", None),
    ],
)
def test_sides_by_the_names_of_folders(folder: str, side: str | None) -> None:
    assert side_of(folder) == side


@pytest.mark.parametrize("names", [("training", "testing"), ("Train", "Holdout"), ("train", "dev")])
def test_sides_of_an_mvtec_folder(names: tuple[str, str], tmp_path: Path) -> None:
    files(
        tmp_path,
        [f"{names[0]}/good/{n}.png" for n in range(3)] + [f"{names[1]}/hole/{n}.png" for n in range(2)],
        [f"ground_truth/hole/{n}_mask.png" for n in range(2)],
    )
    dataset = read(tmp_path)
    assert dataset.format == "mvtec"
    assert sorted(dataset.splits["source"].counts().values()) == [2, 3]


def test_images_on_no_side_are_refused(tmp_path: Path) -> None:
    files(tmp_path, [f"train/good/{n}.png" for n in range(3)] + [f"extra/hole/{n}.png" for n in range(3)])
    with pytest.raises(DataError, match="only 50% of the image and annotation files are understood"):
        read(tmp_path, ReadOptions(format="mvtec"))


def photograph(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH * 8), dtype=np.uint8))
    return path


def wide_mask(path: Path, *, empty: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((HEIGHT, WIDTH * 8), np.uint8)
    pixels[1:4, 5:20] = 0 if empty else 255
    write_png(path, pixels)
    return path


def codes(root: Path) -> set[str]:
    return {each.code for each in doctor(root, near_duplicates=False, workers=1).problems if each.severity == "error"}


def test_masks_that_are_photographs_are_refused(tmp_path: Path) -> None:
    for number in range(4):
        wide_mask(tmp_path / f"images/{number}.png")
        photograph(tmp_path / f"masks/{number}.png", number)
    with pytest.raises(DataError, match="taken for masks, but look like photographs"):
        read(tmp_path)
    assert "roles-doubtful" in codes(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_a_folder_of_masks_that_looks_like_a_class_is_refused(suffix: str, tmp_path: Path) -> None:
    for number in range(4):
        photograph(tmp_path / f"test/good/{number}.png", number)
        photograph(tmp_path / f"test/crack/{number}.png", 10 + number)
        made = wide_mask(tmp_path / f"test/crack-truth/{number}.png")
        if suffix != ".png":
            Image.open(made).save(made.with_suffix(suffix))
            made.unlink()
    with pytest.raises(DataError, match="taken for images, but look like masks"):
        read(tmp_path)
    assert "roles-doubtful" in codes(tmp_path)


def test_images_that_are_drawn_in_two_values_are_images(tmp_path: Path) -> None:
    for folder in ("good", "crack"):
        for number in range(4):
            wide_mask(tmp_path / f"test/{folder}/{number}.png")
    assert len(read(tmp_path)) == 8


def test_a_class_folder_of_mostly_empty_masks_is_refused(tmp_path: Path) -> None:
    for number in range(6):
        photograph(tmp_path / f"test/hole/{number}.png", number)
        photograph(tmp_path / f"train/good/{number}.png", 10 + number)
        wide_mask(tmp_path / f"ground_truth/hole/{number}_mask.png", empty=number not in (3,))
    with pytest.raises(DataError, match=r"most masks of the class hole are empty \(5 of 6"):
        read(tmp_path)
    assert "masks-mostly-empty" in codes(tmp_path)
    classes = [
        each.class_name for each in read(tmp_path, ReadOptions(class_from_mask=True)) if "hole" in each.image_path
    ]
    assert sorted(classes) == ["defect", "good", "good", "good", "good", "good"]


def test_a_few_empty_masks_are_read(tmp_path: Path) -> None:
    for number in range(6):
        photograph(tmp_path / f"test/hole/{number}.png", number)
        wide_mask(tmp_path / f"ground_truth/hole/{number}_mask.png", empty=number == 3)
    assert read(tmp_path).classes == ("hole",)


def test_images_below_the_class_are_refused_with_the_command_that_reads_them(tmp_path: Path) -> None:
    shots = [
        f"{side}/{name}/cam{cam}/{n}.png"
        for side, name in (("train", "good"), ("test", "hole"))
        for cam in "12"
        for n in "ab"
    ]
    files(tmp_path, shots, [path.replace("test", "ground_truth") for path in shots if path.startswith("test")])
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    hint = str(caught.value.hint)
    assert hint == f"carpet-data doctor {tmp_path} --from folder --class-by '^[^/]+/([^/]+)/'"
    dataset = read(tmp_path, ReadOptions(format="folder", class_by="^[^/]+/([^/]+)/"))
    assert {name: each for name, each in masked(dataset).items() if each} == {
        path: "hole" for path in shots if path.startswith("test")
    }
    assert dataset.classes == ("good", "hole")


def test_images_beside_an_empty_folder_of_masks_are_not_taken_as_good(tmp_path: Path) -> None:
    files(tmp_path, [f"images/{name}.png" for name in NAMES])
    (tmp_path / "masks").mkdir()
    with pytest.raises(DataError, match="all 3 images would count as good"):
        read(tmp_path)
    assert read(tmp_path, ReadOptions(format="folder")).classes == ("good",)


def test_one_mask_beside_the_images_with_another_name_is_seen(tmp_path: Path) -> None:
    for number in range(5):
        photograph(tmp_path / f"{number}.png", number)
        wide_mask(tmp_path / (f"{number}_mask.png" if number else "0_mask-copy.png"))
    with pytest.raises(DataError, match=r"0_mask-copy\.png: it was taken for an image, but looks like a mask"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("where", "whose"), [("images/{}.png", "masks/mask_{}.png"), ("images/img_{}.png", "gt/gt-{}.png")]
)
def test_masks_with_something_before_the_name(where: str, whose: str, tmp_path: Path) -> None:
    files(tmp_path, [where.format(name) for name in NAMES], [whose.format(name) for name in NAMES[:2]])
    assert masked(read(tmp_path)) == {where.format(name): "defect" if name in NAMES[:2] else None for name in NAMES}


def test_folders_beside_those_that_are_named_are_left_out(tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        photograph(tmp_path / f"images/{name}.png", number)
        wide_mask(tmp_path / f"masks/{name}.png")
        photograph(tmp_path / f"overlays/{name}.png", 10 + number)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert caught.value.hint == f"carpet-data doctor {tmp_path} --from folder --images-dir images --masks-dir masks"
    dataset = read(tmp_path, ReadOptions(format="folder", images_dir="images", masks_dir="masks"))
    assert len(dataset) == 3
    assert dataset.account is not None
    assert [(row.folder, row.files) for row in dataset.account.roles if row.role == "left out"] == [("overlays", 3)]


@pytest.mark.parametrize("suffix", [".npy", ".mat", ".gif", ".pgm"])
def test_masks_of_a_type_that_is_not_read_are_named(suffix: str, tmp_path: Path) -> None:
    files(tmp_path, [f"images/{name}.png" for name in NAMES])
    (tmp_path / "labels").mkdir()
    for name in NAMES[:2]:
        (tmp_path / f"labels/{name}{suffix}").write_bytes(b"pixels")
    with pytest.raises(DataError, match=r"it may be the mask of images/a\.png, which has none; 2 such files"):
        read(tmp_path, ReadOptions(format="folder"))


def test_a_table_of_classes_beside_images_without_any_is_refused(tmp_path: Path) -> None:
    files(tmp_path, [f"{n}.png" for n in range(20)])
    (tmp_path / "labels.csv").write_text("file,label\n" + "".join(f"{n}.png,hole\n" for n in range(20)))
    with pytest.raises(DataError, match="a table of images"):
        read(tmp_path, ReadOptions(format="folder"))


@pytest.mark.parametrize("beside", [False, True])
def test_masks_of_another_type_under_the_names_of_the_images(beside: bool, tmp_path: Path) -> None:
    for number in range(4):
        made = photograph(tmp_path / f"crack/{number}.png", number)
        Image.open(made).save(made.with_suffix(".jpg"))
        wide_mask(made)
        photograph(tmp_path / ("crack" if beside else "good") / f"x{number}.bmp.png", 10 + number)
    for reading in (
        lambda: read(tmp_path, ReadOptions(format="folder")),
        lambda: read(tmp_path / "crack", ReadOptions(format="folder")),
    ):
        with pytest.raises(DataError, match="look"):
            reading()
    assert "roles-doubtful" in {
        each.code for each in doctor(tmp_path, ReadOptions(format="folder"), near_duplicates=False, workers=1).problems
    }


@pytest.mark.parametrize("masks", ["masks/{}", "test/ground_truth/{}", "Ground-Truth/{}", "gt/{}"])
def test_sides_and_classes_with_masks_at_another_place(masks: str, tmp_path: Path) -> None:
    files(
        tmp_path,
        [f"train/good/{n}.png" for n in range(3)] + [f"test/crack/{n}.png" for n in range(3)],
        [f"{masks.format('crack')}/{n}_mask.png" for n in range(3)],
    )
    assert sorted(name for name in masked(read(tmp_path)).values() if name) == ["crack"] * 3


def test_classes_with_folders_in_them_are_not_data_sets(tmp_path: Path) -> None:
    files(tmp_path, [f"{name}/shift{part}/{n}.png" for name in ("good", "bad") for part in "12" for n in "ab"])
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert caught.value.hint == f"carpet-data doctor {tmp_path} --from folder --class-by '^([^/]+)/'"
    assert read(tmp_path, ReadOptions(format="folder", class_by="^([^/]+)/")).classes == ("good", "bad")


def test_a_stray_coco_file_does_not_hide_a_data_set(tmp_path: Path) -> None:
    files(
        tmp_path,
        [f"train/good/{n}.png" for n in range(6)] + [f"test/hole/{n}.png" for n in range(4)],
        [f"ground_truth/hole/{n}_mask.png" for n in range(4)],
    )
    coco(tmp_path / "some.json", images=[{"id": 1, "file_name": "test/hole/0.png", "width": WIDTH, "height": HEIGHT}])
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert f"carpet-data doctor {tmp_path} --from mvtec" in str(caught.value.hint)
    assert "if the document is meant: --from coco" in str(caught.value.hint)
    assert len(read(tmp_path, ReadOptions(format="coco"))) == 1
    assert len(read(tmp_path, ReadOptions(format="mvtec"))) == 10


def test_folders_of_masks_beside_those_of_the_sides(tmp_path: Path) -> None:
    shots = [f"{side}/{name}.png" for side in ("train", "test") for name in NAMES]
    files(tmp_path, shots, [path.replace("/", "_masks/") for path in shots])
    dataset = read(tmp_path)
    assert masked(dataset) == dict.fromkeys(shots, "defect")
    assert dataset.splits["source"].counts() == {"train": 3, "test": 3}
