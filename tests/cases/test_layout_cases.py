"""Published layouts are recognized, and every image has the class and the mask that its authors gave it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.published import LAYOUTS, NOTHING, Right, blot, check, dagm, drawn, kolektor_sdd, photo, visa
from PIL import Image

from carpet_data.diagnosis.doctor import doctor
from carpet_data.errors import CarpetDataError, DataError, UsageError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.export import export
from carpet_data.formats.glance import Folder
from carpet_data.formats.layouts import Images, Layout, format_of
from carpet_data.formats.reading import detect
from carpet_data.preparation.prepare import prepare

_BUT_PNG = ("jpg", "bmp", "tif")


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_published_layout_is_read_without_options(name: str, tmp_path: Path) -> None:
    right = LAYOUTS[name](tmp_path / "set")
    dataset = read(tmp_path / "set")
    assert dataset.format == name
    check(dataset, right)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("suffix", _BUT_PNG)
def test_images_of_other_types(name: str, suffix: str, tmp_path: Path) -> None:
    right = LAYOUTS[name](tmp_path / "set", suffix)
    check(read(tmp_path / "set"), right)


@pytest.mark.parametrize("name", ["visa", "dagm", "kolektor-sdd", "kolektor-sdd2", "aitex", "mvtec-3d"])
@pytest.mark.parametrize("suffix", [".bmp", ".tif"])
def test_masks_of_other_types(name: str, suffix: str, tmp_path: Path) -> None:
    right = LAYOUTS[name](tmp_path / "set")
    for path in list((tmp_path / "set").rglob("*.*")):
        place = path.relative_to(tmp_path).as_posix().casefold()
        if any(word in place for word in ("mask", "_label.", "_gt.", "/gt/")):
            Image.open(path).save(path.with_suffix(suffix))
            if path.suffix != suffix:
                path.unlink()
    check(read(tmp_path / "set"), right)


@pytest.mark.parametrize("name", LAYOUTS)
def test_folders_in_another_case(name: str, tmp_path: Path) -> None:
    right = LAYOUTS[name](tmp_path / "set")
    turned: dict[str, Right] = {}
    for path, truth in right.items():
        *folders, file = path.split("/")
        group = None if truth.group is None else truth.group.swapcase()
        # A class is called as its folder is.
        class_name = truth.class_name
        if class_name not in ("good", "defect", "combined") and name in ("mvtec-3d", "real-iad", "magnetic-tiles"):
            class_name = class_name.swapcase()
        turned["/".join([*(each.swapcase() for each in folders), file])] = Right(
            class_name, truth.mask, truth.side, group
        )
    for path in sorted((tmp_path / "set").rglob("*"), key=lambda each: -len(each.parts)):
        if path.is_dir():
            path.rename(path.with_name(path.name.swapcase()))
    check(read(tmp_path / "set"), turned)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_doctor_finds_no_error(name: str, tmp_path: Path) -> None:
    right = LAYOUTS[name](tmp_path / "set")
    diagnosis = doctor(tmp_path / "set", workers=1)
    assert diagnosis.counts()["error"] == 0, diagnosis.problems
    assert (diagnosis.format, diagnosis.images) == (name, len(right))
    counts = {truth.class_name: 0 for truth in right.values()}
    for truth in right.values():
        counts[truth.class_name] += 1
    assert diagnosis.classes == counts
    assert diagnosis.source is not None
    assert diagnosis.source.not_read == ()


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("to", ["coco", "yolo", "masks", "mvtec"])
def test_exports_are_exact(name: str, to: str, tmp_path: Path) -> None:
    right = LAYOUTS[name](tmp_path / "set")
    export(tmp_path / "set", to, tmp_path / "out", workers=1, images="copy")
    again = read(tmp_path / "out")
    source = {sample.id: sample for sample in read(tmp_path / "set")}
    by_bytes = {source[each].image().tobytes(): right[source[each].image_path] for each in source}
    assert len(again) == len(right)
    for sample in again:
        truth = by_bytes[sample.image().tobytes()]
        np.testing.assert_array_equal(sample.mask(), NOTHING if truth.mask is None else truth.mask)
        assert sample.class_name == truth.class_name


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_missing_mask_never_makes_a_defect_good(name: str, tmp_path: Path) -> None:
    right = LAYOUTS[name](tmp_path / "set")
    image = next(path for path, truth in right.items() if truth.mask is not None and truth.class_name != "019")
    mask = next(
        sample.mask_path for sample in read(tmp_path / "set") if sample.image_path == image and sample.mask_path
    )
    (tmp_path / "set" / mask).unlink()
    with pytest.raises(CarpetDataError) as caught:
        export(tmp_path / "set", "coco", tmp_path / "out", workers=1)
    assert Path(image).name in str(caught.value)
    assert doctor(tmp_path / "set", workers=1).exit_code == 1


def test_an_empty_mask_of_a_defect_folder_stays_a_defect(tmp_path: Path) -> None:
    for name in ("visa", "mvtec-3d", "real-iad", "magnetic-tiles", "aitex"):
        root = tmp_path / name
        right = LAYOUTS[name](root)
        image = next(path for path, truth in right.items() if truth.mask is not None and truth.class_name != "019")
        sample = next(each for each in read(root) if each.image_path == image)
        assert sample.mask_path is not None
        drawn(root / sample.mask_path, NOTHING)
        again = next(each for each in read(root) if each.image_path == image)
        assert again.class_name == sample.class_name != "good"
        assert doctor(root, workers=1).of("mask-empty")


def test_a_mask_on_a_good_image_is_an_error(tmp_path: Path) -> None:
    right = LAYOUTS["mvtec-3d"](tmp_path)
    drawn(tmp_path / "train/good/gt/000.png", blot())
    assert len(read(tmp_path)) == len(right)
    with pytest.raises(DataError, match="labeled good, but its mask marks a defect"):
        export(tmp_path, "coco", tmp_path.parent / "out", workers=1)


def test_visa_without_its_table_has_the_class_of_the_folder(tmp_path: Path) -> None:
    right = visa(tmp_path / "pcb1")
    (tmp_path / "pcb1/image_anno.csv").unlink()
    plain = {
        path: Right("Anomaly" if truth.class_name != "good" else "good", truth.mask) for path, truth in right.items()
    }
    check(read(tmp_path / "pcb1"), plain)
    # Named one level too deep, it is still VisA.
    check(read(tmp_path / "pcb1/Data"), {path.removeprefix("Data/"): truth for path, truth in plain.items()})


def test_prepare_names_the_threshold_of_the_layout(tmp_path: Path) -> None:
    visa(tmp_path / "pcb1")
    result = prepare(tmp_path / "pcb1", tmp_path / "prepared", workers=1)
    assert "3 masks had gray values and were thresholded at 1" in result.notes


def test_prepare_keeps_the_parts_together(tmp_path: Path) -> None:
    right = kolektor_sdd(tmp_path / "set")
    prepare(tmp_path / "set", tmp_path / "prepared", workers=1)
    groups: dict[str | None, set[str | None]] = {}
    sides = (ready := read(tmp_path / "prepared")).splits["main"].sides
    for sample in ready:
        assert sample.source is not None
        groups.setdefault(right[sample.source].group, set()).add(sides.get(sample.id))
    assert all(len(each) == 1 for each in groups.values())


def test_visas_numbers_may_be_named(tmp_path: Path) -> None:
    right = visa(tmp_path / "pcb1")
    both = blot(0).astype(np.uint8)
    both[18:22, 2:9] = 2
    Image.fromarray(both).save(tmp_path / "pcb1/Data/Masks/Anomaly/002.png")
    dataset = read(tmp_path / "pcb1", ReadOptions(mask_classes="1=bent,2=melt,3=scratch"))
    sample = next(each for each in dataset if each.image_path.endswith("Anomaly/002.JPG"))
    assert sample.class_name == "combined"
    named = {each.class_name: each.mask() for each in sample.instances()}
    np.testing.assert_array_equal(named["bent"], both == 1)
    np.testing.assert_array_equal(named["melt"], both == 2)
    assert len(dataset) == len(right)


@pytest.mark.parametrize("text", ["image,kind\na,b\n", "", b"\xff\xfe\x00"])
def test_a_damaged_table_of_visa_is_an_error(text: str | bytes, tmp_path: Path) -> None:
    visa(tmp_path)
    (tmp_path / "image_anno.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match="table"):
        read(tmp_path)


def test_dagms_table_says_which_masks_are_missing(tmp_path: Path) -> None:
    right = dagm(tmp_path)
    (tmp_path / "Test/Label/0002_label.PNG").unlink()
    sample = next(each for each in read(tmp_path) if each.image_path == "Test/0002.PNG")
    assert (sample.class_name, sample.annotation) == ("defect", None)
    assert [each.where for each in doctor(tmp_path, workers=1).of("mask-missing")] == ["Test/0002.PNG"]
    assert right["Test/0002.PNG"].class_name == "defect"


def test_dagm_without_its_tables(tmp_path: Path) -> None:
    right = dagm(tmp_path)
    for table in tmp_path.rglob("Labels.txt"):
        table.unlink()
    check(read(tmp_path), right)


@pytest.mark.parametrize(("word", "ending"), [("unit_", "_mask.png"), ("P", "_gt.tif")])
def test_other_numbered_parts_are_groups_too(word: str, ending: str, tmp_path: Path) -> None:
    right = kolektor_sdd(tmp_path, word=word, ending=ending)
    check(read(tmp_path), right)


def test_numbered_class_folders_whose_masks_mark_defects_stay_classes(tmp_path: Path) -> None:
    for number in range(1, 4):
        for stem in "ab":
            photo(tmp_path / f"type{number}/{stem}.png")
            drawn(tmp_path / f"type{number}/{stem}_mask.png", blot(number))
    dataset = read(tmp_path)
    assert (dataset.format, dataset.classes) == ("folder", ("type1", "type2", "type3"))


def test_the_class_from_the_mask_where_folders_are_parts(tmp_path: Path) -> None:
    right = kolektor_sdd(tmp_path)
    check(read(tmp_path, ReadOptions(format="folder", class_from_mask=True)), right)


def test_the_class_from_the_mask_where_folders_are_not_parts(tmp_path: Path) -> None:
    for name, mask in (("left", blot()), ("right", NOTHING)):
        photo(tmp_path / f"{name}/a.png")
        drawn(tmp_path / f"{name}/a_mask.png", mask)
    right = {"left/a.png": Right("defect", blot()), "right/a.png": Right()}
    check(read(tmp_path, ReadOptions(class_from_mask=True)), right)


@pytest.mark.parametrize("pattern", [r"_([a-z]+)_\d", r"shift(\d)/img_(?P<class>[a-z]+)_"])
def test_the_class_from_the_path(pattern: str, tmp_path: Path) -> None:
    right = {}
    for number, name in enumerate(("scratch", "pit", "ok")):
        path = f"shift{number % 2}/img_{name}_{number}.png"
        photo(tmp_path / path)
        defect = name != "ok"
        if defect:
            drawn(tmp_path / f"shift{number % 2}/img_{name}_{number}_mask.png", blot(number))
        right[path] = Right(name if defect else "good", blot(number) if defect else None)
    check(read(tmp_path, ReadOptions(format="folder", class_by=pattern)), right)


def test_the_class_from_the_path_holds_without_masks(tmp_path: Path) -> None:
    names = ("crazing", "patches", "ok")
    for name in names:
        photo(tmp_path / f"{name}_1.jpg")
    options = ReadOptions(format="folder", class_by=r"([a-z]+)_\d")
    assert [sample.class_name for sample in read(tmp_path, options)] == ["crazing", "good", "patches"]
    found = doctor(tmp_path, options, workers=1)
    assert found.classes == {"good": 1, "crazing": 1, "patches": 1}
    assert found.of("no-masks")


@pytest.mark.parametrize("from_mask", [False, True])
def test_an_empty_mask_is_good_only_where_the_mask_decides(from_mask: bool, tmp_path: Path) -> None:
    for name, mask in (("pit_1", blot()), ("pit_2", NOTHING)):
        photo(tmp_path / f"{name}.jpg")
        drawn(tmp_path / f"{name}_mask.png", mask)
    photo(tmp_path / "pit_3.jpg")
    options = ReadOptions(format="folder", class_by=r"(pit)_\d", class_from_mask=from_mask)
    found = {sample.image_path: sample.class_name for sample in read(tmp_path, options)}
    assert found == {"pit_1.jpg": "pit", **dict.fromkeys(("pit_2.jpg", "pit_3.jpg"), "good" if from_mask else "pit")}


def test_images_that_the_expression_does_not_match_are_listed(tmp_path: Path) -> None:
    for name in ("img_pit_1", "other"):
        photo(tmp_path / f"a/{name}.png")
    with pytest.raises(DataError, match=r"1 path of 2: a/other\.png"):
        read(tmp_path, ReadOptions(format="folder", class_by=r"img_([a-z]+)_"))


@pytest.mark.parametrize(("pattern", "why"), [("(", "invalid --class-by"), ("img", "captures nothing")])
def test_invalid_expressions(pattern: str, why: str, tmp_path: Path) -> None:
    photo(tmp_path / "a/img.png")
    with pytest.raises(UsageError, match=why):
        read(tmp_path, ReadOptions(format="folder", class_by=pattern))


@pytest.mark.parametrize("option", [{"class_by": "(a)"}, {"class_from_mask": True}, {"mask_classes": "1=a"}])
def test_formats_that_name_their_classes_take_no_rule(option: dict[str, object], tmp_path: Path) -> None:
    visa(tmp_path / "set")
    export(tmp_path / "set", "coco", tmp_path / "coco", workers=1)
    with pytest.raises(UsageError, match="is for folders of images and masks"):
        read(tmp_path / "coco", ReadOptions(**option))  # type: ignore[arg-type]


def test_an_image_without_a_mask_where_all_others_have_one(tmp_path: Path) -> None:
    kolektor_sdd(tmp_path)
    (tmp_path / "kos01/Part3_label.bmp").unlink()
    with pytest.raises(DataError, match=r"1 image of 12 has no mask: kos01/Part3\.jpg"):
        read(tmp_path)
    (found,) = (each for each in doctor(tmp_path, workers=1).problems if each.severity == "error")
    assert (found.code, found.hint) == (
        "mask-missing",
        "restore the masks, or leave these images out with --skip-faulty",
    )
    dataset = read(tmp_path, ReadOptions(skip_faulty=True))
    assert len(dataset) == 11
    assert [error.where for error in dataset.skipped] == [str(tmp_path / "kos01/Part3.jpg")]


@pytest.mark.parametrize("name", ["visa", "dagm", "mvtec-3d", "real-iad"])
def test_above_several_categories_all_are_named(name: str, tmp_path: Path) -> None:
    for category in ("bagel", "carrot"):
        LAYOUTS[name](tmp_path / category)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert "contains 2 data sets: bagel, carrot" in caught.value.what
    assert caught.value.hint == f"read one at a time: carpet-data doctor {tmp_path / 'bagel'}"


def test_above_one_category_it_is_named(tmp_path: Path) -> None:
    visa(tmp_path / "candle")
    (tmp_path / "split_csv").mkdir()
    (tmp_path / "split_csv/1cls.csv").write_text("object,split,label,image,mask\n")
    with pytest.raises(DataError, match="contains a data set: candle") as caught:
        read(tmp_path)
    assert caught.value.hint == f"read it: carpet-data doctor {tmp_path / 'candle'}"


def test_categories_two_levels_down_are_named(tmp_path: Path) -> None:
    for category in ("audiojack", "toy"):
        LAYOUTS["real-iad"](tmp_path / "realiad_256" / category)
    with pytest.raises(DataError, match="contains 2 data sets: realiad_256/audiojack, realiad_256/toy"):
        read(tmp_path)


def test_btad_is_mvtec_with_bitmaps(tmp_path: Path) -> None:
    right = {}
    for path, defect in (("train/ok/0.bmp", 0), ("test/ok/0.bmp", 0), ("test/ko/1.bmp", 1), ("test/ko/2.bmp", 2)):
        photo(tmp_path / path)
        side = path.split("/")[0]
        right[path] = Right("ko" if defect else "good", blot(defect) if defect else None, side)
        if defect:
            drawn(tmp_path / f"ground_truth/ko/{defect}.{'bmp' if defect == 1 else 'png'}", blot(defect))
    dataset = read(tmp_path)
    assert dataset.format == "mvtec"
    check(dataset, right)


def test_visa_in_its_one_class_split_is_mvtec(tmp_path: Path) -> None:
    right = {}
    for path, defect in (("train/good/0.JPG", False), ("test/good/1.JPG", False), ("test/bad/2.JPG", True)):
        photo(tmp_path / path)
        right[path] = Right("bad" if defect else "good", blot() if defect else None, path.split("/")[0])
    drawn(tmp_path / "ground_truth/bad/2.png", blot())
    dataset = read(tmp_path)
    assert dataset.format == "mvtec"
    check(dataset, right)


def test_masks_without_an_image_are_named(tmp_path: Path) -> None:
    LAYOUTS["aitex"](tmp_path)
    drawn(tmp_path / "Mask_images/0099_002_00_mask.png", blot())
    assert [each.where for each in doctor(tmp_path, workers=1).of("mask-orphan")] == [
        "Mask_images/0099_002_00_mask.png"
    ]


def test_parts_of_a_layout_name_the_whole(tmp_path: Path) -> None:
    dagm(tmp_path / "Class1")
    with pytest.raises(DataError) as caught:
        detect(tmp_path / "Class1/Train")
    assert str(tmp_path / "Class1") in str(caught.value.hint)


def test_each_layout_is_recognized_as_itself_alone(tmp_path: Path) -> None:
    for name, write in LAYOUTS.items():
        write(tmp_path / name)
        assert detect(tmp_path / name) == name
        shutil.rmtree(tmp_path / name)


def test_a_layout_of_ones_own(tmp_path: Path) -> None:
    layout = Layout(
        *("own", "Own", "nobody", "", ()),
        images=(Images("{group}/{class}/{any}/{stem}.jpg"),),
        masks=("{group}/{class}/{stem}_map{part}.png",),
        signs=(("roll*/ok",),),
    )
    own = format_of(layout, "a layout of one's own")
    right = {}
    for number, name in enumerate(("ok", "pit")):
        path = f"roll{number}/{name}/left/0.bmp"
        photo(tmp_path / path)
        right[path] = Right("pit" if number else "good", blot(1) | blot(2) if number else None, None, f"roll{number}")
    for part in (1, 2):
        drawn(tmp_path / f"roll1/pit/0_map{part}.png", blot(part))
    assert own.read is not None
    assert own.looks_like is not None
    check(own.read(tmp_path, ReadOptions()), right)
    assert own.looks_like(Folder(tmp_path))
    assert not own.looks_like(Folder(tmp_path / "roll0"))
