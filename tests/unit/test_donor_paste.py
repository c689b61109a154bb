"""Donor paste: where defects go, how they are joined to the host, and what the mask says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from carpet_data.synthesis.contract import Candidate, Donor, Facts, Image, Mask, Redraw, Scene
from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.methods.donor_paste import DonorPaste
from carpet_data.synthesis.ops import donor_style
from carpet_data.weave.image import generator, render

SIZE = 512


def facts(*, is_object: bool = False) -> Facts:
    return Facts("hole", (0.01,), (1,), ((0.25, 0.75),), 0.0, is_object)


def cut(image: Image, mask: Mask, foreground: Mask | None = None, collar: int = 40) -> Donor:
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    left, top = max(0, x - collar), max(0, y - collar)
    right, bottom = min(mask.shape[1], x + width + collar), min(mask.shape[0], y + height + collar)
    pixels = np.ascontiguousarray(image[top:bottom, left:right])
    box = (left, top, right - left, bottom - top)
    return Donor("d", pixels, mask[top:bottom, left:right].copy(), box, (mask.shape[1], mask.shape[0]), foreground)


def paste(
    host: Image, donor: Donor, seed: int = 0, foreground: Mask | None = None, null: bool = False, **parameters: object
) -> Candidate:
    about = facts(is_object=foreground is not None)
    scene = Scene(host, foreground, (donor,), (), about, null=null)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    return DonorPaste().render(scene, DonorPasteParameters(**parameters), rng)


def pasted(host: Image, donor: Donor, *, tries: int = 20, **rest: object) -> Candidate:
    """As the engine does it: draw again after a Redraw."""
    for seed in range(tries):
        try:
            return paste(host, donor, seed, **rest)  # type: ignore[arg-type]
        except Redraw as error:  # noqa: PERF203
            said = str(error)
    pytest.fail(f"every draw was refused: {said}")


def changed(candidate: Candidate, host: Image) -> Mask:
    difference = cv2.absdiff(candidate.image, host)
    difference = difference if difference.ndim == 2 else difference.max(axis=2)
    return cv2.morphologyEx((difference > 8).view(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) > 0


def overlap(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.fixture(scope="module")
def cloth() -> Image:
    return render("good", generator(3, "train", "good", 0, SIZE), SIZE).image


@pytest.fixture(scope="module")
def donors() -> dict[str, Donor]:
    made = {}
    for name in ("color", "hole", "metal_contamination"):
        drawn = render(name, generator(3, "test", name, 0, SIZE), SIZE)
        made[name] = cut(drawn.image, drawn.mask)
    return made


def plain(height: int = 120, width: int = 160, value: float = 130.0, seed: int = 5) -> Image:
    return np.clip(np.random.default_rng(seed).normal(value, 3, (height, width)), 0, 255).astype(np.uint8)


def pit(value: float = 130.0) -> Donor:
    image, mask = plain(value=value, seed=6), np.zeros((120, 160), np.bool_)
    mask[50:62, 70:90] = True
    image[mask] = 60
    return cut(image, mask)


@pytest.mark.parametrize(("name", "style"), [("color", "tint"), ("hole", "seam"), ("metal_contamination", "cutout")])
def test_the_way_to_blend_is_read_from_the_donor(name: str, style: str, donors: dict[str, Donor]) -> None:
    assert donor_style.measure(donors[name].image, donors[name].mask, is_object=False).style == style


def test_a_small_pit_on_smooth_ground_is_a_relief_and_a_part_of_an_object_a_seam() -> None:
    donor = pit()
    assert donor_style.measure(donor.image, donor.mask, is_object=False).style == "relief"
    assert donor_style.measure(donor.image, donor.mask, is_object=True).style == "seam"


def test_a_stain_keeps_the_texture_of_the_host(cloth: Image, donors: dict[str, Donor]) -> None:
    made = pasted(cloth, donors["color"])
    inside = cv2.erode(made.mask.view(np.uint8), np.ones((15, 15), np.uint8)) > 0

    def texture(image: Image) -> NDArray[np.float64]:
        light = np.log(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64) + 8)
        return (light - cv2.GaussianBlur(light, (0, 0), 6))[inside]

    assert np.corrcoef(texture(made.image), texture(cloth))[0, 1] > 0.95
    # The stain itself came over: its darkest part is as dark as on the donor.
    donor = donors["color"]
    far = cv2.dilate(donor.mask.view(np.uint8), np.ones((9, 9), np.uint8)) == 0

    def low(image: Image) -> NDArray[np.float64]:
        return cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64), (0, 0), 10)

    there = (low(donor.image) / donor.image[far].mean()).min()
    here = (low(made.image) / low(cloth)).min()
    assert here == pytest.approx(there, rel=0.25)


@pytest.mark.parametrize("name", ["hole", "metal_contamination"])
def test_the_mask_is_what_changed(name: str, cloth: Image, donors: dict[str, Donor]) -> None:
    made = pasted(cloth, donors[name])
    assert overlap(made.mask, changed(made, cloth)) > 0.85
    assert np.mean(changed(made, cloth) & ~made.mask) < 0.002


def test_only_the_box_is_touched_and_the_host_is_not_written(cloth: Image, donors: dict[str, Donor]) -> None:
    before = cloth.copy()
    made = pasted(cloth, donors["hole"])
    assert np.array_equal(cloth, before)
    x, y, width, height = made.box
    outside = np.ones(cloth.shape[:2], np.bool_)
    outside[y : y + height, x : x + width] = False
    assert np.array_equal(made.image[outside], cloth[outside])
    assert not made.mask[outside].any()


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others(cloth: Image, donors: dict[str, Donor]) -> None:
    first, second = (paste(cloth, donors["metal_contamination"], 7) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.mask, second.mask)
    assert first.drawn == second.drawn
    assert not np.array_equal(first.image, paste(cloth, donors["metal_contamination"], 8).image)


@pytest.mark.parametrize("style", ["tint", "relief", "cutout", "seam"])
@pytest.mark.parametrize("colour", [False, True])
def test_every_way_works_on_grey_and_on_colour(style: str, colour: bool) -> None:
    host = plain(200, 220)
    host = np.repeat(host[..., None], 3, axis=2) if colour else host
    made = pasted(host, pit(), blend=style)  # the donor is grey: it is brought to the host's channels
    assert made.image.shape == host.shape
    assert made.image.dtype == np.uint8
    assert overlap(made.mask, changed(made, host)) > 0.7
    assert made.drawn["blend"] == style


def test_a_pit_is_as_dark_in_proportion_on_a_darker_host() -> None:
    host = plain(200, 220, value=70)
    made = pasted(host, pit(value=130), blend="seam", scale_range=(1, 1), swell_range=(0, 0))
    core = cv2.erode(made.mask.view(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert made.image[core].mean() == pytest.approx(60 * 70 / 130, rel=0.2)


def test_a_null_sample_has_no_mask_and_is_never_refused(cloth: Image) -> None:
    other = render("good", generator(3, "train", "good", 1, SIZE), SIZE).image
    mask = np.zeros((SIZE, SIZE), np.bool_)
    cv2.circle(mask.view(np.uint8), (200, 240), 40, 1, -1)
    for seed in range(5):
        made = paste(cloth, cut(other, mask), seed, null=True, max_mismatch=1e-9, max_seam=1e-9)
        assert not made.mask.any()


def test_what_cannot_be_seen_is_drawn_again() -> None:
    image, mask = plain(seed=6), np.zeros((120, 160), np.bool_)
    mask[50:62, 70:90] = True
    with pytest.raises(Redraw, match="cannot be seen"):
        paste(plain(200, 220), cut(image, mask), blend="tint")


def test_a_donor_larger_than_the_host_is_drawn_again_with_both_sizes() -> None:
    with pytest.raises(Redraw, match=r"the defect is \d+x\d+ pixels after the warp, the host 10x10"):
        paste(plain(10, 10), pit())


def test_a_donor_with_an_empty_mask_is_refused_by_name() -> None:
    donor = Donor("abc", plain(20, 20), np.zeros((20, 20), np.bool_), (0, 0, 20, 20), (20, 20))
    with pytest.raises(Redraw, match="abc"):
        paste(plain(), donor)


def test_a_defect_at_the_border_goes_to_the_same_border() -> None:
    image, mask = plain(seed=6), np.zeros((120, 160), np.bool_)
    mask[100:120, 60:90] = True
    image[mask] = 50
    for seed in range(6):
        made = paste(plain(300, 260), cut(image, mask), seed, blend="cutout")
        assert made.mask[-1].any()
        assert not made.mask[0].any()
        assert not made.mask[:, 0].any()
    side = np.ascontiguousarray(image.T), np.ascontiguousarray(mask.T)
    reached = set()
    for seed in range(12):
        made = paste(plain(300, 260), cut(*side), seed, blend="cutout")
        reached |= {"left"} if made.mask[:, 0].any() else {"right"} if made.mask[:, -1].any() else {"none"}
    assert reached == {"left", "right"}  # mirrored for half of the draws, never inside


def test_a_defect_from_border_to_border_spans_the_host_or_is_drawn_again() -> None:
    image, mask = plain(seed=6), np.zeros((120, 160), np.bool_)
    mask[40:60] = True
    image[mask] = 50
    made = pasted(plain(120, 200), cut(image, mask), blend="cutout")
    assert made.mask[:, 0].any()
    assert made.mask[:, -1].any()
    with pytest.raises(Redraw, match="border to border"):
        paste(plain(120, 900), cut(image, mask), blend="cutout")


def bar(angle_deg: float, center: tuple[float, float], size: int = 300) -> tuple[Image, Mask, NDArray[np.float64]]:
    """A dark bar with a heavy head on a bright ground, and the matrix from its own frame to the image."""
    angle = np.deg2rad(angle_deg)
    matrix = np.array([[np.cos(angle), -np.sin(angle), center[0]], [np.sin(angle), np.cos(angle), center[1]]])
    thing = np.zeros((size, size), np.uint8)
    for corners in (
        [(-90, -10), (60, -10), (60, 10), (-90, 10)],
        [(60, -30), (90, -30), (90, 30), (60, 30)],
    ):
        points = np.array(corners) @ matrix[:, :2].T + matrix[:, 2]
        cv2.fillPoly(thing, [np.round(points).astype(np.int32)], 1)
    image = np.where(thing > 0, 80, 200).astype(np.float64)
    image += np.random.default_rng(1).normal(0, 2, image.shape)
    return image.astype(np.uint8), thing > 0, matrix


@pytest.mark.parametrize("angle", [0.0, 70.0, 160.0, -125.0])
def test_a_defect_of_an_object_goes_to_the_same_part_of_it(angle: float) -> None:
    image, thing, matrix = bar(20, (150, 150))
    spot = np.array([-45.0, 2.0])  # on the thin end, in the object's own frame
    there = matrix[:, :2] @ spot + matrix[:, 2]
    mask = np.zeros(thing.shape, np.uint8)
    cv2.circle(mask, (round(there[0]), round(there[1])), 5, 1, -1)
    image[mask > 0] = 240
    host, foreground, own = bar(angle, (145, 158))
    made = pasted(host, cut(image, mask > 0, thing, collar=24), foreground=foreground)
    expected = own[:, :2] @ spot + own[:, 2]
    ys, xs = np.nonzero(made.mask)
    assert np.hypot(xs.mean() - expected[0], ys.mean() - expected[1]) < 6
    assert 0.8 * mask.sum() < made.mask.sum() < 2 * mask.sum()


def test_the_mask_can_be_the_annotators_and_can_be_grown() -> None:
    host, fixed = plain(200, 220), {"scale_range": (1, 1), "stretch_range": (1, 1), "elastic_frac": 0, "bend_frac": 0}
    donor = pit()
    loose = np.asarray(cv2.dilate(donor.mask.view(np.uint8), np.ones((11, 11), np.uint8))) > 0
    around = Donor("d", donor.image, loose, donor.box, donor.size)
    tight = pasted(host, around, **fixed)
    drawn = pasted(host, around, mask="annotated", **fixed)
    assert drawn.mask.sum() == pytest.approx(loose.sum(), rel=0.1)
    assert tight.mask.sum() < 0.75 * drawn.mask.sum()
    grown = pasted(host, around, dilate_px=4, **fixed)
    assert not (tight.mask & ~grown.mask).any()
    assert grown.mask.sum() > 1.3 * tight.mask.sum()


def test_defects_can_be_put_where_train_defects_are() -> None:
    for seed in range(5):
        made = paste(plain(400, 400), pit(), seed, place="train")
        ys, xs = np.nonzero(made.mask)
        assert np.hypot(xs.mean() - 100, ys.mean() - 300) < 80  # the facts name (0.25, 0.75)


def test_of_a_donor_with_parts_some_are_left_out() -> None:
    image, mask = plain(seed=6), np.zeros((120, 160), np.bool_)
    mask[10:20, 10:20] = mask[90:105, 130:150] = True
    image[mask] = 50
    counts = set()
    for seed in range(12):
        made = paste(plain(400, 400), cut(image, mask), seed, split_share=1.0)
        counts.add(cv2.connectedComponents(made.mask.view(np.uint8))[0] - 1)
    assert counts == {1, 2}


def test_a_defect_of_one_pixel_is_pasted() -> None:
    image, mask = plain(seed=6), np.zeros((120, 160), np.bool_)
    mask[60, 80] = True
    image[mask] = 10
    made = pasted(plain(200, 220), cut(image, mask))
    assert 1 <= made.mask.sum() <= 25


def test_a_loose_outline_around_a_dark_thing_is_drawn_in_and_one_around_nothing_distinct_is_not(cloth: Image) -> None:
    thread, loose = np.zeros((SIZE, SIZE), np.uint8), np.zeros((SIZE, SIZE), np.uint8)
    cv2.line(thread, (200, 200), (280, 240), 1, 12)
    cv2.line(loose, (200, 200), (280, 240), 1, 24)
    image = cloth.copy()
    image[thread > 0] = 5
    tight = donor_style.tightened(image, loose > 0)
    assert overlap(tight, thread > 0) > overlap(loose > 0, thread > 0) + 0.1
    assert not (tight & ~(loose > 0)).any()
    assert np.array_equal(donor_style.tightened(cloth, loose > 0), loose > 0)


def test_a_recipe_with_an_unknown_field_or_a_range_upside_down_is_refused() -> None:
    with pytest.raises(ValidationError, match="colour"):
        DonorPasteParameters(colour=1)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="must not be above"):
        DonorPasteParameters(scale_range=(1.2, 0.8))
    with pytest.raises(ValidationError, match=r"between 0\.05 and 20"):
        DonorPasteParameters(scale_range=(0.0, 0.8))


def test_every_parameter_is_described() -> None:
    assert all(field.description for field in DonorPasteParameters.model_fields.values())
