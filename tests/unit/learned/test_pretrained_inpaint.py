"""pretrained-inpaint, with a tiny pipeline of random weights: loaded, taught, kept, found again, refused when wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import tiny_pipeline
from helpers.scenes import carpet, carpet_scene, check_candidate, facts
from pydantic import ValidationError
from safetensors.torch import load_file

from carpet_data.errors import DataError, DeviceMemoryError, MissingExtraError, WeightsError
from carpet_data.learned.crops import CropDataset, Example
from carpet_data.learned.fit_loop import Learner
from carpet_data.learned.fit_runtime import Runtime
from carpet_data.learned.pretrained_inpaint import origin
from carpet_data.learned.pretrained_inpaint.learner import LoraLearner
from carpet_data.learned.pretrained_inpaint.method import PretrainedInpaint
from carpet_data.learned.pretrained_inpaint.parameters import (
    MemoryRules,
    PretrainedFit,
    PretrainedParameters,
    prompt_of,
)
from carpet_data.learned.pretrained_inpaint.pipeline import LORA, Painter, celled
from carpet_data.learned.pretrained_inpaint.views import encoded
from carpet_data.synthesis.contract import Candidate, Redraw, Scene
from carpet_data.synthesis.ops.masks import mask_box

CLASSES = ("color", "hole")
CROP = 64


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipeline.save(tmp_path_factory.mktemp("pipelines") / "tiny")


def parameters(pipeline: Path | str, fit: Mapping[str, Any] | None = None, **sampling: Any) -> PretrainedParameters:
    small = {"crop_px": CROP, "lora_rank": 2, "steps": 5, "batch_size": 2, "views": 4, "learning_rate": 0.02}
    values = {"fit": {"pipeline": str(pipeline), "precision": "full", **small, **(fit or {})}}
    return PretrainedParameters.model_validate({"sample_steps": 4, **values, **sampling})


@lru_cache(maxsize=1)
def data() -> CropDataset:
    shown = [(name, k, carpet(name, k, 160)) for name in CLASSES for k in range(2)]
    examples = tuple(Example(f"{name}{k}", name, one.image, one.mask, mask_box(one.mask)) for name, k, one in shown)
    known = {name: facts(carpet(name, 0, 160).mask, name=name) for name in CLASSES}
    return CropDataset(CLASSES, examples, (carpet("good", 0, 160).image,), known, (), CROP, 1.6, False)


def learner_of(p: PretrainedParameters, *, seed: int = 0) -> Learner:
    return PretrainedInpaint().learner(data(), p, Runtime.at("cpu", precision="full", seed=seed))


def fitted(p: PretrainedParameters, folder: Path, *, seed: int = 0) -> Learner:
    learner = learner_of(p, seed=seed)
    for number in range(learner.steps):
        learner.step(number)
    folder.mkdir(parents=True, exist_ok=True)
    learner.save(folder)
    return learner


def opened(folder: Path) -> PretrainedInpaint:
    method = PretrainedInpaint()
    method.open(folder, "cpu")
    return method


@pytest.fixture(scope="module")
def model(pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "weights"
    fitted(parameters(pipeline), folder)
    return folder


@pytest.fixture(scope="module")
def method(model: Path) -> PretrainedInpaint:
    return opened(model)


@lru_cache(maxsize=4)
def scene(class_name: str = "hole", *, grey: bool = False) -> Scene:
    return carpet_scene(class_name, grey=grey)


def made(method: PretrainedInpaint, shown: Scene, p: PretrainedParameters, *, seed: int = 0) -> Candidate:
    for attempt in range(10):
        try:
            return method.render(shown, p, np.random.default_rng([seed, attempt]))
        except Redraw:  # noqa: PERF203
            continue
    pytest.fail("every draw was refused")


def test_a_fit_moves_the_lora_and_its_loss_comes_down(pipeline: Path) -> None:
    learner = learner_of(parameters(pipeline, {"steps": 60, "prompt_dropout": 0.0}))
    before = learner.state()
    losses = [{name: float(value) for name, value in learner.step(number).items()} for number in range(60)]
    after = learner.state()
    lora = [name for name in before if name.startswith("lora/")]
    assert lora
    assert all(not torch.equal(before[name], after[name]) for name in lora)
    assert set(losses[0]) == {"defect", "object"}
    for name in losses[0]:
        assert np.mean([row[name] for row in losses[-15:]]) < np.mean([row[name] for row in losses[:15]])


def test_only_the_lora_is_trained(pipeline: Path) -> None:
    learner = learner_of(parameters(pipeline))
    assert isinstance(learner, LoraLearner)
    unet = learner.painter.pipe.unet
    plain = {name: value.clone() for name, value in unet.state_dict().items() if "lora" not in name}
    learner.step(0)
    assert all(torch.equal(value, unet.state_dict()[name]) for name, value in plain.items())
    assert not any("base_layer" in name or "lora" not in name for name in learner.state() if name.startswith("lora/"))


def test_save_open_render_is_the_same_every_time(pipeline: Path, model: Path) -> None:
    p = parameters(pipeline)
    one, two = (made(opened(model), scene(), p) for _ in range(2))
    assert np.array_equal(one.image, two.image)
    assert np.array_equal(one.mask, two.mask)
    assert not np.array_equal(made(opened(model), scene(), p, seed=1).image, one.image)


@pytest.mark.parametrize("start", ["paste", "noise"])
@pytest.mark.parametrize("grey", [False, True])
def test_outside_the_mask_the_host_keeps_every_bit(
    pipeline: Path, method: PretrainedInpaint, start: str, grey: bool
) -> None:
    shown = scene(grey=grey)
    found = made(method, shown, parameters(pipeline, start=start))
    check_candidate(shown, found, may_miss=0)
    assert np.array_equal(found.image[~found.mask], shown.host[~found.mask])
    json.dumps(dict(found.drawn))


def test_the_lora_changes_what_is_painted(pipeline: Path, method: PretrainedInpaint, tmp_path: Path) -> None:
    untrained = parameters(pipeline, {"lora_rank": 0})
    plain = learner_of(untrained)
    assert plain.steps == 0
    assert plain.state() == {}
    plain.save(tmp_path)
    assert not (tmp_path / LORA).exists()
    without = made(opened(tmp_path), scene(), untrained)
    check_candidate(scene(), without, may_miss=0)
    assert not np.array_equal(without.image, made(method, scene(), parameters(pipeline)).image)


def test_what_is_saved_is_only_the_lora_and_where_the_pipeline_is(pipeline: Path, model: Path) -> None:
    assert sorted(path.name for path in model.iterdir()) == ["pipeline.json", LORA]
    assert all("lora" in name for name in load_file(model / LORA))
    said = json.loads((model / "pipeline.json").read_text())
    assert said["classes"] == ["color", "hole"]
    assert said["folder"] == str(pipeline.resolve())
    assert said["sha256"] == origin.find(str(pipeline)).sha256
    assert said["prompts"]["color"] == "a close-up photo of a surface with a color"


def test_the_prompt_of_a_class_changes_its_pixels(pipeline: Path, method: PretrainedInpaint) -> None:
    plain = made(method, scene(), parameters(pipeline))
    words = made(method, scene(), parameters(pipeline, prompts={"hole": "{subject}, torn"}))
    others = made(method, scene(), parameters(pipeline, prompts={"color": "{subject}, torn"}))
    assert words.drawn["prompt"] == "a surface, torn"
    assert not np.array_equal(words.image, plain.image)
    assert np.array_equal(others.image, plain.image)


def test_prompt_noise_gives_variety_and_none_gives_none(pipeline: Path) -> None:
    painter = painter_of(pipeline)
    image, mask = carpet("good", 0, CROP).image, np.zeros((CROP, CROP), np.bool_)
    mask[20:40, 20:40] = True
    seen: dict[float, np.ndarray] = {}
    for amount in (0.0, 1.0):
        rng = np.random.default_rng(3)
        seen[amount] = painter.paint(image, mask, "a hole", rng, prompt_noise=amount, steps=3)
    texts = painter.texts("a hole")["prompt_embeds"]
    assert not np.array_equal(seen[0.0], seen[1.0])
    again = painter.paint(image, mask, "a hole", np.random.default_rng(3), steps=3)
    assert np.array_equal(seen[0.0], again)
    assert torch.equal(texts, painter.texts("a hole")["prompt_embeds"])  # the remembered ones stay clean


def painter_of(folder: Path) -> Painter:
    base = origin.find(str(folder))
    return Painter.open(base, torch.device("cpu"), torch.float32, MemoryRules())


def test_best_of_keeps_the_most_visible(pipeline: Path, method: PretrainedInpaint) -> None:
    from carpet_data.synthesis.engine import gates
    from carpet_data.synthesis.recipe.model import GateRules

    def seen(count: int) -> float:
        found = made(method, scene("color"), parameters(pipeline, best_of=count))
        return gates.judge(found, scene("color"), GateRules()).scores["visible"]

    assert seen(5) > seen(1)
    chosen = {made(method, scene("color"), parameters(pipeline, best_of=5), seed=s).drawn["chosen"] for s in range(3)}
    assert chosen <= set(range(5))
    assert chosen != {0}


def test_an_interrupted_fit_ends_with_the_same_weights(pipeline: Path) -> None:
    p = parameters(pipeline, {"steps": 5})
    whole, half, resumed = (learner_of(p) for _ in range(3))
    for number in range(5):
        whole.step(number)
    for number in range(3):
        half.step(number)
    resumed.restore(half.state())
    for number in range(3, 5):
        resumed.step(number)
    one, two = whole.state(), resumed.state()
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_another_seed_gives_another_lora(pipeline: Path) -> None:
    one, two = (learner_of(parameters(pipeline), seed=seed).state() for seed in (0, 1))
    assert any(not torch.equal(one[name], two[name]) for name in one)


def test_fitting_leaves_the_global_generator_alone(pipeline: Path) -> None:
    before = torch.random.get_rng_state()
    learner = learner_of(parameters(pipeline))
    learner.step(0)
    learner.samples(1, np.random.default_rng(0))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_samples_show_every_class_and_leave_the_training_as_it_was(pipeline: Path) -> None:
    learner = learner_of(parameters(pipeline))
    learner.step(0)
    before = learner.state()
    drawn = learner.samples(2, np.random.default_rng(0))
    assert [one.class_name for one in drawn] == ["color", "color", "hole", "hole"]
    assert all(one.image.shape == (CROP, CROP, 3) and one.image.dtype == np.uint8 for one in drawn)
    assert all(one.mask.shape == (CROP, CROP) and one.mask.max() > 0 for one in drawn)
    after = learner.state()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_sdxl_learns_and_paints(tmp_path: Path) -> None:
    p = parameters(tiny_pipeline.save_xl(tmp_path / "xl"), {"steps": 2})
    fitted(p, tmp_path / "weights")
    check_candidate(scene(), made(opened(tmp_path / "weights"), scene(), p), may_miss=0)


def test_a_unet_of_four_channels_paints_and_learns_too(tmp_path: Path) -> None:
    p = parameters(tiny_pipeline.save(tmp_path / "four", channels=4), {"steps": 2})
    fitted(p, tmp_path / "weights")
    check_candidate(scene(), made(opened(tmp_path / "weights"), scene(), p), may_miss=0)


def test_half_precision_paints_learns_and_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The weights of a GPU, on the CPU: SDXL lifts its VAE to full precision and back."""
    xl = tiny_pipeline.save_xl(tmp_path / "xl")
    base = origin.find(str(xl))
    capfd.readouterr()
    painter = Painter.open(base, torch.device("cpu"), torch.bfloat16, MemoryRules())
    views = encoded(data(), painter, 2, np.random.default_rng(0))
    assert views.clean.dtype == torch.float32
    assert painter.pipe.vae.dtype == torch.bfloat16
    p = parameters(xl, {"lora_rank": 0}, dtype="bf16")
    learner_of(p).save(tmp_path)
    check_candidate(scene(), made(opened(tmp_path), scene(), p), may_miss=0)
    assert "".join(capfd.readouterr()) == ""


