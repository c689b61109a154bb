"""Training on real carpet: few images, every class, a model that can be loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from carpet_data.networks import load_model
from carpet_data.preparation.prepare import prepare
from carpet_data.training.options import TrainOptions
from carpet_data.training.train import train


@pytest.mark.real
def test_a_head_learns_real_carpet(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    root = tmp_path / "carpet"
    prepare(real_data("mvtec/carpet"), root, workers=1)
    done = train(root, options=TrainOptions(resize=224, epochs=100, device="cpu"), workers=1)
    assert done.metrics["train"]["accuracy"] == 1.0
    assert len(done.classes) == 6
    assert load_model(done.run)[0].head.out_features == 6
    assert len(list((done.run / "worst").iterdir())) == done.images["test"]
