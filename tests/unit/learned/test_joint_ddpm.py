"""joint-ddpm: what is learned comes back as image and mask, on a host and nowhere else."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from helpers import scenes
from pydantic import ValidationError

from carpet_data.errors import DataError
from carpet_data.learned import learning
from carpet_data.learned.crops import Batch, Example, Lesson
from carpet_data.learned.fit_runtime import Place
from carpet_data.learned.joint_ddpm import method
from carpet_data.learned.joint_ddpm.method import JointDdpm, JointDdpmFit, JointDdpmParameters
from carpet_data.learned.joint_ddpm.networks import PatchDenoiser
from carpet_data.learned.windows import Window, around
from carpet_data.synthesis.contract import Candidate, Image, Mask, Redraw, Scene
from carpet_data.synthesis.ops.compositing import turn_between

CROP = 32
CLASSES = ("cut", "hole")
SMALL = JointDdpmFit(
    crop_px=CROP,
    steps=200,
    batch_size=12,
    learning_rate=5e-3,
    ema=0.9,
    precision="full",
    pretrain_share=0,
    defect_share=1,
    widths=(16, 32),
    patch_width=32,
    patch_blocks=3,
)


class Fixed(Lesson):
    """Each class is one crop, always the same."""

    def draw(self, rng: np.random.Generator, count: int, defect_share: float, *, only: int | None = None) -> Batch:
        labels = np.arange(count, dtype=np.int64) % len(self.classes)
        rows = [self.crop(self.examples[label]) for label in labels]
        return Batch(np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows]), labels)


def pictured(name: str) -> tuple[Image, Mask]:
    """Striped ground with a dark disc or a bright slanting bar, uint8 96x96x3 and bool 96x96."""
    stripes = 120 + 25 * np.sin(np.arange(96) * 2 * np.pi / 24)
    image = np.repeat(np.broadcast_to(stripes, (96, 96))[:, :, None], 3, axis=2).astype(np.uint8)
    mask = np.zeros((96, 96), np.uint8)
    if name == "hole":
        cv2.circle(mask, (48, 48), 18, 1, -1)
        image[mask > 0] = (40, 20, 20)
    elif name == "cut":
        cv2.line(mask, (30, 66), (66, 30), 1, 9)
        image[mask > 0] = (220, 220, 240)
    return image, mask > 0


def example(name: str) -> Example:
    image, mask = pictured(name)
    return Example(f"{name}_1", name, image, mask, cv2.boundingRect(mask.view(np.uint8)))


def lesson(kind: type[Lesson] = Lesson) -> Lesson:
    return kind(
        classes=CLASSES,
        examples=tuple(example(name) for name in CLASSES),
        ground=(pictured("good")[0],),
        facts={name: scenes.facts(pictured(name)[1], name=name) for name in CLASSES},
        read=tuple(f"{name}_1" for name in CLASSES),
        crop_px=CROP,
        context=1.6,
        is_object=False,
    )


def scene_of(name: str, *, grey: bool = False) -> Scene:
    """A larger host of the ground, and one donor."""
    image, mask = pictured(name)
    host = np.tile(pictured("good")[0], (2, 2, 1))
    turn = scenes.grey_of if grey else (lambda image: image)
    return Scene(turn(host), None, (scenes.donor(turn(image), mask),), (), scenes.facts(mask, name=name))


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[learning.Learner, list[dict[str, float]], Path]:
    """Two crops learned by heart, and the folder of the networks."""
    folder = tmp_path_factory.mktemp("joint")
    place = Place.at("cpu", seed=3)
    learner = JointDdpm().learner(lesson(Fixed), JointDdpmParameters(fit=SMALL), place)
    history = learning.run(learner, place, folder, {})
    (folder / "weights").mkdir()
    learner.save(folder / "weights")
    return learner, history, folder / "weights"


@pytest.fixture
def opened(learned: tuple[learning.Learner, list[dict[str, float]], Path]) -> JointDdpm:
    method = JointDdpm()
    method.open(learned[2], "cpu")
    return method


def candidate(method: JointDdpm, scene: Scene, seed: int, **sampling: float) -> Candidate:
    """The first of a few draws that gives one."""
    rng = np.random.default_rng(seed)
    for _ in range(8):
        with contextlib.suppress(Redraw):
            return method.render(scene, JointDdpmParameters(fit=SMALL, **sampling), rng)
    raise AssertionError("eight draws without a candidate")


def test_a_crop_learned_by_heart_comes_back_with_its_mask(
    learned: tuple[learning.Learner, list[dict[str, float]], Path],
) -> None:
    learner, history, _ = learned
    for loss in ("coarse", "coarse_mask", "patch", "patch_mask"):
        assert history[-1][loss] < 0.3 * history[0][loss]
    image, mask = lesson(Fixed).crop(example("hole"))
    drawn = [one for one in learner.samples(3, np.random.default_rng(0)) if one.class_name == "hole"]
    assert len(drawn) == 3
    for one in drawn:
        assert np.abs(one.image.astype(float) - image).mean() < 18
        both = (one.mask > 0.5) & (mask > 0.5)
        assert both.sum() > 0.8 * ((one.mask > 0.5) | (mask > 0.5)).sum()


def test_the_class_says_what_is_made(learned: tuple[learning.Learner, list[dict[str, float]], Path]) -> None:
    drawn = learned[0].samples(3, np.random.default_rng(1))
    assert [one.class_name for one in drawn] == ["cut"] * 3 + ["hole"] * 3
    for one in drawn:
        inside = float(one.image[one.mask > 0.5].mean())
        assert (inside > 170) if one.class_name == "cut" else (inside < 80)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("grey", [False, True])
def test_a_host_changes_under_the_mask_and_nowhere_else(opened: JointDdpm, name: str, grey: bool) -> None:
    scene = scene_of(name, grey=grey)
    before = scene.host.copy()
    made = candidate(opened, scene, 5)
    scenes.check_candidate(scene, made)
    assert np.array_equal(scene.host, before)
    assert np.array_equal(made.image[~made.mask], scene.host[~made.mask])
    assert np.any(made.image[made.mask] != scene.host[made.mask])


def test_the_same_seed_gives_the_same_bytes_whatever_else_was_made(
    learned: tuple[learning.Learner, list[dict[str, float]], Path], opened: JointDdpm
) -> None:
    scene = scene_of("hole")
    first = candidate(opened, scene, 5)
    again = JointDdpm()
    again.open(learned[2], "cpu")
    candidate(again, scene, 6)
    second = candidate(again, scene, 5)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.mask, second.mask)
    assert first.drawn == second.drawn
    assert not np.array_equal(first.image, candidate(opened, scene, 6).image)


def test_sampling_parameters_matter_without_a_new_fit(opened: JointDdpm) -> None:
    scene = scene_of("hole")
    images = [candidate(opened, scene, 5, **more).image for more in ({}, {"guidance": 1.0}, {"steps": 8})]
    assert not np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])


def test_an_interrupted_fit_ends_with_the_same_weights(tmp_path: Path) -> None:
    fit = SMALL.model_copy(update={"steps": 8, "pretrain_share": 0.25, "defect_share": 0.6, "batch_size": 4})

    def fitted(folder: Path, stop_at: int | None) -> Mapping[str, torch.Tensor]:
        place = Place.at("cpu", seed=1)
        learner = JointDdpm().learner(lesson(), JointDdpmParameters(fit=fit), place)

        def report(step: Any) -> None:
            if step.done == stop_at:
                raise KeyboardInterrupt

        learning.run(learner, place, folder, {}, progress=report, every_s=0)
        return learner.state()

    whole = fitted(tmp_path / "whole", None)
    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path / "parts", 4)
    resumed = fitted(tmp_path / "parts", None)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    assert any(name.startswith("optimizer/") for name in whole)


@pytest.mark.parametrize(("blocks", "block_px"), [(1, 2), (3, 2), (2, 4)])
def test_the_network_of_small_patches_sees_no_farther_than_it_says(blocks: int, block_px: int) -> None:
    torch.manual_seed(0)
    network = PatchDenoiser(4, 3, 16, blocks, block_px).eval()
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    values, time, labels = torch.randn(1, 4, 64, 64), torch.tensor([200]), torch.tensor([1])
    farthest = 0
    with torch.no_grad():
        base = network(values, time, labels)
        for row, column in [(32, 32), (33, 30), (35, 35)]:
            other = values.clone()
            other[0, 0, row, column] += 3
            rows, columns = torch.nonzero((network(other, time, labels) != base).any(dim=1)[0], as_tuple=True)
            away = torch.maximum((rows - row).abs(), (columns - column).abs())
            farthest = max(farthest, int(away.max()))
    assert farthest == network.reach_px
    assert network.reach_px < 32


def test_a_donor_at_the_edge_keeps_its_window_there() -> None:
    image, mask = scenes.carpet("good", 0).image, np.zeros((scenes.SIDE, scenes.SIDE), np.bool_)
    mask[100:140, :30] = True
    at_edge = scenes.donor(image, mask)
    scene = Scene(image, None, (at_edge,), (), scenes.facts(mask))
    expected = around((0, 100, 30, 40), CROP, SMALL.context)
    found = {method._window(scene, SMALL, np.random.default_rng(k)) for k in range(20)}
    assert {window.x for window in found} == {expected.x}
    assert {window.side for window in found} == {expected.side}
    assert len({window.y for window in found}) > 10


def test_a_donor_without_a_mask_is_drawn_again() -> None:
    scene = scene_of("hole")
    empty = replace(scene.donors[0], mask=np.zeros_like(scene.donors[0].mask))
    with pytest.raises(Redraw):
        method._window(replace(scene, donors=(empty,)), SMALL, np.random.default_rng(0))


def test_a_window_holds_a_usual_defect_of_the_donors_area() -> None:
    image, mask = scenes.carpet("good", 0).image, np.zeros((scenes.SIDE, scenes.SIDE), np.bool_)
    mask[100:110, 100:180] = True
    window = Window(50, 40, 128)
    scaled = method._scaled(window, scenes.donor(image, mask), 0.08)
    assert scaled.side == 100
    assert (scaled.x, scaled.y) == (64, 54)
    assert method._scaled(window, scenes.donor(image, mask), 0.8).side == round(128 / 1.4)


def test_the_window_lies_on_the_same_part_of_an_object() -> None:
    foreground = np.zeros((200, 300), np.bool_)
    foreground[90:110, 40:260] = True
    foreground[70:130, 220:260] = True
    mask = np.zeros_like(foreground)
    mask[92:108, 225:245] = True
    image = np.where(foreground, 180, 40).astype(np.uint8)
    turned = (foreground[::-1, ::-1].copy(), image[::-1, ::-1].copy())
    donor = scenes.donor(image, mask, foreground=foreground)
    scene = Scene(turned[1], turned[0], (donor,), (), scenes.facts(mask, is_object=True))
    assert abs(abs(turn_between(foreground, turned[0])) - 180) < 1
    for k in range(5):
        window = method._window(scene, SMALL, np.random.default_rng(k))
        middle = (window.x + window.side / 2, window.y + window.side / 2)
        # Turned by half a turn, the head with the defect lies at the left.
        assert abs(middle[0] - (300 - 235)) < 20
        assert abs(middle[1] - 100) < 20


def test_masks_that_are_none_or_leave_their_window_are_drawn_again() -> None:
    scene = scene_of("hole")
    window = Window(40, 40, 96)
    coverage = np.zeros((CROP, CROP), np.float32)
    with pytest.raises(Redraw, match="no mask"):
        method._mask(coverage + np.float32(0.1), window, scene)
    coverage[10:20, :8] = 1
    with pytest.raises(Redraw, match="leaves its window"):
        method._mask(coverage, window, scene)
    beyond = method._mask(coverage, Window(-6, 40, 96), scene)
    assert beyond[:, 0].any()
    coverage[:, :1] = 0
    coverage[28, 28] = 0.6
    mask = method._mask(coverage, window, scene)
    assert cv2.connectedComponents(mask.view(np.uint8))[0] == 2
    rows, columns = np.nonzero(mask)
    assert abs(rows.mean() - (40 + 3 * 15)) < 3
    assert abs(columns.mean() - (40 + 3 * 4.5)) < 3


def test_a_thin_scratch_keeps_its_mask() -> None:
    coverage = np.zeros((CROP, CROP), np.float32)
    coverage[16, 6:26] = 0.4
    mask = method._mask(coverage, Window(40, 40, 96), scene_of("hole"))
    assert mask.any(axis=0).sum() > 50


def test_what_is_missing_is_said(opened: JointDdpm, tmp_path: Path) -> None:
    known = scene_of("hole")
    strange = replace(known, facts=replace(known.facts, class_name="stain"))
    with pytest.raises(DataError, match="not fitted to the class 'stain'"):
        opened.render(strange, JointDdpmParameters(fit=SMALL), np.random.default_rng(0))
    with pytest.raises(DataError, match="no fitted model was opened"):
        JointDdpm().render(known, JointDdpmParameters(fit=SMALL), np.random.default_rng(0))
    with pytest.raises(DataError, match="cannot be read"):
        JointDdpm().open(tmp_path, "cpu")


def test_recipes_are_read_without_torch() -> None:
    code = "import sys, carpet_data.learned.joint_ddpm.method; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [({"widths": [20, 40]}, "multiple of 8"), ({"crop_px": 48, "widths": [16] * 5}, "multiple of 32")],
)
def test_networks_that_cannot_be_built_are_refused_by_the_recipe(values: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        JointDdpmFit.model_validate(values)
