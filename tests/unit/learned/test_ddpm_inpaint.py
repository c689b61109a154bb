"""ddpm-inpaint: it learns a crop, keeps what it is not asked to paint, obeys its class, and is the same every time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.scenes import carpet, carpet_scene, check_candidate, donor, facts, grey_of

from carpet_data.errors import DataError
from carpet_data.learned.crops import CropDataset, Example
from carpet_data.learned.ddpm_inpaint.learner import DdpmInpaintLearner
from carpet_data.learned.ddpm_inpaint.method import DdpmInpaint
from carpet_data.learned.ddpm_inpaint.parameters import DdpmInpaintFit, DdpmInpaintParameters
from carpet_data.learned.ddpm_inpaint.sampling import Sampler
from carpet_data.learned.fit_runtime import Runtime
from carpet_data.learned.windows import CropWindow
from carpet_data.synthesis.contract import Candidate, Facts, Redraw, Scene
from carpet_data.synthesis.ops.masks import mask_box

CLASSES = ("color", "hole")
TINY = {"crop_px": 32, "widths": (16, 24), "batch_size": 8, "precision": "full", "context": 1.5}


def parameters(fit: Mapping[str, Any] | None = None, **sampling: Any) -> DdpmInpaintParameters:
    values = {"fit": {**TINY, **(fit or {})}, "sample_steps": 4, **sampling}
    return DdpmInpaintParameters.model_validate(values)


def crops_of(classes: tuple[str, ...] = CLASSES, count: int = 2, side: int = 160) -> CropDataset:
    examples = []
    for name in classes:
        for k in range(count):
            shown = carpet(name, k, side)
            examples.append(Example(f"{name}{k}", name, shown.image, shown.mask, mask_box(shown.mask)))
    known: dict[str, Facts] = {name: facts(carpet(name, 0, side).mask, name=name) for name in classes}
    background = (carpet("good", 0, side).image,)
    return CropDataset(classes, tuple(examples), background, known, (), 32, 1.5, False)


def learner_of(chosen: DdpmInpaintParameters, data: CropDataset | None = None, seed: int = 0) -> DdpmInpaintLearner:
    runtime = Runtime.at("cpu", precision="full", seed=seed)
    return DdpmInpaintLearner(data or crops_of(), chosen, runtime)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network after a few steps: it knows its classes apart, no more."""
    learner = learner_of(parameters({"steps": 40, "pretrain_share": 0}))
    for number in range(learner.steps):
        learner.step(number)
    folder = tmp_path_factory.mktemp("model")
    learner.save(folder)
    return folder


@lru_cache(maxsize=4)
def opened(folder: Path) -> DdpmInpaint:
    method = DdpmInpaint()
    method.open(folder, "cpu")
    return method


def made_of(folder: Path, scene: Scene, seed: int = 0, **sampling: Any) -> Candidate:
    """The first draw of eight that gives an image, as the engine does it."""
    draws = (attempted(folder, scene, [seed, number], **sampling) for number in range(8))
    made = next((made for made in draws if made is not None), None)
    assert made is not None
    return made


def attempted(folder: Path, scene: Scene, seed: list[int], **sampling: Any) -> Candidate | None:
    try:
        return opened(folder).render(scene, parameters(**sampling), np.random.default_rng(seed))
    except Redraw:
        return None


