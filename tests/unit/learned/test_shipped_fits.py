"""Shipped learned recipes: each, made small, fits and opens as a user's does, and the networks of each can be built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import synthesis, tiny_pipeline

from carpet_data import store as layout
from carpet_data.learned.ddpm_inpaint.denoiser import Denoiser
from carpet_data.learned.gan.method import GanFitParameters
from carpet_data.learned.gan.networks import BackgroundGenerator, DefectBranch, grains_of
from carpet_data.synthesis.engine import model_store
from carpet_data.synthesis.engine.synthesize import synthesize
from carpet_data.synthesis.recipe import files, registry

SMALL = {
    "ddpm-inpaint": "crop_px: 32, batch_size: 2, widths: [16, 24]",
    "gan": "crop_px: 32, batch_size: 2, width: 16, latent: 8",
    "pretrained-inpaint": "crop_px: 64, batch_size: 2, views: 2, lora_rank: 2, pipeline: PIPELINE",
}
PAINTING = ("ddpm-inpaint", "pretrained-inpaint")
"""They begin with a donor paste, so that a fit of three steps makes images too; the others make no masks yet."""
GATES = "attempts: 50\ngates: {visible: 0, area_slack: 100, border: allow, outside_frac: 1, nearness: 1}\n"


@pytest.mark.parametrize("name", SMALL)
def test_a_small_fit_is_kept_found_opened_and_used(
    name: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-weights"))  # copies are sought by pixels alone
    values = SMALL[name]
    if "PIPELINE" in values:
        values = values.replace("PIPELINE", json.dumps(str(tiny_pipeline.save(tmp_path / "pipeline"))))
    few = "sample_steps: 4" if name in PAINTING else ""
    file = tmp_path / "small.yaml"
    fit = f"fit: {{steps: 3, precision: full, {values}}}"
    file.write_text(f"extends: {name}\n{GATES}parameters:\n  {fit}\n  {few}\n")
    recipe, dataset = files.load(file), layout.read(root)
    fitted = synthesis.fitted(root, recipe)
    assert fitted == model_store.find(dataset, "main", recipe)
    assert (fitted.method, fitted.steps, fitted.classes) == (name, 3, ("hole", "thread"))
    assert [one["class_name"] for one in fitted.memorisation["classes"]] == ["hole", "thread"]
    assert (fitted.folder / "samples-000003.png").is_file()
    method: Any = registry.load(recipe.target)
    method.open(fitted.weights, "cpu")
    if name in PAINTING:
        assert synthesize(root, ["hole"], 2, recipe=recipe, workers=1, device="cpu").classes["hole"].made == 2
        assert list(layout.verify(root)) == []


def test_a_pipeline_is_used_as_it_is_without_a_lora(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-weights"))  # copies are sought by pixels alone
    pipeline = json.dumps(str(tiny_pipeline.save(tmp_path / "pipeline")))
    file = tmp_path / "plain.yaml"
    fit = f"fit: {{precision: full, crop_px: 64, lora_rank: 0, pipeline: {pipeline}}}"
    file.write_text(f"extends: pretrained-inpaint\n{GATES}parameters:\n  {fit}\n  sample_steps: 4\n")
    fitted = synthesis.fitted(root, file)
    assert (fitted.steps, fitted.losses) == (0, {})
    assert synthesize(root, ["hole"], 1, recipe=files.load(file), workers=1, device="cpu").classes["hole"].made == 1


@pytest.mark.parametrize("profile", ["", "-128", "-256"])
@pytest.mark.parametrize("method", ["ddpm-inpaint", "gan"])
def test_the_networks_of_every_profile_can_be_built(method: str, profile: str) -> None:
    parameters: Any = files.load(method + profile).parameters
    fit = parameters.fit
    label, size = torch.tensor([1]), fit.crop_px
    with torch.no_grad():
        if isinstance(fit, GanFitParameters):
            grain = grains_of(np.random.default_rng(0), 1, size, torch.device("cpu"))
            ground = BackgroundGenerator(size, fit.latent, fit.width)(torch.zeros(1, fit.latent), grain)
            branch = DefectBranch(2, size, fit.latent, fit.width // 2)
            made = [branch(ground, torch.zeros(1, fit.latent), label, grain)[0]]
        else:
            # As deep as any crop of the profile, but quick.
            size, time = 64, torch.tensor([5])
            network = Denoiser(7, 3, 4, fit.widths, fit.block_px, fit.layers)
            made = [network(torch.zeros(1, 7, size, size), time, label)]
    assert all(one.shape[-2:] == (size, size) and bool(one.isfinite().all()) for one in made)
