"""Clean plates: what is filled, what is never touched, and what the gate refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import products, synthesis
from helpers.scenes import carpet, grey_of
from helpers.sources import hashes

from carpet_data import store
from carpet_data.errors import DataError
from carpet_data.store import leaks
from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.engine.synthesize import synthesize
from carpet_data.synthesis.ops.masks import grown
from carpet_data.synthesis.ops.period import structure_of
from carpet_data.synthesis.ops.quilting import across
from carpet_data.synthesis.plates import gate
from carpet_data.synthesis.plates.gate import PlateVerdict, View
from carpet_data.synthesis.plates.leftovers import strangeness
from carpet_data.synthesis.plates.making import Other, Plate, make_plate
from carpet_data.synthesis.plates.survey import SurveyOptions, survey


def made(image: Image, mask: Mask, others: list[Other] | None = None, foreground: Mask | None = None) -> Plate:
    """The plate of an image; of an object if there is a foreground."""
    is_object = foreground is not None
    rng = np.random.default_rng(0)
    return make_plate(image, mask, others or [], rng, is_object=is_object, foreground=foreground)


def error(plate: Plate, clean: Image) -> float:
    """Mean absolute error where it was filled, in levels."""
    return float(np.abs(plate.image.astype(float) - clean)[plate.area].mean())


def is_exact(plate: Plate, before: Image) -> bool:
    """Whether no pixel changed outside the filled area."""
    return bool((plate.image[~plate.area] == before[~plate.area]).all())


@pytest.fixture(autouse=True)
def _methods() -> None:
    synthesis.register()


# --- textures


@pytest.mark.parametrize("class_name", ["hole", "cut", "color", "thread", "metal_contamination"])
def test_a_weave_is_quilted(class_name: str) -> None:
    shown = carpet(class_name)
    source = shown.image.copy()
    plate = made(source, shown.mask)
    assert (source == shown.image).all()
    assert plate.verdict.passed, plate.verdict
    assert is_exact(plate, shown.image)
    assert plate.area[grown(shown.mask, 4)].all()
    assert plate.filled_from == ()
    clean, filled = (image[shown.mask].astype(float) for image in (shown.clean, plate.image))
    assert np.abs(clean.mean(axis=0) - filled.mean(axis=0)).max() < 16
    assert 0.7 < filled.std() / clean.std() < 1.4


def test_the_weave_runs_through() -> None:
    """Gradients across the rim of the plate are those of the cloth: no seam stands out."""
    shown = carpet("hole")
    plate = made(shown.image, shown.mask)
    steps = np.abs(np.diff(grey_of(plate.image).astype(float), axis=1))
    near = grown(shown.mask, 30)
    inside, outside = steps[near[:, 1:]], steps[~near[:, 1:]]
    assert inside.mean() < 1.15 * outside.mean()
    assert np.quantile(inside, 0.995) < 1.25 * np.quantile(outside, 0.995)


@pytest.mark.parametrize("name", ["lattice", "steel"])
def test_textures_pass_and_lattices_keep_their_period(name: str) -> None:
    clean = texture(name)
    before, mask = products.blot(clean, 90, 80, 12, 20)
    plate = made(before, mask)
    assert plate.verdict.passed, plate.verdict
    assert is_exact(plate, before)
    # A wire in the wrong place is off by 80 levels.
    assert error(plate, clean) < 7


def test_a_painted_marker_never_shows() -> None:
    image = carpet("good").image.copy()
    mask = np.zeros(image.shape[:2], np.bool_)
    mask[140:170, 150:200] = True
    image[mask] = (255, 0, 255)
    plate = made(image, mask).image.astype(int)
    assert not ((plate[:, :, 0] - plate[:, :, 1] > 60) & (plate[:, :, 2] - plate[:, :, 1] > 60)).any()


def test_one_pixel_at_the_border_of_a_grey_image() -> None:
    image = grey_of(carpet("good").image).copy()
    mask = np.zeros(image.shape, np.bool_)
    mask[0, 0] = True
    image[0, 0] = 255
    plate = made(image, mask)
    assert plate.image.shape == image.shape
    assert is_exact(plate, image)


def test_no_defect_gives_a_copy_and_another_size_is_refused() -> None:
    image = carpet("good").image
    plate = made(image, np.zeros(image.shape[:2], np.bool_))
    assert (plate.image == image).all()
    assert plate.image is not image
    assert plate.verdict.passed
    with pytest.raises(ValueError, match="mask of shape"):
        made(np.zeros((8, 8), np.uint8), np.zeros((8, 9), np.bool_))


def test_a_defect_that_leaves_no_texture_is_refused() -> None:
    image = products.steel(0, side=64)
    mask = np.ones(image.shape, np.bool_)
    mask[:4] = False
    assert made(image, mask).verdict.reasons == ("no-room",)


# --- objects


def capsules(first: int, count: int, text: str = "500") -> list[Other]:
    return products.others([products.capsule(k, text=text) for k in range(first, first + count)])


@pytest.mark.parametrize(("x", "y"), [(105, 78), (60, 80), (82, 62)], ids=["print", "body", "outline"])
def test_an_object_is_filled_from_the_same_place_of_others(x: int, y: int) -> None:
    clean, foreground = products.capsule(0)
    before, mask = products.blot(clean, x, y, 9, 250)
    plate = made(before, mask, capsules(1, 8), foreground)
    assert plate.verdict.passed, plate.verdict
    assert is_exact(plate, before)
    assert plate.area[grown(mask, 3)].all()
    assert len(plate.filled_from) == 1
    assert error(plate, clean) < 4


def test_a_turned_object_is_filled_along_its_axis() -> None:
    clean, foreground = products.screw(0)
    before, mask = products.blot(clean, 80, 80, 8, 240)
    turned = products.others([products.screw(k) for k in range(1, 10)])
    plate = made(before, mask, turned, foreground)
    assert plate.verdict.passed, plate.verdict
    assert error(plate, clean) < 6


def test_two_defects_far_apart_may_come_from_two_images() -> None:
    clean, foreground = products.capsule(0)
    before, first = products.blot(clean, 105, 78, 7, 250)
    before, second = products.blot(before, 40, 80, 7, 250)
    # Each of the others is spoiled where one of the two defects is.
    spoiled = []
    for number, other in enumerate(capsules(1, 10)):
        image, mask = products.blot(other.image, *((105, 78) if number % 2 else (40, 80)), 9, 0)
        spoiled.append(replace(other, image=image, mask=mask))
    plate = made(before, first | second, spoiled, foreground)
    assert plate.verdict.passed, plate.verdict
    assert {name[-1] in "02468" for name in plate.filled_from} == {True, False}
    assert error(plate, clean) < 5


def test_an_object_is_never_filled_from_where_others_are_spoiled() -> None:
    clean, foreground = products.capsule(0)
    before, mask = products.blot(clean, 105, 78, 9, 250)
    spoiled = []
    for other in capsules(1, 8):
        image, hole = products.blot(other.image, 105, 78, 12, 0)
        spoiled.append(replace(other, image=image, mask=hole))
    plate = made(before, mask, spoiled, foreground)
    assert plate.verdict.reasons == ("no-reference",)
    assert (plate.image == before).all()


def test_an_object_that_too_few_others_can_confirm_is_refused() -> None:
    clean, foreground = products.capsule(0)
    before, mask = products.blot(clean, 105, 78, 9, 250)
    assert made(before, mask, [], foreground).verdict.reasons == ("no-reference",)
    assert made(before, mask, capsules(1, 2), foreground).verdict.reasons == ("few-places",)


def test_other_products_are_no_reference() -> None:
    clean, foreground = products.capsule(0)
    before, mask = products.blot(clean, 105, 78, 9, 250)
    screws = [
        replace(other, image=cv2.cvtColor(other.image, cv2.COLOR_GRAY2RGB).astype(np.uint8))
        for other in products.others([products.screw(k) for k in range(6)])
    ]
    assert not made(before, mask, screws, foreground).verdict.passed


def test_a_cut_through_print_that_reads_otherwise_is_refused() -> None:
    """Half of a digit of one print and half of another: nobody may take it for good."""
    clean, foreground = products.capsule(0, text="500")
    mask = np.zeros(foreground.shape, np.bool_)
    mask[70:79, 86:124] = True
    before = clean.copy()
    before[mask] = 250
    assert not made(before, mask, capsules(1, 8, "HXW"), foreground).verdict.passed


# --- the gate


def planted(image: Image, filling: Image, radius: int = 20) -> PlateVerdict:
    """The verdict on an image with a disc of another filling in it."""
    area = np.zeros(image.shape[:2], np.uint8)
    cv2.circle(area, (image.shape[1] // 2, image.shape[0] // 2), radius, 1, -1)
    inside = area > 0
    plate = image.copy()
    plate[inside] = filling[inside]
    view = View(plate, ~inside)
    return gate.judged_by_places(view, inside, across(inside, ~inside), [], np.random.default_rng(0))


def period_score(image: Image, filling: Image) -> float:
    """How far a disc of another filling is off the period."""
    area = np.zeros(image.shape, np.uint8)
    cv2.circle(area, (96, 96), 20, 1, -1)
    plate = np.where(area > 0, filling, image)
    return gate.off_period(View(plate, area == 0), area > 0, structure_of(image, area > 0))


def texture(name: str, k: int = 0) -> Image:
    """A clean texture, grayscale."""
    return {"lattice": products.lattice, "steel": products.steel}.get(name, lambda k: grey_of(carpet("good", k).image))(
        k
    )


RUIN = {
    "gray patch": ("lattice", "steel", "weave"),
    "brighter": ("lattice", "steel", "weave"),
    "blurred": ("lattice", "steel", "weave"),
    "other grain": ("lattice", "steel", "weave"),
    "half a period": ("lattice",),
    "turned": ("steel",),
}


@pytest.mark.parametrize(("name", "ruin"), [(name, ruin) for ruin, names in RUIN.items() for name in names])
def test_planted_ruin_is_refused(name: str, ruin: str) -> None:
    image = texture(name)
    # The yarns of a weave differ more from each other than rolled steel from itself.
    strong = 24 if name == "weave" else 12
    noise = np.random.default_rng(1).normal(0, strong, image.shape)
    filling = {
        "gray patch": np.full_like(image, int(image.mean())),
        "brighter": np.clip(image + 1.5 * strong, 0, 255).astype(np.uint8),
        "blurred": cv2.GaussianBlur(image, (0, 0), 2).astype(np.uint8),
        "other grain": np.clip(image + noise, 0, 255).astype(np.uint8),
        "half a period": np.roll(image, 8, axis=1),
        "turned": np.ascontiguousarray(np.rot90(image)),
    }[ruin]
    verdict = planted(image, filling)
    if ruin == "half a period":
        # Its gradients are those of any other place: only the neighbors tell.
        verdict = verdict.with_score("period", period_score(image, filling))
        assert period_score(image, image) < 1
    assert not verdict.passed, verdict


@pytest.mark.parametrize("name", ["lattice", "steel", "weave"])
def test_untouched_places_pass(name: str) -> None:
    images = [texture(name, k) for k in range(5)]
    assert sum(planted(image, image).passed for image in images) >= 4


def test_a_defect_that_the_mask_forgot_is_found() -> None:
    image = products.steel(0)
    before, mask = products.blot(image, 90, 80, 12, 20)
    before, _ = products.blot(before, 150, 150, 9, 24)
    assert made(before, mask).verdict.reasons == ("leftover",)


def test_a_spot_on_an_object_that_no_other_has_is_found() -> None:
    good = [products.capsule(k)[0] for k in range(6)]
    everywhere = [np.ones(image.shape[:2], np.bool_) for image in good]
    spoiled, _ = products.blot(good[0], 60, 80, 8, 240)
    assert strangeness(good[0], everywhere, good[1:]) < 1
    assert strangeness(spoiled, everywhere, good[1:]) > 1


def test_a_changed_pixel_outside_is_counted() -> None:
    image = products.steel(0)
    area = np.zeros(image.shape, np.bool_)
    area[50:60, 50:60] = True
    plate = image.copy()
    plate[0, 0] ^= 1
    assert gate.changed_outside(plate, image, area) == 1
    assert not PlateVerdict().with_score("outside", 2.0).passed


# --- the engine


def set_without_good(folder: Path, size: int = 96) -> Path:
    return synthesis.dataset(folder / "set", {"test/hole": 6, "test/thread": 4}, size=size)


def test_only_training_images_are_looked_at_and_a_verdict_is_kept(tmp_path: Path) -> None:
    root = set_without_good(tmp_path)
    data = store.read(root)
    train = data.on_side("train", "main").of_origin("real")
    records = survey(root, train.samples, SurveyOptions(is_object=False, workers=1))
    ids = {sample.id for sample in train.samples}
    assert {record.sample.id for record in records} == ids
    files = hashes(root / "plates")
    assert sum(name.endswith(".json") for name in files) == len(records)
    assert survey(root, train.samples, SurveyOptions(is_object=False, workers=1)) == records
    assert hashes(root / "plates") == files
    for record in records:
        kept = json.loads((root / "plates" / f"{record.key}.json").read_text(encoding="utf-8"))
        assert (kept["image"], kept["passed"]) == (record.sample.id, record.passed)
    # Another image to compare with is another plate.
    fewer = survey(root, train.samples[1:], SurveyOptions(is_object=False, workers=1))
    assert not {record.key for record in fewer} & {record.key for record in records}


def test_the_sheet_is_written_and_named_and_a_dry_run_leaves_nothing(tmp_path: Path) -> None:
    root = set_without_good(tmp_path)
    recipe = synthesis.recipe(tmp_path)
    before = hashes(root)
    planned = synthesize(root, ["hole"], 2, recipe=recipe, workers=1, dry_run=True)
    assert hashes(root) == before
    report = planned.classes["hole"]
    assert report.plates_tried == report.plates + sum(1 for _ in report.plates_refused)
    done = synthesize(root, ["hole", "thread"], 2, recipe=recipe, workers=1)
    (sheet,) = (path for path in done.sheets if path.name.startswith("plates_"))
    assert sheet.is_file()
    assert str(sheet) in done.text()
    assert "clean backgrounds: " in done.text()
    assert done.classes["hole"].hosts == report.plates


def test_where_no_background_passes_the_error_counts_the_reasons_and_names_what_works(tmp_path: Path) -> None:
    root = tmp_path / "source"
    for folder in ("test/hole", "ground_truth/hole"):
        (root / folder).mkdir(parents=True)
    for number in range(6):
        rng = np.random.default_rng(number)
        # Every column another texture: whatever is filled in comes from elsewhere, and shows.
        image = rng.normal(0, 1, (96, 96)) * np.linspace(1, 60, 96) + 128
        mask = np.zeros((96, 96), np.uint8)
        mask[8:88, 30:50] = 255
        cv2.imwrite(str(root / f"test/hole/{number}.png"), np.clip(image, 0, 255).astype(np.uint8))
        cv2.imwrite(str(root / f"ground_truth/hole/{number}_mask.png"), mask)
    from carpet_data.preparation.prepare import prepare

    prepare(root, tmp_path / "set", workers=1)
    recipe = synthesis.recipe(tmp_path, more=synthesis.LENIENT + "subject: texture\n")
    with pytest.raises(DataError, match=r"failed the checks \(.*\d") as caught:
        synthesize(tmp_path / "set", ["hole"], 2, recipe=recipe, workers=1)
    assert "--recipe augment" in str(caught.value.hint)
    assert "good images" in str(caught.value.hint)
    assert synthesize(tmp_path / "set", ["hole"], 1, recipe="augment", workers=1).classes["hole"].made == 1


def write_objects(folder: Path) -> Path:
    """A raw set of capsules with a blot each, and no good image."""
    for side in ("test/poke", "ground_truth/poke"):
        (folder / side).mkdir(parents=True)
    for number in range(12):
        image, _ = products.capsule(number)
        x, y = ((118, 80), (40, 80), (25, 25))[number % 3]
        before, mask = products.blot(image, x, y, 7, 250)
        cv2.imwrite(str(folder / f"test/poke/{number:03}.png"), before[:, :, ::-1])
        cv2.imwrite(str(folder / f"ground_truth/poke/{number:03}_mask.png"), mask.astype(np.uint8) * 255)
    return folder


def test_the_record_names_the_images_that_lent_pixels_and_leaks_of_them_are_found(tmp_path: Path) -> None:
    from carpet_data.preparation.options import GroupOptions
    from carpet_data.preparation.prepare import prepare

    source = write_objects(tmp_path / "source")
    root = tmp_path / "set"
    prepare(source, root, group_options=GroupOptions(near_duplicates=False), workers=1)
    done = synthesize(root, ["poke"], 3, recipe=synthesis.recipe(tmp_path), workers=1)
    assert done.classes["poke"].plates >= 3
    data = store.read(root)
    train = {sample.id for sample in data.on_side("train", "main").samples}
    new = [sample for sample in data.samples if sample.origin == "synthetic"]
    for sample in new:
        record = sample.provenance or {}
        assert record["plate"] is True
        assert record["plate_from"]
        assert set(record["plate_from"]) <= train - {record["host"]}
        assert ("plate source", record["plate_from"][0]) in list(leaks.ancestors(record))
    assert list(store.verify(root)) == []
    # The same record beside a split that holds the lender out is a leak.
    lender = (new[0].provenance or {})["plate_from"][0]
    split = data.splits["main"]
    held_out = replace(split, sides={**split.sides, lender: "test"})
    found = leaks.of_provenance({sample.id: sample for sample in data.samples}, {}, [held_out])
    assert any("plate source" in problem.what for problem in found)