def test_overfitting_one_crop_drives_the_loss_down_and_returns_that_crop(tmp_path: Path) -> None:
    chosen = parameters(
        {
            "steps": 100,
            "learning_rate": 3e-3,
            "pretrain_share": 0,
            "defect_share": 1,
            "class_dropout": 0,
            "ema": 0.97,
        }
    )
    data = crops_of(("hole",), 1)
    still = _Still(data.classes, data.examples, data.background, data.facts, (), 32, 1.5, is_object=True)
    learner = learner_of(chosen, still)
    losses = [float(learner.step(number)["inside"]) for number in range(learner.steps)]
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:20])
    image, mask = still.crop(still.examples[0])
    background = np.full_like(image, 128)
    background[mask == 0] = image[mask == 0]
    learner.save(tmp_path)
    sampler = Sampler.open(tmp_path, "cpu")
    drawn = sampler.sample(
        background[None], background[None], mask[None], [0], np.random.default_rng(1), steps=12, guidance=1
    )
    inside = mask > 0
    found = np.corrcoef(drawn[0][inside].ravel(), image[inside].ravel().astype(np.float32))[0, 1]
    # Unrelated pixels correlate by less than 0.2; 100 steps of this tiny network reach 0.90.
    assert found > 0.7


class _Still(CropDataset):
    """Crops whose windows do not move, nor their light change."""

    def drawn_window(self, example: Example, rng: np.random.Generator) -> CropWindow:
        return self.window(example)

    def _varied(self, image: Any, mask: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        return image, mask


@pytest.mark.parametrize("solver", ["ddim", "dpm-solver"])
@pytest.mark.parametrize("strength", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_outside_the_mask_the_crop_comes_back(fitted: Path, solver: str, strength: float, steps: int) -> None:
    sampler = Sampler.open(fitted, "cpu")
    rng = np.random.default_rng(0)
    host = rng.integers(0, 256, (3, 32, 32, 3), np.uint8)
    mask = np.zeros((3, 32, 32), np.float32)
    mask[:, 8:20, 10:24] = 0.7
    drawn = sampler.sample(
        host, host[::-1], mask, [0, 1, 0], rng, strength=strength, steps=steps, guidance=2, solver=solver
    )
    assert drawn.shape == (3, 32, 32, 3)
    assert drawn.dtype == np.float32
    assert np.isfinite(drawn).all()
    assert (np.rint(drawn)[mask == 0] == host[mask == 0]).all()
    assert (np.rint(drawn)[mask > 0] != host[mask > 0]).mean() > 0.5


def test_a_small_strength_stays_near_what_is_shown(fitted: Path) -> None:
    sampler = Sampler.open(fitted, "cpu")
    shown = crops_of().crop(crops_of().examples[2])[0][None]
    mask = np.ones((1, 32, 32), np.float32)

    def distance(strength: float) -> float:
        drawn = sampler.sample(shown, shown, mask, [1], np.random.default_rng(2), strength=strength, guidance=1)
        return float(np.abs(drawn - shown).mean())

    assert distance(0.05) < 0.5 * distance(0.5)
    assert distance(0.05) < 20


@pytest.mark.parametrize("solver", ["ddim", "dpm-solver"])
def test_many_steps_begin_no_later_than_the_strength_says(fitted: Path, solver: str) -> None:
    """There are 50 times below a twentieth of the schedule: more steps than that would begin with more noise."""
    sampler = Sampler.open(fitted, "cpu")
    shown = crops_of().crop(crops_of().examples[2])[0][None]
    mask = np.ones((1, 32, 32), np.float32)
    times: list[int] = []
    watch = sampler.model.register_forward_hook(lambda module, given, found: times.append(int(given[1][0])))
    try:
        rng = np.random.default_rng(2)
        sampler.sample(shown, shown, mask, [1], rng, strength=0.05, steps=400, guidance=1, solver=solver)
    finally:
        watch.remove()
    assert len(times) == 50
    assert max(times) < 50


@pytest.mark.parametrize("start", ["paste", "noise"])
@pytest.mark.parametrize("grey", [False, True])
def test_a_candidate_keeps_the_contract(fitted: Path, start: str, grey: bool) -> None:
    scene = carpet_scene("hole", count=2, grey=grey)
    before = scene.host.copy()
    made = made_of(fitted, scene, start=start)
    check_candidate(scene, made, may_miss=0)
    assert (made.image[~made.mask] == before[~made.mask]).all()
    assert (scene.host == before).all()
    assert made.drawn["start"] == start


def test_the_same_chance_gives_the_same_bytes_also_from_a_model_opened_again(fitted: Path) -> None:
    scene = carpet_scene("hole", count=2)
    first, again, other = (made_of(fitted, scene, seed, start="noise") for seed in (3, 3, 4))
    opened.cache_clear()
    anew = made_of(fitted, scene, 3, start="noise")
    assert (first.image == again.image).all()
    assert (first.image == anew.image).all()
    assert (first.mask == anew.mask).all()
    assert first.drawn == anew.drawn
    assert (first.image != other.image).any()


def test_the_bytes_do_not_depend_on_the_number_of_threads(fitted: Path) -> None:
    scene = carpet_scene("color", count=2)
    before = torch.get_num_threads()
    made = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            made.append(made_of(fitted, scene, start="noise"))
        finally:
            torch.set_num_threads(before)
    assert (made[0].image == made[1].image).all()


def test_the_class_changes_what_is_painted_and_guidance_more_so(fitted: Path) -> None:
    sampler = Sampler.open(fitted, "cpu")
    host = crops_of().crop(crops_of().examples[0])[0]
    mask = np.zeros((32, 32), np.float32)
    mask[8:24, 8:24] = 1

    def of(label: int, guidance: float) -> np.ndarray[Any, Any]:
        return sampler.sample(
            host[None], host[None], mask[None], [label], np.random.default_rng(5), steps=6, guidance=guidance
        )[0]

    apart = [float(np.abs(of(0, guidance) - of(1, guidance))[mask > 0].mean()) for guidance in (1.0, 3.0)]
    assert apart[0] > 2
    assert apart[1] > apart[0]


def test_a_mask_of_one_pixel_and_a_huge_one(fitted: Path) -> None:
    image = carpet("hole", 0).image
    for mask in (np.zeros(image.shape[:2], np.bool_), np.ones(image.shape[:2], np.bool_)):
        if not mask.any():
            mask[100, 120] = True
        else:
            mask[:4] = mask[-4:] = False
            mask[:, :4] = mask[:, -4:] = False
        scene = replace(
            carpet_scene("hole"), donors=(donor(image, mask),), facts=facts(mask), host=carpet("good", 0).image
        )
        made = made_of(fitted, scene, start="noise")
        assert made.mask.any()
        assert (made.image[~made.mask] == scene.host[~made.mask]).all()


def test_a_defect_at_the_edge_has_a_window_that_leaves_the_image(fitted: Path) -> None:
    image = carpet("hole", 0).image
    mask = np.zeros(image.shape[:2], np.bool_)
    mask[100:160, :50] = True
    scene = replace(carpet_scene("hole"), donors=(donor(image, mask),), facts=facts(mask))
    made = made_of(fitted, scene, start="noise")
    x, _, side = made.drawn["window"]
    assert x < 0 or x + side > image.shape[1]
    assert made.mask[:, 0].any() or made.mask[:, -1].any()
    assert (made.image[~made.mask] == scene.host[~made.mask]).all()


def test_one_donor_is_enough_to_paint(fitted: Path) -> None:
    scene = carpet_scene("hole", count=1)
    made = made_of(fitted, replace(scene, donors=scene.donors * 2), start="noise")
    check_candidate(scene, made, may_miss=0)


def test_a_donor_without_a_mask_is_drawn_again(fitted: Path) -> None:
    scene = carpet_scene("hole", count=1)
    empty = replace(scene.donors[0], mask=np.zeros_like(scene.donors[0].mask))
    for start in ("noise", "paste"):
        with pytest.raises(Redraw):
            opened(fitted).render(replace(scene, donors=(empty,)), parameters(start=start), np.random.default_rng(0))


def test_no_model_another_class_and_a_damaged_model_are_told(fitted: Path, tmp_path: Path) -> None:
    scene = carpet_scene("hole")
    with pytest.raises(DataError, match="no fitted model"):
        DdpmInpaint().render(scene, parameters(), np.random.default_rng(0))
    with pytest.raises(DataError, match="'cut'"):
        opened(fitted).render(carpet_scene("cut"), parameters(), np.random.default_rng(0))
    with pytest.raises(DataError, match="cannot be read"):
        DdpmInpaint().open(tmp_path, "cpu")
    (tmp_path / "crops.json").write_bytes((fitted / "crops.json").read_bytes())
    (tmp_path / "denoiser").mkdir()
    (tmp_path / "denoiser" / "config.json").write_bytes((fitted / "denoiser" / "config.json").read_bytes())
    (tmp_path / "denoiser" / "diffusion_pytorch_model.safetensors").write_bytes(b"damaged")
    with pytest.raises(DataError, match="cannot be read"):
        DdpmInpaint().open(tmp_path, "cpu")


def test_an_interrupted_fit_ends_at_the_same_weights() -> None:
    chosen = parameters({"steps": 8, "pretrain_share": 0.3})
    whole, half, rest = (learner_of(chosen) for _ in range(3))
    for number in range(8):
        whole.step(number)
    for number in range(5):
        half.step(number)
    rest.restore(half.state())
    torch.rand(7)  # what others drew in the meantime changes nothing
    for number in range(5, 8):
        rest.step(number)
    one, other = whole.state(), rest.state()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_another_seed_gives_other_weights() -> None:
    chosen = parameters({"steps": 2})
    states = []
    for seed in (0, 0, 1):
        learner = learner_of(chosen, seed=seed)
        learner.step(0)
        states.append(learner.state()["model/unet.conv_in.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_samples_show_every_class(fitted: Path) -> None:
    learner = learner_of(parameters({"steps": 2}))
    drawn = learner.samples(2, np.random.default_rng(0))
    assert [one.class_name for one in drawn] == ["color", "color", "hole", "hole"]
    assert all(one.image.shape == (32, 32, 3) and one.image.dtype == np.uint8 for one in drawn)
    assert all(one.mask.any() for one in drawn)


@pytest.mark.parametrize("widths", [(12, 24), (16,), (16, 4)])
def test_widths_that_no_network_has_are_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        DdpmInpaintFit.model_validate({"widths": widths})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"crop_px": 48, "widths": [16] * 5}, "multiple of 32"),
        ({"crop_px": 80, "widths": [16] * 4, "block_px": 4}, "multiple of 32"),
    ],
)
def test_networks_that_cannot_be_built_are_refused_by_the_recipe(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DdpmInpaintFit.model_validate(values)


def test_a_scratch_counts_as_much_as_a_stain() -> None:
    """The loss inside is the mean of each crop's own mean, and nothing where no crop has a mask."""
    from carpet_data.learned.ddpm_inpaint.denoiser import masked_mean

    error = torch.zeros(2, 3, 8, 8)
    error[0], error[1] = 1.0, 3.0
    where = torch.zeros(2, 1, 8, 8)
    where[0, 0, 0, 0] = 1
    where[1] = 1
    assert float(masked_mean(error, where)) == pytest.approx(2.0)
    assert float(masked_mean(error, torch.zeros_like(where))) == 0.0


def test_a_grey_host_gets_grey_paint(fitted: Path) -> None:
    scene = carpet_scene("color", count=2, grey=True)
    assert scene.host.ndim == 2
    assert (grey_of(carpet("good", 0).image) == scene.host).all()
    made = made_of(fitted, scene, start="paste")
    assert made.image.ndim == 2


def test_auto_starts_in_the_share_that_is_asked(fitted: Path) -> None:
    scene = carpet_scene("hole", count=2)
    for share, start in ((0.0, "paste"), (1.0, "noise")):
        made = made_of(fitted, scene, start="auto", noise_share=share)
        assert made.drawn["start"] == start
        assert (made.drawn["strength"] == 1) == (start == "noise")
