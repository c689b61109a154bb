"""Noise shapes of other texture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.scenes import carpet_scene, check_candidate, facts, iou_with_change
from pydantic import ValidationError

from carpet_data.synthesis.contract import Candidate, Redraw, Scene
from carpet_data.synthesis.methods.perlin import Perlin, PerlinParameters
from carpet_data.synthesis.ops.perlin_noise import perlin_noise


def render(scene: Scene, seed: int = 0, **parameters: Any) -> Candidate:
    return Perlin().render(scene, PerlinParameters(**parameters), np.random.default_rng(seed))


def attempt(scene: Scene, seed: int) -> Candidate | None:
    try:
        return render(scene, seed)
    except Redraw:
        return None


def test_noise_is_smooth_and_fills_its_range() -> None:
    noise = perlin_noise(np.random.default_rng(0), (200, 160), (32.0, 20.0), 30.0)
    assert noise.shape == (200, 160)
    assert noise.dtype == np.float32
    assert 0.3 < np.abs(noise).max() <= 1
    assert abs(float(noise.mean())) < 0.1
    # The steepest ramp of a gradient of length 1 over a cell of 20 pixels, with Perlin's curve, stays far below this.
    assert np.abs(np.diff(noise, axis=0)).max() < 0.2
    assert np.abs(np.diff(noise, axis=1)).max() < 0.2


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("texture", ["any", "host", "other"])
def test_candidates(texture: str, grey: bool) -> None:
    scene = carpet_scene("hole", grey=grey)
    before = scene.host.copy()
    for seed in range(4):
        made = render(scene, seed, texture=texture)
        check_candidate(scene, made, may_miss=0.2)
    assert (scene.host == before).all()


def test_areas_follow_the_class() -> None:
    scene = replace(carpet_scene("hole"), facts=facts(np.eye(100, dtype=np.bool_)))
    for seed in range(6):
        made = render(scene, seed, opacity_range=(1, 1), gain_range=(2, 2), zoom_range=(1, 1))
        assert made.drawn["area_px"] == pytest.approx(0.01 * scene.host.shape[0] ** 2, rel=0.25)


def test_opaque_shapes_have_exact_masks() -> None:
    scene = carpet_scene("hole")
    found = [
        iou_with_change(scene, render(scene, seed, opacity_range=(1, 1), gain_range=(0.3, 0.3))) for seed in range(4)
    ]
    assert np.mean(found) > 0.9


def test_the_same_seed_gives_the_same_image() -> None:
    scene = carpet_scene("hole")
    assert (render(scene, 3).image == render(scene, 3).image).all()
    assert (render(scene, 3).image != render(scene, 4).image).any()


def test_on_an_object_the_shape_lies_on_it() -> None:
    scene = carpet_scene("hole")
    foreground = np.zeros(scene.host.shape[:2], np.bool_)
    foreground[40:200, 100:280] = True
    made = render(replace(scene, foreground=foreground), 1, area_frac_range=(0.01, 0.02))
    assert foreground[made.mask].mean() > 0.95


def test_small_hosts_and_no_other_textures() -> None:
    scene = carpet_scene("hole")
    for side, least in ((5, 1), (12, 5), (33, 7)):
        small = replace(scene, host=scene.host[:side, :side], textures=())
        made = [one for seed in range(8) if (one := attempt(small, seed)) is not None]
        assert len(made) >= least, side
        for one in made:
            check_candidate(small, one, may_miss=0.5)


def test_texture_of_the_same_values_is_a_redraw() -> None:
    flat = np.full((80, 80), 100, np.uint8)
    scene = replace(carpet_scene("hole"), host=flat, textures=(flat,))
    with pytest.raises(Redraw):
        render(scene, 0, gain_range=(1, 1), solarize_share=0)


def test_parameters_are_strict() -> None:
    with pytest.raises(ValidationError):
        PerlinParameters(opacity_range=(0, 2))
    with pytest.raises(ValidationError):
        PerlinParameters.model_validate({"opacity": 1})
    with pytest.raises(ValidationError, match="must not be above"):
        PerlinParameters(opacity_range=(0.9, 0.1))


@pytest.mark.parametrize("grey", [False, True])
def test_null_samples_show_good_ground(grey: bool) -> None:
    scene = replace(carpet_scene("hole", grey=grey), null=True)
    made = render(scene, 3)
    assert not made.mask.any()
    changed = made.image != scene.host
    assert changed.any()
    x, y, width, height = made.box
    changed[y : y + height, x : x + width] = False
    assert not changed.any()
    # What was laid in has the brightness and the contrast of the cloth.
    new = made.image != scene.host
    assert abs(float(made.image[new].mean()) - float(scene.host.mean())) < 15
    assert 0.7 < made.image[new].std() / scene.host.std() < 1.3
