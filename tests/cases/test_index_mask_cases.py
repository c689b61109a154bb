"""Class-index masks: named, every class is exact; not named, they are refused with what to type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from helpers.published import HEIGHT, WIDTH, blot, drawn, photo
from numpy.typing import NDArray
from PIL import Image

from carpet_data.core.images import read_indices
from carpet_data.core.masks.classes import index_values
from carpet_data.dataset import ClassFile, Dataset
from carpet_data.diagnosis.doctor import doctor
from carpet_data.errors import CarpetDataError, DataError, ImageError, ProblemsError, UsageError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.classes.mask_classes import parse
from carpet_data.formats.export import export
from carpet_data.preparation.prepare import prepare

NAMES = {1: "inclusion", 2: "patches", 8: "scratches"}
VALUES = "1=inclusion,2=patches,8=scratches"


def voc_palette() -> list[int]:
    """Pascal VOC's colors: 8 is 64, 0, 0, and 255 is 224, 224, 192."""
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= (((np.arange(256) >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colors.reshape(-1).tolist()


def indexed(path: Path, values: NDArray[np.uint8], *, palette: bool = False) -> None:
    """An index mask, grey or with VOC's palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    if palette:
        image.putpalette(voc_palette())
        assert image.mode == "P"
    image.save(path)


def some_values(number: int, *, border: bool) -> NDArray[np.uint8]:
    """Two classes that touch, one in two pieces, and a border of 255."""
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    one, other = [*NAMES][number % 3], [*NAMES][(number + 1) % 3]
    values[3:10, 4:12], values[3:10, 12:20], values[15:18, 2:5] = one, other, one
    if border:
        values[2, 4:20], values[10, 4:20] = 255, 255
    return values


def write(root: Path, kind: str, *, border: bool = True, palette: bool = False) -> dict[str, NDArray[np.uint8]]:
    """Images with index masks in one of the usual places; image path -> values."""
    places = {
        "neu": ("images/training/{}.jpg", "annotations/training/{}.png"),
        "mmseg": ("img_dir/val/{}.jpg", "ann_dir/val/{}.png"),
        "folder": ("images/{}.png", "masks/{}.png"),
        "beside": ("{}.png", "{}_mask.png"),
        "voc": ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
    }
    right = {}
    for number in range(4):
        image, mask = (place.format(number) for place in places[kind])
        photo(root / image)
        right[image] = some_values(number, border=border) if number < 3 else np.zeros((HEIGHT, WIDTH), np.uint8)
        indexed(root / mask, right[image], palette=palette)
    return right


def check(dataset: Dataset, right: Mapping[str, NDArray[np.uint8]]) -> None:
    """Each class of each image is exact, and 255 is none."""
    assert {sample.image_path for sample in dataset} == set(right)
    for sample in dataset:
        values = right[sample.image_path]
        shown = {name for value, name in NAMES.items() if (values == value).any()}
        assert sample.class_name == ("combined" if len(shown) > 1 else next(iter(shown), "good"))
        union: dict[str, NDArray[np.bool_]] = {}
        for instance in sample.instances():
            union[instance.class_name] = union.get(instance.class_name, np.False_) | instance.mask()
        assert set(union) == shown
        for value, name in NAMES.items():
            if name in union:
                np.testing.assert_array_equal(union[name], values == value)
        np.testing.assert_array_equal(sample.mask(), np.isin(values, [*NAMES]))
        # Two pieces of one class are two instances, and touching pieces of two classes are two as well.
        assert len(sample.instances()) == (3 if shown else 0)


@pytest.mark.parametrize("kind", ["neu", "mmseg", "folder", "beside", "voc"])
@pytest.mark.parametrize("palette", [False, True], ids=["grey", "palette"])
def test_named_classes_are_exact(kind: str, palette: bool, tmp_path: Path) -> None:
    right = write(tmp_path, kind, palette=palette)
    options = ReadOptions(mask_classes=VALUES, format="folder" if kind == "beside" else "auto")
    dataset = read(tmp_path, options)
    check(dataset, right)
    assert dataset.categories == ("inclusion", "patches", "scratches")


@pytest.mark.parametrize("kind", ["neu", "folder", "voc"])
@pytest.mark.parametrize("palette", [False, True], ids=["grey", "palette"])
def test_without_names_one_error_says_what_to_type(kind: str, palette: bool, tmp_path: Path) -> None:
    write(tmp_path, kind, palette=palette)
    with pytest.raises(DataError, match=r"class numbers \(1, 2, 8, 255\)") as caught:
        read(tmp_path)
    assert not isinstance(caught.value, ProblemsError)
    assert "--mask-classes 1=NAME,2=NAME,8=NAME,255=ignore" in str(caught.value.hint)


def test_one_class_in_each_image_is_seen_over_all_masks(tmp_path: Path) -> None:
    for value in NAMES:
        photo(tmp_path / f"images/{value}.png")
        drawn(tmp_path / f"masks/{value}.png", blot(value), value)
    with pytest.raises(DataError, match=r"3 masks hold class numbers \(1, 2, 8\)"):
        read(tmp_path)


@pytest.mark.parametrize("palette", [False, True], ids=["grey", "palette"])
def test_in_class_folders_exports_and_prepare_refuse(palette: bool, tmp_path: Path) -> None:
    root = tmp_path / "set"
    for number in range(2):
        photo(root / f"train/good/{number}.png")
        photo(root / f"test/hole/{number}.png")
        indexed(root / f"ground_truth/hole/{number}_mask.png", some_values(number, border=True), palette=palette)
    for act in (
        lambda: export(root, "coco", tmp_path / "out", workers=1),
        lambda: prepare(root, tmp_path / "prepared", workers=1),
    ):
        with pytest.raises(CarpetDataError, match="class-index mask") as caught:
            act()
        assert "--mask-classes" in str(caught.value)
    dataset = read(root, ReadOptions(mask_classes=VALUES))
    # The folder says the class of the image; the mask, those of its defects.
    assert {sample.class_name for sample in dataset} == {"good", "hole"}
    assert {each.class_name for sample in dataset for each in sample.instances()} == set(NAMES.values())


@pytest.mark.parametrize("to", ["coco", "yolo", "masks", "voc", "mvtec"])
def test_every_export_is_exact(to: str, tmp_path: Path) -> None:
    right = write(tmp_path / "set", "neu")
    options = ReadOptions(mask_classes=VALUES)
    export(tmp_path / "set", to, tmp_path / "out", read_options=options, workers=1, images="copy")
    before = {sample.image().tobytes(): sample for sample in read(tmp_path / "set", options)}
    again = read(tmp_path / "out")
    assert len(again) == len(right)
    for sample in again:
        source = before[sample.image().tobytes()]
        np.testing.assert_array_equal(sample.mask(), source.mask())
        assert sample.class_name == source.class_name
        if to != "mvtec":  # a binary mask has no classes
            wanted, found = (
                sorted((each.class_name, each.rle) for each in one.instances()) for one in (source, sample)
            )
            assert wanted == found


def test_prepared_it_stays_exact(tmp_path: Path) -> None:
    right = write(tmp_path / "set", "neu")
    prepared = prepare(
        tmp_path / "set", tmp_path / "prepared", read_options=ReadOptions(mask_classes=VALUES), workers=1
    )
    assert prepared is not None
    for sample in read(tmp_path / "prepared"):
        assert sample.source is not None
        values = right[sample.source]
        np.testing.assert_array_equal(sample.mask(), np.isin(values, [*NAMES]))
        for instance in sample.instances():
            value = next(value for value, name in NAMES.items() if name == instance.class_name)
            assert (values[instance.mask()] == value).all()


def test_the_doctor_takes_the_names(tmp_path: Path) -> None:
    write(tmp_path, "neu")
    found = doctor(tmp_path, ReadOptions(mask_classes=VALUES), workers=1)
    assert (found.images, found.masks, found.counts()["error"]) == (4, 4, 0)
    found = doctor(tmp_path, ReadOptions(mask_classes="1=inclusion,2=patches"), workers=1)
    assert (found.images, found.exit_code) == (4, 1)
    assert "8 (in 2 masks)" in found.problems[0].what


@pytest.mark.parametrize("kind", ["neu", "folder", "voc"])
@pytest.mark.parametrize("palette", [False, True], ids=["grey", "palette"])
def test_the_doctor_names_the_cause_once(kind: str, palette: bool, tmp_path: Path) -> None:
    write(tmp_path, kind, palette=palette)
    found = doctor(tmp_path, workers=1)
    (cause,) = (each for each in found.problems if each.severity == "error")
    assert cause.code == "mask-classes"
    assert "(1, 2, 8, 255)" in cause.what
    assert f"carpet-data doctor {tmp_path} --mask-classes 1=NAME,2=NAME,8=NAME,255=ignore" in cause.hint
    assert not {"mask-lost", "mask-grey", "mask-palette"} & {each.code for each in found.problems}
    assert found.source is not None
    assert found.source.count("masks") == 4


def test_values_that_are_not_named_are_listed(tmp_path: Path) -> None:
    write(tmp_path, "neu")
    with pytest.raises(DataError, match=r"8 \(in 2 masks\)") as caught:
        read(tmp_path, ReadOptions(mask_classes="1=inclusion,2=patches"))
    assert "8=NAME" in str(caught.value.hint)
    dataset = read(tmp_path, ReadOptions(mask_classes="1=inclusion,2=patches,8=ignore"))
    assert dataset.categories == ("inclusion", "patches")


def test_a_mask_that_changes_behind_our_back_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "neu", border=False)
    dataset = read(tmp_path, ReadOptions(mask_classes=VALUES))
    sample = next(each for each in dataset if isinstance(each.annotation, ClassFile) and each.annotation.table)
    assert sample.mask_path is not None
    drawn(tmp_path / sample.mask_path, blot(), 77)
    with pytest.raises(DataError, match="values 77 of the index mask are not assigned to a class"):
        sample.mask()


def test_categories_keep_the_order_of_their_numbers(tmp_path: Path) -> None:
    write(tmp_path / "set", "neu")
    options = ReadOptions(mask_classes="1=zinc,2=iron,3=none,8=ash")
    assert read(tmp_path / "set", options).categories == ("zinc", "iron", "none", "ash")
    export(tmp_path / "set", "masks", tmp_path / "out", read_options=options, workers=1)
    assert read(tmp_path / "out").categories == ("zinc", "iron", "none", "ash")
    assert prepare(tmp_path / "set", tmp_path / "ready", read_options=options, workers=1).samples == 4
    assert read(tmp_path / "ready").categories == ("zinc", "iron", "none", "ash")


def test_a_background_other_than_0(tmp_path: Path) -> None:
    photo(tmp_path / "images/a.png")
    values = np.full((HEIGHT, WIDTH), 7, np.uint8)
    values[3:9, 4:12] = 0
    indexed(tmp_path / "masks/a.png", values)
    dataset = read(tmp_path, ReadOptions(mask_classes="7=background,0=pit"))
    assert dataset[0].class_name == "pit"
    np.testing.assert_array_equal(dataset[0].mask(), values == 0)


def test_what_a_binary_mask_is_not_taken_for(tmp_path: Path) -> None:
    smooth = np.zeros((HEIGHT, WIDTH), np.uint8)
    smooth[5:15, 5:15] = 255
    smooth[4, 5:15] = [10, 30, 60, 90, 120, 150, 180, 210, 240, 254]
    for name, values in (("smooth", smooth), ("binary", blot().astype(np.uint8) * 255)):
        indexed(tmp_path / f"{name}.png", values)
        assert index_values(tmp_path / f"{name}.png", values) == ()
    # Two colors of a palette are one defect, whatever they are.
    indexed(tmp_path / "palette.png", blot().astype(np.uint8), palette=True)
    assert index_values(tmp_path / "palette.png", blot().astype(np.uint8) * 128) == ()


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 8), (7, 11)])
def test_no_pixel_is_too_lonely_to_tell_class_numbers(shape: tuple[int, int], tmp_path: Path) -> None:
    for position in range(shape[0] * shape[1]):
        values = np.zeros(shape, np.uint8)
        values.flat[position] = 3
        values.flat[position - 1] = 255
        indexed(tmp_path / "mask.png", values)
        expected = () if shape == (1, 1) else (3, 255)
        assert index_values(tmp_path / "mask.png", values) == expected
        assert index_values(tmp_path / "mask.png", np.asfortranarray(values)) == expected


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_indices_of_few_bits(bits: int, tmp_path: Path) -> None:
    values = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH) % (2**bits)
    _packed_png(tmp_path / "grey.png", values, bits)
    np.testing.assert_array_equal(read_indices(tmp_path / "grey.png"), values)
    image = Image.fromarray(values)
    image.putpalette([90, 90, 90, 7, 7, 7, *voc_palette()[6:]])
    image.save(tmp_path / "palette.png", bits=bits)
    np.testing.assert_array_equal(read_indices(tmp_path / "palette.png"), values)


def test_numbers_in_color_are_refused_unless_the_channels_agree(tmp_path: Path) -> None:
    values = some_values(0, border=False)
    Image.fromarray(np.repeat(values[:, :, None], 3, axis=2)).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_indices(tmp_path / "grey.png"), values)
    Image.fromarray(np.stack([values, values * 0, values], axis=2)).save(tmp_path / "color.png")
    with pytest.raises(ImageError, match="colors are not class numbers"):
        read_indices(tmp_path / "color.png")


@pytest.mark.parametrize(
    "text",
    [
        "inclusion\npatches\nscratches\n",
        "background\ninclusion\npatches\nscratches\n",
        "__ignore__\n_background_\ninclusion\npatches\nscratches\n",
        "1: inclusion\n2: patches\n3: scratches\n",
        "id,name\n1,inclusion\n2,patches\n3,scratches\n",
        "name,value\ninclusion,1\npatches,2\nscratches,3\n",
        '{"background": 0, "inclusion": 1, "patches": 2, "scratches": 3}',
        '{"1": "inclusion", "2": "patches", "3": "scratches"}',
        '["inclusion", "patches", "scratches"]',
        '[{"id": 1, "name": "inclusion"}, {"id": 2, "name": "patches"}, {"id": 3, "name": "scratches"}]',
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ninclusion:9,0,0::\npatches:0,9,0::\nscratches:1,1,1::\n",
        "\ufeffinclusion\r\npatches\r\nscratches",
    ],
)
def test_files_that_list_classes(text: str, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text(text, encoding="utf-8")
    found = parse(str(tmp_path / "classes.txt"))
    assert found.table == ((1, "inclusion"), (2, "patches"), (3, "scratches"))
    assert (found.background, found.ignored) == ((0,), (255,))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1=a,1=b", UsageError),
        ("1=a,2=a", UsageError),
        ("1=", UsageError),
        ("x=a", UsageError),
        ("70000=a", UsageError),
        ("1=good", UsageError),
        ("0=background", UsageError),
        ("missing.txt", UsageError),
        ("empty.txt", DataError),
        ("half.json", DataError),
        ("mixed.txt", DataError),
        ("numbers.json", DataError),
    ],
)
def test_lists_that_cannot_be_understood(
    text: str, kind: type[CarpetDataError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in (
        ("empty.txt", ""),
        ("half.json", '{"a": 1'),
        ("mixed.txt", "1: a\nb\n"),
        ("numbers.json", json.dumps({"a": 1.5})),
    ):
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind):
        parse(text)


def test_our_own_lists_name_our_own_masks(tmp_path: Path) -> None:
    right = write(tmp_path / "set", "neu")
    export(tmp_path / "set", "masks", tmp_path / "out", read_options=ReadOptions(mask_classes=VALUES), workers=1)
    export(tmp_path / "set", "voc", tmp_path / "voc", read_options=ReadOptions(mask_classes=VALUES), workers=1)
    lists = (tmp_path / "out/classes.json", tmp_path / "out/labels.txt", tmp_path / "voc/labelmap.txt")
    assert {parse(str(path)).table for path in lists} == {((1, "inclusion"), (2, "patches"), (3, "scratches"))}
    assert len(right) == 4


def test_binary_masks_in_vocs_folders_are_read_as_they_are(tmp_path: Path) -> None:
    photo(tmp_path / "JPEGImages/a.jpg")
    drawn(tmp_path / "SegmentationClass/a.png", blot())
    (sample,) = read(tmp_path)
    assert sample.class_name == "defect"
    np.testing.assert_array_equal(sample.mask(), blot())
    assert doctor(tmp_path, workers=1).exit_code == 0


def test_a_voc_image_without_a_mask_is_not_taken_for_good(tmp_path: Path) -> None:
    right = write(tmp_path, "voc")
    (tmp_path / "SegmentationClass/3.png").unlink()
    dataset = read(tmp_path, ReadOptions(mask_classes=VALUES))
    assert {sample.image_path for sample in dataset} == set(right) - {"JPEGImages/3.jpg"}


def _packed_png(path: Path, values: NDArray[np.uint8], bits: int) -> None:
    """A grey PNG of 1, 2 or 4 bits, which Pillow does not write."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = values.shape
    each = np.unpackbits(values[:, :, None], axis=2)[:, :, -bits:].reshape(height, width * bits)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(each, axis=1))
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