def test_memory_switches_and_checkpointing_work(pipeline: Path, model: Path) -> None:
    saving = {"attention_slicing": True, "vae_slicing": True, "vae_tiling": True, "offload": "model"}
    check_candidate(scene(), made(opened(model), scene(), parameters(pipeline, memory=saving)), may_miss=0)
    plain, checked = (learner_of(parameters(pipeline, {"gradient_checkpointing": on})) for on in (False, True))
    losses = [float(one.step(0)["defect"]) for one in (plain, checked)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_folder_that_is_no_pipeline(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(WeightsError, match="not a pipeline of diffusers") as caught:
        learner_of(parameters(tmp_path))
    assert caught.value.where == str(tmp_path)
    assert caught.value.hint
    with pytest.raises(WeightsError, match="no such folder"):
        learner_of(parameters(tmp_path / "gone"))
    (tmp_path / "model_index.json").write_text("{broken")
    with pytest.raises(WeightsError, match="not a pipeline of diffusers"):
        learner_of(parameters(tmp_path))


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="no pipeline on the hub is available") as caught:
        learner_of(parameters("nobody/no-such-pipeline"))
    assert "folder" in str(caught.value.hint)


def changed(pipeline: Path, folder: Path, part: str, **values: Any) -> Path:
    shutil.copytree(pipeline, folder)
    path = folder / part
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return folder


def test_pipelines_that_are_not_for_inpainting(pipeline: Path, tmp_path: Path) -> None:
    eight = tiny_pipeline.save(tmp_path / "eight", channels=8)
    with pytest.raises(WeightsError, match="takes 8 channels"):
        learner_of(parameters(eight))
    other = changed(pipeline, tmp_path / "other", "model_index.json", _class_name="DDPMPipeline")
    with pytest.raises(WeightsError, match="DDPMPipeline cannot be loaded for inpainting"):
        learner_of(parameters(other))
    own = changed(pipeline, tmp_path / "own", "model_index.json", unet=["my_code", "MyUNet"])
    with pytest.raises(WeightsError, match="the part unet of the pipeline needs code"):
        learner_of(parameters(own))


def test_weights_that_are_not_safetensors_are_never_unpickled(pipeline: Path, tmp_path: Path) -> None:
    shutil.copytree(pipeline, tmp_path / "pickled")
    for path in (tmp_path / "pickled").rglob("*.safetensors"):
        path.rename(path.with_suffix(".bin"))
    with pytest.raises(WeightsError, match="no weights as safetensors"):
        learner_of(parameters(tmp_path / "pickled"))


def test_a_pipeline_that_changed_since_the_fit_is_refused(pipeline: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(pipeline, base)
    learner_of(parameters(base, {"lora_rank": 0})).save(tmp_path)
    opened(tmp_path)
    shutil.rmtree(base)
    tiny_pipeline.save(base, seed=1)
    with pytest.raises(WeightsError, match="have changed since the fit"):
        opened(tmp_path)
    shutil.rmtree(base)
    with pytest.raises(WeightsError, match="no such folder"):
        opened(tmp_path)
    (tmp_path / "pipeline.json").write_text("{}")
    with pytest.raises(DataError, match="invalid record of a fitted pipeline"):
        opened(tmp_path)


def test_what_cannot_be_trained_is_refused(pipeline: Path) -> None:
    with pytest.raises(DataError, match="unknown UNet layers nothing") as caught:
        learner_of(parameters(pipeline, {"target_modules": ["nothing"]}))
    assert "target_modules" in str(caught.value.hint)


def test_a_pipeline_without_embeddings_of_prompts_trains_no_lora(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Painter, "texts", lambda *arguments, **more: {})
    with pytest.raises(DataError, match="gives none") as caught:
        learner_of(parameters(pipeline))
    assert "lora_rank: 0" in str(caught.value.hint)


def test_memory_that_is_full_while_crops_are_encoded_names_a_value_of_the_recipe(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("carpet_data.learned.pretrained_inpaint.learner.encoded", full)
    with pytest.raises(DeviceMemoryError) as caught:
        learner_of(parameters(pipeline))
    assert "crop_px under fit" in str(caught.value.hint)


def test_a_model_that_was_not_opened_is_told(pipeline: Path) -> None:
    with pytest.raises(DataError, match="no fitted model was opened"):
        PretrainedInpaint().render(scene(), parameters(pipeline), np.random.default_rng(0))


def test_flux_fill_paints_and_trains_no_lora(tmp_path: Path) -> None:
    flux = tiny_pipeline.save_flux(tmp_path / "flux")
    with pytest.raises(DataError, match="a pipeline with a UNet") as caught:
        learner_of(parameters(flux))
    assert "lora_rank: 0" in str(caught.value.hint)
    p = parameters(flux, {"lora_rank": 0}, guidance=30.0)
    fitted(p, tmp_path / "weights")
    found = opened(tmp_path / "weights")
    check_candidate(scene(), made(found, scene(), p), may_miss=0)
    with pytest.raises(DataError, match="takes no negative prompt"):
        made(found, scene(), parameters(flux, {"lora_rank": 0}, negative_prompt="blurred"))


def test_a_missing_package_names_the_extra(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib
    import importlib.util

    from carpet_data.learned.pretrained_inpaint import pipeline as module

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "peft" else find(name, *a))
    with pytest.raises(MissingExtraError, match="needs the package peft") as caught:
        importlib.reload(module)
    assert "carpet-data[generate]" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"fit": {"prompt": "a {thing}"}}, "unknown field"),
        ({"prompts": {"hole": "a {0}"}}, "unknown field"),
        ({"strength": 0.1, "sample_steps": 5}, "no step would be taken"),
        ({"fit": {"defect_weight": 0, "object_weight": 0}}, "nothing would be learned"),
        ({"fit": {"crop_px": 100}}, "multiple of 64"),
        ({"memory": {"offload": "some"}}, "none"),
    ],
)
def test_parameters_that_make_no_sense(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        PretrainedParameters.model_validate(values)


def test_a_prompt_is_plain_words() -> None:
    fit = PretrainedFit(subject="a carpet", prompts={"cut": "{subject}: cut"})
    assert prompt_of("metal_contamination", fit) == "a close-up photo of a carpet with a metal contamination"
    assert prompt_of("cut", fit) == "a carpet: cut"
    assert prompt_of("cut", fit, {"cut": "a cut"}) == "a cut"


def test_cells_hold_every_pixel_of_a_thin_mask() -> None:
    mask = np.zeros((16, 24), np.bool_)
    mask[3, :] = True
    found = celled(mask, 8)
    assert found[:8].all()
    assert not found[8:].any()
