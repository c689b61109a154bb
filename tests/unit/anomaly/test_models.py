"""Anomaly models: each finds what good images do not show, comes back from its folder, and keeps good good."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.textures import good_samples, texture, with_defect

from carpet_data.errors import DataError, UsageError, WeightsError
from carpet_data.networks import Network, build, find_weights
from carpet_data.training.anomaly.fit import AnomalyFit, fit_anomaly
from carpet_data.training.anomaly.folder import save
from carpet_data.training.anomaly.model import AnomalyModel
from carpet_data.training.anomaly.options import AnomalyOptions
from carpet_data.training.anomaly.patchcore import PatchCore
from carpet_data.training.contract import load_predictor

CPU = torch.device("cpu")
MODELS = ("patchcore", "subspace", "padim", "autoencoder")
FAST = {"steps": 6, "size": 96, "folds": 3}


@cache
def network() -> Network:
    return build(find_weights("efficientnet_lite0"), classes=2, seed=0)


def fitted(root: Path, count: int, model: str, *, group: str | None = None, **options: object) -> AnomalyFit:
    chosen = AnomalyOptions(**{**FAST, "model": model, **options})  # type: ignore[arg-type]
    samples = good_samples(root, count, group=group)
    return fit_anomaly(None if model == "autoencoder" else network(), samples, chosen, CPU)


@pytest.fixture(scope="module", params=MODELS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AnomalyFit:
    return fitted(tmp_path_factory.mktemp("good"), 10, request.param)


def test_defects_stand_out_where_they_are(trained: AnomalyFit) -> None:
    good = [texture(seed) for seed in range(50, 54)]
    changed, mask = with_defect(texture(60))
    *calm, found = trained.model.predict([*good, changed])
    assert found.anomaly > max(each.anomaly for each in calm)
    assert found.class_name == "defect"
    assert found.heat is not None
    assert found.labels is not None
    assert (found.heat.shape, found.heat.dtype) == (mask.shape, np.float32)
    # How often a pixel of the defect is hotter than one of the rest.
    assert np.searchsorted(np.sort(found.heat[~mask]), found.heat[mask]).mean() > 0.85 * (~mask).sum()
    peak = np.unravel_index(found.heat.argmax(), mask.shape)
    assert mask[max(peak[0] - 4, 0) : peak[0] + 5, max(peak[1] - 4, 0) : peak[1] + 5].any()
    for each in (*calm, found):
        assert 0 <= each.anomaly <= 1
        assert each.heat is not None
        assert np.isfinite(each.heat).all()
        assert 0 <= each.heat.min() <= each.heat.max() <= 1
        assert each.probabilities is not None
        assert sum(each.probabilities.values()) == pytest.approx(1)
        assert (each.class_name == "defect") == (each.anomaly >= 0.5)
    assert trained.model.classes == ("good", "defect")
    assert trained.model.task == "anomaly"


def test_it_comes_back_from_its_folder(trained: AnomalyFit, tmp_path: Path) -> None:
    assert isinstance(trained.model, AnomalyModel)
    name = trained.model.name
    save(trained.model, None if name == "autoencoder" else network(), tmp_path)
    assert json.loads((tmp_path / "model.json").read_text())["kind"] == name
    images = [texture(70), with_defect(texture(71))[0], texture(72, 50, 130)[..., 0]]
    first, second = trained.model.predict(images), load_predictor(tmp_path, device="cpu").predict(images)
    for one, other in zip(first, second, strict=True):
        assert one.anomaly == pytest.approx(other.anomaly, abs=1e-5)
        assert np.allclose(one.heat, other.heat, atol=1e-4)  # type: ignore[arg-type]
    assert second[2].heat is not None
    assert second[2].heat.shape == (50, 130)


def test_damaged_folders_are_named(trained: AnomalyFit, tmp_path: Path) -> None:
    assert isinstance(trained.model, AnomalyModel)
    name = trained.model.name
    save(trained.model, None if name == "autoencoder" else network(), tmp_path)
    known = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**known, "anomaly": {}}))
    with pytest.raises(WeightsError, match="anomaly model"):
        load_predictor(tmp_path, device="cpu")
    (tmp_path / "model.json").write_text(json.dumps(known))
    weights = (tmp_path / "weights.safetensors").read_bytes()
    (tmp_path / "weights.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(WeightsError):
        load_predictor(tmp_path, device="cpu")
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(WeightsError, match="missing"):
        load_predictor(tmp_path, device="cpu")


@pytest.mark.parametrize("model", ["patchcore", "subspace", "padim"])
def test_one_good_image_is_enough_and_its_threshold_is_said_to_be_a_guess(model: str, tmp_path: Path) -> None:
    found = fitted(tmp_path, 1, model)
    assert any("one group" in note for note in found.model.notes)
    assert any("extrapolated" in note for note in found.model.notes)
    good, bad = found.model.predict([texture(0), with_defect(texture(0))[0]])
    assert good.anomaly < 0.5 < bad.anomaly


def test_a_memory_of_many_images_leaves_out_what_is_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []
    fit = PatchCore.fit
    monkeypatch.setattr(PatchCore, "fit", lambda maps, **options: fits.append(len(maps)) or fit(maps, **options))
    model = fitted(tmp_path, 20, "patchcore", size=48, false_alarms=0.1).model
    assert fits == [20]
    good = [model.predict([texture(seed)])[0].anomaly for seed in range(100, 120)]
    assert 0.01 < np.median(good) < 0.5


def test_equal_images_leave_a_memory(tmp_path: Path) -> None:
    samples = good_samples(tmp_path, 20, group=None)
    alike = [replace(each, image_path=samples[0].image_path) for each in samples]
    found = fit_anomaly(network(), alike, AnomalyOptions(size=48, views=1), CPU)
    assert np.isfinite(found.model.predict([texture(0)])[0].anomaly)


def test_the_autoencoder_holds_out_half_of_one_image(tmp_path: Path) -> None:
    notes = fitted(tmp_path, 1, "autoencoder", steps=2).model.notes
    assert any("one group" in note and "right halves" in note for note in notes)


@pytest.mark.parametrize("model", ["patchcore", "padim"])
def test_a_threshold_by_synthetic_defects(model: str, tmp_path: Path) -> None:
    found = fitted(tmp_path, 6, model, threshold="synthetic", folds=2, views=1)
    assert any("synthetic defects" in note for note in found.model.notes)
    good, bad = found.model.predict([texture(99), with_defect(texture(99))[0]])
    assert good.anomaly < bad.anomaly


def test_mixed_sizes_gray_and_images_smaller_than_a_stride(tmp_path: Path) -> None:
    samples = [
        *good_samples(tmp_path / "a", 3, height=64, width=96),
        *good_samples(tmp_path / "b", 3, height=120, width=40),
    ]
    samples = [each for number, each in enumerate(samples)]
    for model in ("patchcore", "padim"):
        found = fit_anomaly(network(), _renamed(samples), AnomalyOptions(model=model, size=96, views=1), CPU)  # type: ignore[arg-type]
        tiny = found.model.predict([texture(5, 5, 3), texture(6, 1, 1)[..., 0]])
        assert [each.heat.shape for each in tiny if each.heat is not None] == [(5, 3), (1, 1)]
    with pytest.raises(DataError, match="too small"):
        fit_anomaly(network(), good_samples(tmp_path / "c", 1, height=4, width=4), AnomalyOptions(size=96), CPU)


def _renamed(samples: list) -> list:
    return [replace(each, id=f"image_{number}") for number, each in enumerate(samples)]


def test_padim_says_whether_positions_count(tmp_path: Path) -> None:
    free = fitted(tmp_path / "free", 6, "padim", views=1)
    assert free.chosen["positions"] == "free"
    samples = good_samples(tmp_path / "same", 6)
    shade = np.linspace(0, 150, 96, dtype=np.float32)[:, None, None]
    from carpet_data.core.images import write_png

    for number, sample in enumerate(samples):
        image = np.clip(texture(number).astype(np.float32) * 0.1 + shade, 0, 255).astype(np.uint8)
        image[20:60, 20:60] = 250 - image[20:60, 20:60]
        write_png(sample.root / sample.image_path, image)  # type: ignore[operator]
    aligned = fit_anomaly(network(), samples, AnomalyOptions(model="padim", size=96, views=1), CPU)
    assert aligned.chosen["positions"] == "aligned"


def test_strides_that_the_network_lacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="stride 64"):
        fitted(tmp_path, 2, "patchcore", strides=(64,))
    with pytest.raises(UsageError, match="invalid --strides"):
        AnomalyOptions(strides=(3,))
