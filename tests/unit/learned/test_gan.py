"""The gan recipe: what it learns, what stays as it was, and what it puts on a host."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from helpers import scenes
from helpers.scenes import carpet_scene, check_candidate
from pydantic import ValidationError

from carpet_data.errors import DataError
from carpet_data.learned.crops import CropDataset, Example
from carpet_data.learned.fit_runtime import Runtime
from carpet_data.learned.gan import networks as gan_networks
from carpet_data.learned.gan.learner import GanLearner
from carpet_data.learned.gan.losses import area_gap, augmented, diversity
from carpet_data.learned.gan.method import Gan
from carpet_data.learned.gan.parameters import GanParameters
from carpet_data.synthesis.contract import Redraw, Scene
from carpet_data.synthesis.ops.masks import mask_box

TINY = {"crop_px": 32, "width": 16, "latent": 8, "batch_size": 6, "precision": "full"}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def parameters(*, fit: dict[str, Any] | None = None, **more: Any) -> GanParameters:
    return GanParameters.model_validate({"fit": {**TINY, **(fit or {})}, **more})


def data(*classes: str) -> CropDataset:
    """One crop a class: discs on a grey background, each class of another color and size."""
    rng = np.random.default_rng(3)
    background = tuple(rng.integers(120, 136, (64, 64, 3)).astype(np.uint8) for _ in range(3))
    rows, columns = np.mgrid[:64, :64]
    examples = []
    for number, name in enumerate(classes):
        mask = (rows - 32) ** 2 + (columns - 32) ** 2 < (9 - 3 * number) ** 2
        image = background[0].copy()
        image[mask] = ((250, 30, 30), (20, 40, 250))[number]
        examples.append(Example(f"{name}-0", name, image, mask, mask_box(mask)))
    return CropDataset(classes, tuple(examples), background, {}, ("a",), 32, 1.6, True)


def learner(made: CropDataset, chosen: GanParameters, seed: int = 0) -> GanLearner:
    return Gan().learner(made, chosen, Runtime.at("cpu", precision="full", seed=seed))


def distances(made: CropDataset, teacher: GanLearner) -> list[float]:
    """How far the mean sample of each class is from the class's one crop, in levels."""
    samples = teacher.samples(8, np.random.default_rng(0))
    found = []
    for example in made.examples:
        mean = np.mean([s.image.astype(float) for s in samples if s.class_name == example.class_name], axis=0)
        found.append(float(np.abs(mean - made.crop(example)[0]).mean()))
    return found


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[CropDataset, GanLearner, list[float], Path]:
    """A fit of two classes with one crop each; how far its samples were before; where it is saved."""
    made = data("disc", "dot")
    teacher = learner(made, parameters(fit={"steps": 80, "ground_share": 0.1, "learning_rate": 2e-3, "ema": 0.97}))
    before = distances(made, teacher)
    for number in range(80):
        losses = teacher.step(number)
        assert all(bool(value.isfinite()) for value in losses.values())
    folder = tmp_path_factory.mktemp("gan")
    teacher.save(folder)
    return made, teacher, before, folder


def opened(folder: Path) -> Gan:
    method = Gan()
    method.open(folder, "cpu")
    return method


def disc_scene(name: str = "disc") -> Scene:
    """A hole's place on a sample carpet, asked for a class that the tiny fit knows."""
    scene = carpet_scene("hole", count=1)
    facts = dataclasses.replace(scene.facts, class_name=name, areas_frac=(0.001, 0.5))
    return dataclasses.replace(scene, facts=facts)


def test_a_fit_of_one_crop_a_class_comes_near_it(taught: tuple[CropDataset, GanLearner, list[float], Path]) -> None:
    made, teacher, before, _ = taught
    after = distances(made, teacher)
    assert all(late < early for early, late in zip(before, after, strict=True)), (before, after)
    assert sum(after) < 0.85 * sum(before), (before, after)


def test_the_class_changes_what_is_drawn(taught: tuple[CropDataset, GanLearner, list[float], Path]) -> None:
    _, teacher, _, _ = taught
    samples = teacher.samples(6, np.random.default_rng(1))
    area = {name: np.mean([s.mask.mean() for s in samples if s.class_name == name]) for name in ("disc", "dot")}
    assert area["disc"] > 1.3 * area["dot"] > 0
    inside = {
        name: np.mean([s.image[s.mask > 0.5].mean(axis=0) for s in samples if s.class_name == name], axis=0)
        for name in ("disc", "dot")
    }
    assert inside["disc"][0] > inside["disc"][2]
    assert inside["dot"][2] > inside["dot"][0]


