"""Defects drawn without donors: what changes, what the mask says, and that the weave of a photograph is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from carpet_data.core import images
from carpet_data.errors import UsageError
from carpet_data.synthesis.contract import Candidate, Facts, Image, Redraw, Scene
from carpet_data.synthesis.defect_models.fabric import find_fabric
from carpet_data.synthesis.defect_models.kinds import KINDS, kind_of
from carpet_data.synthesis.methods.procedural import Procedural, ProceduralParameters
from carpet_data.synthesis.ops.foreground import object_core
from carpet_data.weave import make_cloth
from carpet_data.weave.image import generator, render

GENERIC = [name for name, kind in KINDS.items() if kind.draw is not None]


def facts(class_name: str = "hole", areas: tuple[float, ...] = (), border: float = 0.0) -> Facts:
    return Facts(class_name, areas, (1,) * len(areas), (), border, is_object=False)


def scene(host: Image, about: Facts | None = None, foreground: NDArray[np.bool_] | None = None) -> Scene:
    return Scene(host, foreground, (), (), about or facts())


def draw(host: Image, about: Facts | None = None, seed: int = 0, **parameters: object) -> Candidate:
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    return Procedural().render(scene(host, about), ProceduralParameters(**parameters), rng)


@pytest.fixture(scope="module")
def cloth() -> Image:
    return render("good", generator(3, "train", "good", 0, 512), 512).clean


def plain(height: int = 90, width: int = 120, value: int = 130) -> Image:
    rng = np.random.default_rng(5)
    return np.clip(rng.normal(value, 4, (height, width)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_mask_holds_every_changed_pixel_and_the_defect_is_visible(kind: str, cloth: Image) -> None:
    before = cloth.copy()
    made = draw(cloth, kind=kind)
    assert np.array_equal(cloth, before)
    assert made.image.shape == cloth.shape
    assert made.image.dtype == np.uint8
    changed = np.abs(made.image.astype(int) - cloth).max(axis=2)
    assert not changed[~made.mask].any()
    assert changed[made.mask].mean() > 5
    x, y, width, height = made.box
    outside = np.ones_like(made.mask)
    outside[y : y + height, x : x + width] = False
    assert not made.mask[outside].any()
    assert made.drawn["kind"] == kind


@pytest.mark.parametrize("kind", ["hole", "cut", "color", "thread", "metal_contamination"])
def test_mask_and_difference_agree(kind: str, cloth: Image) -> None:
    ious = []
    for seed in range(6):
        made = draw(cloth, kind=kind, seed=seed)
        changed = (np.abs(made.image.astype(int) - cloth).max(axis=2) > 8).astype(np.uint8)
        # A displaced yarn crosses its old place here and there: gaps of less than half a yarn count as changed.
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
        seen = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, disc) > 0
        ious.append((seen & made.mask).sum() / (seen | made.mask).sum())
    assert np.median(ious) > 0.9


def test_equal_seeds_draw_equal_pixels_and_others_do_not(cloth: Image) -> None:
    one, same, other = (draw(cloth, kind="hole", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.image, same.image)
    assert np.array_equal(one.mask, same.mask)
    assert one.drawn == same.drawn
    assert not np.array_equal(one.mask, other.mask)


@pytest.mark.parametrize("kind", list(KINDS))
def test_grey_hosts_without_a_weave_stay_grey(kind: str) -> None:
    host = plain(160, 200)
    made = draw(host, kind=kind, extent_frac_range=(0.4, 0.5))
    assert made.image.shape == host.shape
    assert made.mask.any()
    assert not (made.image != host)[~made.mask].any()


@settings(max_examples=examples(40), deadline=None)
@given(
    kind=st.sampled_from(GENERIC),
    height=st.integers(3, 60),
    width=st.integers(3, 60),
    extent=st.floats(0.0, 1.0),
    seed=st.integers(0, 999),
)
def test_any_size_gives_a_candidate_or_asks_to_draw_again(
    kind: str, height: int, width: int, extent: float, seed: int
) -> None:
    host = plain(height, width)
    try:
        made = draw(host, facts(border=1.0), seed, kind=kind, extent_frac_range=(extent, extent))
    except Redraw:
        return
    assert made.mask.any()
    assert made.image.shape == host.shape
    assert not (made.image != host)[~made.mask].any()


def test_the_area_follows_the_class(cloth: Image) -> None:
    large, small = (
        [draw(cloth, facts(areas=(area,)), seed, kind="spot").mask.mean() for seed in range(8)]
        for area in (0.02, 0.002)
    )
    assert 0.5 < np.median(large) / 0.02 < 2
    assert 0.5 < np.median(small) / 0.002 < 2


def test_nothing_reaches_the_border_unless_the_class_does(cloth: Image) -> None:
    def on_border(share: float) -> int:
        made = [
            draw(cloth, facts(border=share), seed, kind="stain", extent_frac_range=(0.3, 0.3)) for seed in range(12)
        ]
        return sum(bool(m.mask[0].any() or m.mask[-1].any() or m.mask[:, 0].any() or m.mask[:, -1].any()) for m in made)

    assert on_border(0.0) == 0
    assert on_border(1.0) > 0


def test_a_defect_of_an_object_stays_on_it() -> None:
    host = plain(200, 200)
    foreground = np.zeros(host.shape, np.bool_)
    foreground[60:140, 80:120] = True
    for seed in range(6):
        rng = np.random.default_rng(seed)
        made = Procedural().render(scene(host, foreground=foreground), ProceduralParameters(kind="stain"), rng)
        assert made.mask.any()
        assert not made.mask[~foreground].any()
    with pytest.raises(Redraw, match="no object"):
        Procedural().render(
            scene(host, foreground=~np.ones(host.shape, np.bool_)), ProceduralParameters(kind="spot"), rng
        )


@pytest.mark.parametrize("kind", ["hole", "stain"])
def test_a_null_sample_shows_no_defect(kind: str, cloth: Image) -> None:
    null = Scene(cloth, None, (), (), facts(), null=True)
    made = Procedural().render(null, ProceduralParameters(kind=kind), np.random.default_rng(0))
    assert not made.mask.any()
    change = np.abs(made.image.astype(float) - cloth)
    defect = draw(cloth, kind=kind)
    assert change.mean() < 0.35 * np.abs(defect.image.astype(float) - cloth).mean()
    assert bool(change.any()) == (kind == "hole")


def test_the_shadow_of_an_object_is_not_the_object() -> None:
    image = np.full((300, 300), 190, np.uint8)
    generous, thing = (np.zeros(image.shape, np.bool_) for _ in range(2))
    generous[80:220, 60:240] = True
    thing[100:180, 80:200] = True
    shadow = generous & ~thing
    image[shadow] = 165
    image[thing] = 70
    image[130:150, 120:160] = 195  # a highlight, as bright as the ground
    core = object_core(image, generous)
    assert not core[~thing].any()
    assert core.sum() > 0.85 * thing.sum()
    # Nothing to tell apart: the foreground stays.
    flat = np.full((300, 300), 190, np.uint8)
    assert np.array_equal(object_core(flat, generous), generous)
    everywhere = np.ones(image.shape, np.bool_)
    assert np.array_equal(object_core(image, everywhere), everywhere)


def test_a_black_host_shows_a_light_defect() -> None:
    host = np.zeros((100, 100), np.uint8)
    made = draw(host, kind="spot", extent_frac_range=(0.2, 0.2))
    assert made.image[made.mask].mean() > 20
    with pytest.raises(Redraw, match="cannot be seen"):
        draw(host, kind="stain", tone="dark", strength_range=(0.3, 0.3))


@pytest.mark.parametrize(
    ("name", "woven", "kind"),
    [
        ("hole", True, "hole"), ("hole", False, "spot"), ("color", True, "color"), ("colour", False, "stain"),
        ("scratch_neck", False, "scratch"), ("blowhole", False, "spot"), ("crack", False, "crack"),
        ("metal_contamination", False, "metal_contamination"), ("thread", True, "thread"),
        ("thread_side", False, None), ("poke", False, None), ("crack_scratch", False, None),
    ],
)  # fmt: skip
def test_kinds_by_name(name: str, woven: bool, kind: str | None) -> None:
    assert kind_of(name, woven=woven) == kind


def test_a_class_whose_name_says_nothing_is_an_error_that_helps() -> None:
    with pytest.raises(UsageError, match="poke") as caught:
        draw(plain(), facts("poke"))
    assert "parameters.kind" in str(caught.value.hint)


@pytest.mark.parametrize("seed", range(4))
def test_the_weave_of_a_cloth_is_found(seed: int) -> None:
    cloth = make_cloth(generator(seed, "train", "good", 0, 512), 512)
    image = render("good", generator(seed, "train", "good", 0, 512), 512).clean
    found = find_fabric(image, (250, 260))
    assert found is not None
    turned = (found.angle - cloth.angle + np.pi / 4) % (np.pi / 2) - np.pi / 4
    assert abs(np.rad2deg(turned)) < 1.5
    expected = sorted(float(np.diff(yarns.centers).mean()) * cloth.unit for yarns in (cloth.warp, cloth.weft))
    assert sorted(found.pitch) == pytest.approx(expected, rel=0.06)


def test_no_weave_is_found_where_there_is_none() -> None:
    assert find_fabric(plain(400, 400), (200, 200)) is None
    assert find_fabric(np.full((300, 300, 3), 77, np.uint8), (10, 10)) is None
    assert find_fabric(plain(10, 10), (5, 5)) is None


@pytest.mark.real
def test_real_carpet(real_data: Callable[[str], Path]) -> None:
    host = images.read(real_data("mvtec/carpet") / "test" / "good" / "000.png")
    fabric = find_fabric(host, (512, 512))
    assert fabric is not None
    assert sorted(fabric.pitch) == pytest.approx([21.3, 25.8], abs=1.0)
    made = draw(host, facts("cut"))
    assert made.drawn["kind"] == "cut"
    assert 0.01 < made.mask.mean() < 0.06


@pytest.mark.real
def test_real_magnetic_tiles_have_no_weave(real_data: Callable[[str], Path]) -> None:
    paths = sorted((real_data("mtd") / "train" / "good").iterdir())[::100]
    assert len(paths) > 5
    for path in paths:
        host = images.read(path)
        assert find_fabric(host, (host.shape[1] / 2, host.shape[0] / 2)) is None
        assert draw(host, facts("blowhole"), kind="auto").drawn["kind"] == "spot"
