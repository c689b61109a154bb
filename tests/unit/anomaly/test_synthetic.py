"""The dense head on synthetic defects: it finds others of their kind, and comes back from its folder."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.textures import good_samples, texture

from carpet_data.networks import build, find_weights
from carpet_data.training.anomaly import synthetic
from carpet_data.training.anomaly.defects import SyntheticDefects
from carpet_data.training.anomaly.folder import save
from carpet_data.training.anomaly.options import AnomalyOptions
from carpet_data.training.contract import load_predictor
from carpet_data.training.dense.options import DenseOptions


def test_it_finds_defects_of_its_kind_on_new_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "_FEWEST_DEFECTS", 24)
    monkeypatch.setattr(synthetic, "DenseOptions", partial(DenseOptions, steps=60, batch_cells=256))
    network = build(find_weights("efficientnet_lite0"), classes=2, seed=0)
    options = AnomalyOptions(model="synthetic", size=96, defects="perlin", folds=2, views=1)
    model = synthetic.fit_synthetic(network, good_samples(tmp_path, 8), options, torch.device("cpu"))
    assert "24 synthetic defects (perlin)" in model.notes[0]
    new = [texture(seed) for seed in range(50, 56)]
    drawn = SyntheticDefects(new, "perlin", 9)
    changed = [drawn.draw(row, row) for row in range(len(new))]
    found = model.predict([image for image, _ in changed])
    inside, outside = [], []
    for each, (_, mask) in zip(found, changed, strict=True):
        assert each.heat is not None
        inside.append(each.heat[mask].mean())
        outside.append(each.heat[~mask].mean())
    assert np.mean(inside) > 1.5 * np.mean(outside)
    save(model, network, tmp_path / "model")
    assert json.loads((tmp_path / "model/model.json").read_text())["kind"] == "synthetic"
    wide = texture(5, 60, 150)
    first, second = model.predict([wide])[0], load_predictor(tmp_path / "model", device="cpu").predict([wide])[0]
    assert first.anomaly == pytest.approx(second.anomaly, abs=1e-5)
    assert second.heat is not None
    assert second.heat.shape == (60, 150)