def test_samples_are_crops_with_masks(taught: tuple[CropDataset, GanLearner, list[float], Path]) -> None:
    _, teacher, _, _ = taught
    samples = teacher.samples(3, np.random.default_rng(1))
    assert [s.class_name for s in samples] == ["disc"] * 3 + ["dot"] * 3
    for each in samples:
        assert (each.image.shape, each.image.dtype) == ((32, 32, 3), np.uint8)
        assert (each.mask.shape, each.mask.dtype) == ((32, 32), np.float32)
        assert 0 <= each.mask.min() <= each.mask.max() <= 1


def test_the_ground_generator_is_frozen_while_defects_are_learned() -> None:
    teacher = learner(data("disc"), parameters(fit={"steps": 8, "ground_share": 0.5}))
    for number in range(5):  # with the first step of defects it takes its averaged weights
        teacher.step(number)
    half = teacher.state()
    for number in range(5, 8):
        teacher.step(number)
    end = teacher.state()
    assert all(torch.equal(half[name], end[name]) for name in half if name.startswith("background"))
    assert any(not torch.equal(half[name], end[name]) for name in half if name.startswith("branch_average"))


def test_the_branch_waits_while_ground_is_learned() -> None:
    teacher = learner(data("disc"), parameters(fit={"steps": 8, "ground_share": 0.5}))
    start = teacher.state()
    teacher.step(0)
    after = teacher.state()
    assert all(torch.equal(start[name], after[name]) for name in start if name.startswith("branch"))
    assert any(not torch.equal(start[name], after[name]) for name in start if name.startswith("background_average"))


@pytest.mark.parametrize("stop", [2, 3, 5])
def test_an_interrupted_fit_comes_to_the_same_weights(stop: int) -> None:
    """Stopped in either stage, and between them."""
    made, chosen = data("disc", "dot"), parameters(fit={"steps": 7, "ground_share": 0.5})
    whole, broken, resumed = (learner(made, chosen, seed=4) for _ in range(3))
    for number in range(7):
        whole.step(number)
    for number in range(stop):
        broken.step(number)
    resumed.restore(broken.state())
    for number in range(stop, 7):
        resumed.step(number)
    one, other = whole.state(), resumed.state()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_fit_of_another_seed_is_another() -> None:
    made, chosen = data("disc"), parameters(fit={"steps": 2})
    one, other = (learner(made, chosen, seed).state() for seed in (0, 1))
    assert not torch.equal(one["branch/first.weight"], other["branch/first.weight"])


@pytest.mark.parametrize("name", ["disc", "dot"])
def test_only_pixels_under_the_mask_change(
    taught: tuple[CropDataset, GanLearner, list[float], Path], name: str
) -> None:
    scene = disc_scene(name)
    made = opened(taught[3]).render(scene, parameters(draws=16), np.random.default_rng(5))
    check_candidate(scene, made)
    assert np.array_equal(made.image[~made.mask], scene.host[~made.mask])
    assert (made.image[made.mask] != scene.host[made.mask]).any()


def test_grey_hosts(taught: tuple[CropDataset, GanLearner, list[float], Path]) -> None:
    scene = disc_scene()
    grey = dataclasses.replace(scene, host=np.ascontiguousarray(scene.host[:, :, 0]))
    made = opened(taught[3]).render(grey, parameters(draws=16), np.random.default_rng(5))
    assert made.image.shape == grey.host.shape
    assert np.array_equal(made.image[~made.mask], grey.host[~made.mask])


