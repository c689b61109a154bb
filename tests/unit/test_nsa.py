"""Natural synthetic anomalies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.scenes import carpet, carpet_scene, check_candidate
from pydantic import ValidationError

from carpet_data.synthesis.contract import Candidate, Redraw, Scene
from carpet_data.synthesis.methods.nsa import Nsa, NsaParameters, clone


def render(scene: Scene, seed: int = 0, **parameters: Any) -> Candidate:
    return Nsa().render(scene, NsaParameters(**parameters), np.random.default_rng(seed))


def attempt(scene: Scene, seed: int) -> Candidate | None:
    try:
        return render(scene, seed)
    except Redraw:
        return None


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_cloning_changes_the_shape_alone(grey: bool, mixed: bool) -> None:
    window, patch = (carpet("good", k).image[60:141, 50:120] for k in (0, 1))
    if grey:
        window, patch = window[:, :, 0], patch[:, :, 0]
    y, x = np.mgrid[:81, :70]
    shape = np.hypot(x - 30, y - 44) < 20
    made = clone(window, patch, shape, mixed=mixed)
    assert made.shape == window.shape
    assert (made[~shape] == window[~shape]).all()
    assert (made[shape] != window[shape]).any()


def test_cloning_leaves_everything_in_its_place() -> None:
    """A window cloned onto itself is itself: a shift by one pixel would show on a cloth."""
    window = carpet("good", 0).image[60:141, 50:120]
    y, x = np.mgrid[:81, :70]
    for center in ((30, 44), (31, 45), (20, 20)):
        shape = np.hypot(x - center[0], y - center[1]) < 15
        for mixed in (False, True):
            assert np.abs(clone(window, window, shape, mixed=mixed).astype(int) - window).max() <= 2


def test_nothing_to_clone_changes_nothing() -> None:
    window = carpet("good", 0).image[:20, :20]
    assert (clone(window, window[::-1], np.zeros((20, 20), np.bool_), mixed=True) == window).all()


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("outline", ["blob", "rectangle"])
@pytest.mark.parametrize("gradients", ["mixed", "patch", "either"])
def test_candidates(gradients: str, outline: str, grey: bool) -> None:
    scene = carpet_scene("hole", grey=grey)
    before = scene.host.copy()
    made = render(scene, 1, gradients=gradients, outline=outline)
    check_candidate(scene, made, may_miss=0.4)
    assert (scene.host == before).all()
    assert (render(scene, 1, gradients=gradients, outline=outline).image == made.image).all()


def test_sizes_follow_the_gamma_distribution() -> None:
    scene = carpet_scene("hole")
    sides = []
    for seed in range(60):
        made = render(scene, seed, size="image", scale_frac=0.1, patches_range=(1, 1), outline="rectangle")
        sides.append((made.drawn["patches"][0]["box"][2] - 4) / scene.host.shape[1])
    assert np.mean(sides) == pytest.approx(0.1, abs=0.03)
    assert np.std(sides) == pytest.approx(0.1 / np.sqrt(2), abs=0.03)


def test_on_an_object_patches_lie_on_it() -> None:
    scene = carpet_scene("hole")
    foreground = np.zeros(scene.host.shape[:2], np.bool_)
    foreground[60:220, 60:300] = True
    for seed in range(4):
        made = render(replace(scene, foreground=foreground), seed, size="image", scale_frac=0.05)
        assert foreground[made.mask].mean() > 0.6


def test_hosts_that_are_too_small_or_flat_are_a_redraw() -> None:
    scene = carpet_scene("hole")
    with pytest.raises(Redraw, match="too small"):
        render(replace(scene, host=scene.host[:8, :40]))
    flat = np.full((60, 60), 90, np.uint8)
    with pytest.raises(Redraw, match="no patch"):
        render(replace(scene, host=flat, textures=(flat,)))


@pytest.mark.parametrize("wrong", [{"patches_range": (3, 1)}, {"patches_range": (0, 2)}, {"resize_range": (1.2, 0.8)}])
def test_parameters_that_no_draw_could_follow_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NsaParameters(**wrong)


def test_small_hosts() -> None:
    scene = carpet_scene("hole")
    for side in (10, 17):  # the frame of a patch leaves nothing to see
        with pytest.raises(Redraw, match="no patch"):
            render(replace(scene, host=scene.host[:side, : side + 3]), 2)
    for side in (40, 60):
        small = replace(scene, host=scene.host[:side, : side + 3])
        made = [one for seed in range(8) if (one := attempt(small, seed)) is not None]
        assert len(made) >= 5, side
        for one in made:
            check_candidate(small, one, may_miss=0.6)


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
