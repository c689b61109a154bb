"""What a folder is taken for: every file has one role, and a defect never becomes good because of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.trees import coco, files, image, mask

from carpet_data import export, prepare, preview, report, stats
from carpet_data.diagnosis.doctor import doctor
from carpet_data.errors import CarpetDataError, DataError, UsageError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.account.foreign import kind_of
from carpet_data.formats.account.unread import stem_key


def mvtec(root: Path) -> Path:
    return files(
        root,
        [*(f"train/good/{n}.png" for n in range(8)), *(f"test/hole/{n}.png" for n in range(3)), "test/good/0.png"],
        [f"ground_truth/hole/{n}_mask.png" for n in range(3)],
    )


def refusal(root: Path, **options: object) -> CarpetDataError:
    with pytest.raises(DataError) as caught:
        read(root, ReadOptions(**options))  # type: ignore[arg-type]
    return caught.value


def test_every_file_has_one_role(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "set")
    (root / "readme.txt").write_text("hello")
    account = read(root).account
    assert account is not None
    roles = {(row.folder, row.role): row.files for row in account.roles}
    assert roles == {
        ("test/good", "images"): 1,
        ("test/hole", "images"): 3,
        ("train/good", "images"): 8,
        ("ground_truth/hole", "masks"): 3,
        (".", "documents"): 1,
    }
    assert (account.explained, account.not_read_count, account.not_read) == (1.0, 0, ())


def test_one_walk_serves_reader_and_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from carpet_data.formats import listing

    walked: list[Path] = []
    walk = listing._walk
    monkeypatch.setattr(listing, "_walk", lambda root: walked.append(root) or walk(root))
    root = mvtec(tmp_path / "set")
    read(root)
    assert walked == [root]


def test_a_reader_that_explains_too_little_is_refused_with_what_fits_better(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "set")
    for wrong in ("mvtec-loco", "mvtec-ad2"):
        error = refusal(root, format=wrong)
        assert "of the image and annotation files are understood" in error.what
        assert f"carpet-data doctor {root} --from mvtec" in str(error.hint)


def test_images_too_deep_below_the_class(tmp_path: Path) -> None:
    cameras = [f"{side}/hole/cam{cam}/{n}.png" for side in ("train", "test") for cam in (1, 2) for n in range(3)]
    root = files(tmp_path / "set", ["train/good/0.png", *cameras], ["ground_truth/hole/0_mask.png"])
    assert "are not, such as test/hole/cam1/0.png" in refusal(root, format="mvtec").what


def test_a_few_stray_images_are_counted(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "set")
    image(root / "overview.png")
    account = read(root).account
    assert account is not None
    assert account.not_read == ("overview.png",)
    found = doctor(root, workers=1)
    assert found.source == account
    assert [problem.where for problem in found.of("images-not-read")] == ["overview.png"]
    assert not found.of("not-read")


@pytest.mark.parametrize("suffix", ["hole/0-mask.png", "hole/00_mask.png"])
def test_a_mask_without_an_image_is_refused(suffix: str, tmp_path: Path) -> None:
    root = mvtec(tmp_path / "set")
    mask(root / "ground_truth" / suffix)
    error = refusal(root)
    assert error.what.startswith("the mask has no image")
    assert str(error.where).endswith(suffix)
    assert doctor(root, workers=1).of("mask-orphan")


def test_skip_faulty_leaves_out_what_an_orphan_may_belong_to(tmp_path: Path) -> None:
    root = files(tmp_path / "set", [f"images/im-{n}.png" for n in range(6)], ["masks/im-0.png", "masks/im_1.png"])
    assert "its name is close to that of images/im-1.png" in refusal(root).what
    dataset = read(root, ReadOptions(skip_faulty=True))
    assert [sample.image_path for sample in dataset] == [f"images/im-{n}.png" for n in (0, 2, 3, 4, 5)]
    assert [str(each.where) for each in dataset.skipped] == [str(root / "images/im-1.png")]


def test_skip_faulty_leaves_out_all_images_without_a_mask_where_nobody_knows_whose_it_is(tmp_path: Path) -> None:
    root = files(tmp_path / "set", [f"images/{n}.png" for n in "abcdef"], ["masks/a.png", "masks/other.png"])
    dataset = read(root, ReadOptions(skip_faulty=True))
    assert [(sample.image_path, sample.class_name) for sample in dataset] == [("images/a.png", "defect")]
    assert len(dataset.skipped) == 5


def test_labels_beside_good_images_are_refused(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "set")
    shapes = {"shapes": [{"label": "hole", "points": [[1, 1], [5, 1], [5, 5]]}], "imagePath": "3.png"}
    (root / "train/good/3.json").write_text(json.dumps(shapes))
    error = refusal(root)
    assert "labelme JSON" in error.what
    assert "train/good/3.png" in error.what
    left = read(root, ReadOptions(skip_faulty=True))
    assert "train/good/3.png" not in {sample.image_path for sample in left}
    assert len(left) == 11


def test_labels_of_images_that_have_masks_are_no_danger(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "set")
    (root / "test/hole/1.txt").write_text("0 0.1 0.1 0.2 0.1 0.2 0.2\n")
    account = read(root).account
    assert account is not None
    assert account.not_read == ("test/hole/1.txt",)


def test_labels_that_no_image_uses_are_refused(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "set")
    (root / "train/good/lost.txt").write_text("0 0.1 0.1 0.2 0.1 0.2 0.2\n")
    assert "YOLO labels, and no image uses it" in refusal(root).what


def test_other_text_is_no_annotation(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "set")
    for name in ("notes.txt", "train/log.json", "a.csv", "settings.xml"):
        (root / name).write_text("nothing of interest: 1, 2, 3\n")
    account = read(root).account
    assert account is not None
    assert (account.explained, account.not_read_count) == (1.0, 4)


def test_images_that_coco_does_not_list_are_a_note(tmp_path: Path) -> None:
    root = tmp_path / "set"
    coco(root / "annotations/instances.json")
    files(root, [f"images/{name}.png" for name in "abcd"])
    account = read(root).account
    assert account is not None
    assert account.not_read == ("images/b.png", "images/c.png", "images/d.png")
    assert [row.role for row in account.roles] == ["images", "annotations", "not read"]
    found = doctor(root, workers=1)
    assert [problem.what for problem in found.of("images-not-listed")] == ["3 image files not listed"]
    assert not found.of("images-not-read")


@pytest.mark.parametrize("option", ["images_dir", "masks_dir", "mask_suffix", "pair_by"])
@pytest.mark.parametrize("chosen", ["auto", "mvtec"])
def test_options_of_folders_are_refused_elsewhere(option: str, chosen: str, tmp_path: Path) -> None:
    root = mvtec(tmp_path / "set")
    with pytest.raises(UsageError, match="can be used with --from folder only"):
        read(root, ReadOptions(format=chosen, **{option: "(x)"}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a.json", '{"version": "5", "shapes": [], "imagePath": "a.png"}', "labelme JSON"),
        ("a.json", '{"_via_settings": {}, "_via_img_metadata": {}}', "a VIA project"),
        ("a.json", '{"a.png12": {"filename": "a.png", "regions": [{"shape_attributes": {}}]}}', "VIA JSON"),
        ("a.json", '[{"annotations": [{"result": [{"from_name": "l", "to_name": "i"}]}]}]', "Label Studio JSON"),
        ("a.json", '{"size": {}, "tags": [], "objects": [{"classTitle": "hole"}]}', "Supervisely JSON"),
        ("a.json", '{"images": [], "annotations": [], "categories": []}', "COCO JSON"),
        ("a.json", '{"epochs": 3}', None),
        ("a.xml", "<annotations><version>1.1</version><image id='0'/></annotations>", "CVAT XML"),
        ("a.xml", "<annotation><filename>a.jpg</filename><object/></annotation>", "Pascal VOC XML"),
        ("a.xml", "<project/>", None),
        ("a.csv", "ImageId,ClassId,EncodedPixels\na.jpg,1,3 4\n", "run lengths in CSV"),
        ("a.csv", "epoch,loss\n1,0.2\n", None),
        ("a.txt", "0 0.5 0.5 0.1 0.1\r\n1 0.5 0.5 0.1 0.1\r\n", "YOLO labels"),
        ("a.txt", "1 2 3 4 5 6 7 8 hole 0\n", "DOTA labels"),
        ("a.txt", "images/a.png\nimages/b.png\n", "a list of images"),
        ("a.txt", "", None),
        ("a.txt", "hole\ncut\n", None),
    ],
)
def test_labels_of_other_tools_are_named(name: str, text: str, kind: str | None, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert kind_of(tmp_path / name) == kind


def test_stems_are_compared_without_separators_and_words_for_masks() -> None:
    keys = {
        stem_key(name) for name in ("Im-001.jpg", "im_001_mask.png", "im 001_gt2.png", "im_001.jpg.txt", "IM001.xml")
    }
    assert keys == {"im001"}
    assert stem_key("mask.png") == "mask"


def test_the_mask_of_a_skipped_image_is_no_mask_without_an_image(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "set")
    (root / "test/hole/1.png").write_bytes(b"")
    dataset = read(root, ReadOptions(skip_faulty=True))
    assert len(dataset) == 11
    assert dataset.account is not None
    assert [(row.folder, row.role) for row in dataset.account.roles if row.note] == [("ground_truth/hole", "left out")]


def test_every_result_says_what_the_folder_was_taken_for(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "set")
    image(root / "overview.png")
    results = [
        stats(root, workers=1),
        preview(root, tmp_path / "sheet.png"),
        export(root, "coco", tmp_path / "coco", workers=1),
        prepare(root, tmp_path / "prepared", near_duplicates=False, allow_starved=True, workers=1),
        report(root, tmp_path / "report.html", workers=1),
    ]
    for result in results:
        source = result.to_json()["source"]
        assert source["format"] == "mvtec"
        assert source["not_read"] == ["overview.png"]
        assert {"folder": "train/good", "role": "images", "files": 8, "note": ""} in source["roles"]
    assert all("1 image was not read, such as overview.png" in result.text() for result in results[1:])
    assert stats(tmp_path / "prepared", workers=1).to_json()["source"] is None


FOREIGN = {
    "labelme JSON": ("a.json", '{"shapes": [], "imagePath": "a.png"}'),
    "VIA JSON": ("via.json", '{"a.png1": {"filename": "a.png", "regions": []}}'),
    "CVAT XML": ("annotations.xml", "<annotations><image id='0' name='a.png'/></annotations>"),
    "Label Studio JSON": ("export.json", '[{"annotations": [{"result": [{"from_name": "l", "to_name": "i"}]}]}]'),
    "Pascal VOC XML": ("Annotations/a.xml", "<annotation><filename>a.png</filename><object/></annotation>"),
    "Supervisely JSON": ("ann/a.png.json", '{"objects": [{"classTitle": "hole"}], "tags": [], "size": {}}'),
    "run lengths in CSV": ("train.csv", "ImageId_ClassId,EncodedPixels\na.png_1,3 4\n"),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("place", ["a.png", "images/a.png", "img/a.png"])
def test_labels_of_other_tools_are_named_and_their_images_never_good(kind: str, place: str, tmp_path: Path) -> None:
    name, text = FOREIGN[kind]
    image(tmp_path / place)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    for options in (ReadOptions(), ReadOptions(format="folder")):
        error = refusal(tmp_path, format=options.format)
        assert kind in str(error)
        assert "not read here" in str(error.hint)


def test_every_data_set_below_the_folder_is_named(tmp_path: Path) -> None:
    for number in range(12):
        mvtec(tmp_path / f"category{number:02}")
    error = refusal(tmp_path)
    assert all(f"category{number:02}" in error.what for number in range(12))
    assert str(error.hint) == f"read one at a time: carpet-data doctor {tmp_path / 'category00'}"


def test_the_good_half_of_a_data_set_is_not_named_alone(tmp_path: Path) -> None:
    files(tmp_path, [f"perfect/{part}/{n}.png" for part in ("a", "b") for n in range(2)])
    files(tmp_path, [f"broken/{part}/deep/er/{n}.png" for part in ("a", "b") for n in range(2)])
    hint = str(refusal(tmp_path).hint)
    assert hint.startswith("broken hold images too, but cannot be read")