def test_saved_opened_and_rendered_twice_is_the_same(taught: tuple[CropDataset, GanLearner, list[float], Path]) -> None:
    scene, chosen = disc_scene(), parameters(draws=16)
    one, again = (opened(taught[3]).render(scene, chosen, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one.image, again.image)
    assert np.array_equal(one.mask, again.mask)
    assert one.drawn == again.drawn
    torch.set_num_threads(2)
    threaded = opened(taught[3]).render(scene, chosen, np.random.default_rng(7))
    assert np.array_equal(one.image, threaded.image)
    other = opened(taught[3]).render(scene, chosen, np.random.default_rng(8))
    assert not np.array_equal(one.image, other.image)


def test_what_is_saved_is_what_was_learned(taught: tuple[CropDataset, GanLearner, list[float], Path]) -> None:
    _, teacher, _, folder = taught
    state = teacher.state()
    branch = gan_networks.DefectBranch.from_pretrained(folder / "defect")
    for number, value in enumerate(branch.parameters()):
        assert torch.equal(value, state[f"branch_average/{number}"])
    background = gan_networks.BackgroundGenerator.from_pretrained(folder / "ground")
    for number, value in enumerate(background.parameters()):
        assert torch.equal(value, state[f"background_average/{number}"])


def test_with_all_of_truncation_every_draw_is_the_same(
    taught: tuple[CropDataset, GanLearner, list[float], Path],
) -> None:
    scene, method = disc_scene(), opened(taught[3])
    free = method.render(scene, parameters(draws=16), np.random.default_rng(7))
    few, many = (
        method.render(scene, parameters(truncation=0, draws=draws), np.random.default_rng(7)) for draws in (1, 16)
    )
    assert few.drawn == many.drawn
    assert np.array_equal(few.image, many.image)
    assert not np.array_equal(free.image, few.image)


def test_a_class_that_it_was_not_fitted_to_is_refused(
    taught: tuple[CropDataset, GanLearner, list[float], Path],
) -> None:
    with pytest.raises(DataError, match="was not fitted to the class 'hole'") as caught:
        opened(taught[3]).render(carpet_scene("hole", count=1), parameters(), np.random.default_rng(0))
    assert "disc, dot" in str(caught.value.hint)


def test_no_model_and_a_damaged_one_are_told(
    taught: tuple[CropDataset, GanLearner, list[float], Path], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no fitted model was opened"):
        Gan().render(disc_scene(), parameters(), np.random.default_rng(0))
    with pytest.raises(DataError, match="cannot be read"):
        opened(tmp_path)
    shutil.copytree(taught[3], tmp_path / "model")
    (tmp_path / "model" / "defect" / "diffusion_pytorch_model.safetensors").write_bytes(b"damaged")
    with pytest.raises(DataError, match="cannot be read"):
        opened(tmp_path / "model")


@pytest.mark.parametrize("name", ["truncation", "mask_level", "feather_px"])
def test_values_that_are_no_numbers_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="finite"):
        GanParameters.model_validate({name: float("nan")})


def test_masks_beyond_the_sizes_of_the_class_are_drawn_again(
    taught: tuple[CropDataset, GanLearner, list[float], Path],
) -> None:
    scene = disc_scene()
    huge = dataclasses.replace(scene, facts=dataclasses.replace(scene.facts, areas_frac=(0.9, 1.0)))
    with pytest.raises(Redraw, match="smaller or larger"):
        opened(taught[3]).render(huge, parameters(), np.random.default_rng(0))


def test_augmentation_keeps_the_shape_and_lets_gradients_through() -> None:
    values = torch.linspace(-1, 1, 3 * 4 * 32 * 32).reshape(3, 4, 32, 32).requires_grad_(True)
    made = augmented(values, np.random.default_rng(0))
    assert made.shape == values.shape
    made.sum().backward()
    assert values.grad is not None
    assert (values.grad[:, 3] != 0).float().mean() > 0.5
    assert bool(values.grad.isfinite().all())
    again = augmented(values, np.random.default_rng(0))
    assert torch.equal(made, again)
    assert not torch.equal(made, augmented(values, np.random.default_rng(1)))


def test_augmentation_moves_a_mask_with_its_image_and_never_recolours_it() -> None:
    image = torch.zeros(16, 4, 32, 32)
    image[:, :, 12:20, 12:20] = 1.0
    made = augmented(image, np.random.default_rng(2))
    assert set(made[:, 3].unique().tolist()) <= {0.0, 1.0}
    mask = made[:, 3] > 0.5
    bright = made[:, :3].mean(dim=1)
    for crop, shape in zip(bright, mask, strict=True):
        if shape.any():
            assert crop[shape].min() > crop[~shape].max() - 1e-6


def test_the_area_of_masks_is_asked_for_class_by_class() -> None:
    real = torch.zeros(4, 1, 8, 8)
    real[:2, :, :4] = 1.0
    labels = torch.tensor([0, 0, 1, 1])
    assert float(area_gap(real, real, labels, 3)) == 0.0
    # Swapped among the classes they are as large over all, yet wrong.
    assert float(area_gap(real.flip(0), real, labels, 3)) > 1.0
    # Within a class they may differ.
    assert float(area_gap(real.roll(1, dims=2), real, labels, 3)) == 0.0


@pytest.mark.parametrize("crop_px", [32, 48, 64, 80, 128])
def test_networks_of_any_size(crop_px: int) -> None:
    ground = gan_networks.BackgroundGenerator(crop_px, 8, 16)
    branch = gan_networks.DefectBranch(2, crop_px, 8, 8)
    grain = gan_networks.grains_of(np.random.default_rng(0), 2, crop_px, torch.device("cpu"))
    with torch.no_grad():
        below = ground(torch.zeros(2, 8), grain)
        made, mask = branch(below, torch.zeros(2, 8), torch.tensor([0, 1]), grain)
        scores, _, _ = gan_networks.Discriminator(3, crop_px, 16)(torch.cat([made, mask], dim=1), torch.tensor([0, 1]))
    assert made.shape == (2, 3, crop_px, crop_px)
    assert mask.shape == (2, 1, crop_px, crop_px)
    assert scores.shape[0] == 2


def test_where_the_mask_is_empty_the_ground_is_as_it_was() -> None:
    branch = gan_networks.DefectBranch(2, 32, 8, 8)
    torch.nn.init.constant_(branch.mask.bias, -200.0)
    ground = torch.rand(2, 3, 32, 32) * 2 - 1
    grain = gan_networks.grains_of(np.random.default_rng(0), 2, 32, torch.device("cpu"))
    with torch.no_grad():
        made, mask = branch(ground, torch.zeros(2, 8), torch.tensor([0, 1]), grain)
    assert not mask.any()
    assert torch.equal(made, ground)


def test_the_measure_of_collapse() -> None:
    real = torch.rand(6, 4, 32, 32)
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    assert diversity(real, real, labels) == pytest.approx(1.0)
    # One sample a class: what differs between classes does not count.
    collapsed = real[:2].repeat(3, 1, 1, 1)
    assert diversity(collapsed, real, labels) < 1e-3
    assert diversity(collapsed[:2], real[:2], labels[:2]) == pytest.approx(1.0)


def bar(angle_deg: float, center: tuple[int, int] = (100, 100)) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A long thing with a heavy end, and a defect near its light end."""
    thing, defect = np.zeros((200, 200), np.uint8), np.zeros((200, 200), np.uint8)
    direction = np.array([np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))])
    at = [np.array(center) + along * direction for along in (-60, 50, -45)]
    ends = [(round(float(x)), round(float(y))) for x, y in at]
    cv2.line(thing, ends[0], ends[1], 1, 16)
    cv2.circle(thing, ends[1], 18, 1, -1)
    cv2.circle(defect, ends[2], 5, 1, -1)
    return thing > 0, defect > 0


@pytest.mark.parametrize("angle_deg", [0.0, 90.0, 200.0])
def test_on_an_object_the_window_lies_on_the_donors_part(
    taught: tuple[CropDataset, GanLearner, list[float], Path], angle_deg: float
) -> None:
    image = np.full((200, 200, 3), 128, np.uint8)
    thing, defect = bar(0.0)
    foreground, wanted = bar(angle_deg)
    facts = dataclasses.replace(scenes.facts(defect, name="disc", is_object=True), areas_frac=(0.0001, 0.5))
    scene = Scene(image, foreground, (scenes.donor(image, defect, foreground=thing),), (), facts)
    made = 0
    for seed in range(8):
        try:
            drawn = opened(taught[3]).render(scene, parameters(draws=16), np.random.default_rng(seed)).drawn
        except Redraw:
            continue
        y, x = (float(axis.mean()) for axis in np.nonzero(wanted))
        assert np.hypot(drawn["x"] + drawn["side"] / 2 - x, drawn["y"] + drawn["side"] / 2 - y) < 12
        made += 1
    assert made >= 4


def test_a_network_that_draws_no_mask_yet_is_asked_again(tmp_path: Path) -> None:
    learner(data("disc"), parameters(fit={"steps": 2})).save(tmp_path)
    with pytest.raises(Redraw, match="empty"):
        opened(tmp_path).render(disc_scene(), parameters(), np.random.default_rng(0))
