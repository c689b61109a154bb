"""Grad-CAM against its formula, and where a real network looks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import networks
from torch import nn

from carpet_data.core.images import read
from carpet_data.networks import build, find_weights, state_dicts
from carpet_data.training import evaluate, gradcam, pictures


@pytest.mark.parametrize("freeze", ["none", "backbone", "until stage3"])
def test_the_formula(freeze: str) -> None:
    """Under mean pooling the gradient of a logit is the head's weight over the cells of the map."""
    network, table = networks.network(), networks.table(3, size=64)
    with torch.no_grad():
        # Towards positive weights, or chance may leave a class without any heat.
        network.head.weight.add_(0.02)
    network.freeze(freeze)
    network.train()
    targets = np.array([2, 0, 1])
    found = gradcam.heat(network, table.pixels, targets, batch_size=2)
    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())
    network.eval()
    maps: list[torch.Tensor] = []
    hook = network.body.get_submodule("conv5").register_forward_hook(lambda module, x, y: maps.append(y))
    with torch.no_grad():
        network(network.prepare(table.pixels))
    hook.remove()
    weights = network.head.weight.detach()[torch.from_numpy(targets)] / 4
    cam = torch.einsum("nc,nchw->nhw", weights, maps[0]).clamp_min(0)
    cam = nn.functional.interpolate(cam[:, None], (64, 64), mode="bicubic")[:, 0].clamp_min(0)
    expected = (cam / cam.amax(dim=(1, 2), keepdim=True)).numpy()
    assert found.shape == (3, 64, 64)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-4)
    assert found.min() >= 0
    assert np.allclose(found.max(axis=(1, 2)), 1)


def test_nothing_that_speaks_for_a_class_is_no_heat() -> None:
    network, table = networks.network(), networks.table(1)
    with torch.no_grad():
        network.head.weight.fill_(-1.0)
    assert not gradcam.heat(network, table.pixels, np.array([0])).any()


@pytest.mark.parametrize(
    ("architecture", "pooling", "size"),
    [
        ("densenet121", "mean", 64),
        ("mnasnet0_5", "mean+max", 64),
        ("squeezenet1_1", "mean", 64),
        ("vit_b_32", "mean", 224),
    ],
)
def test_families(architecture: str, pooling: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = nn.init.normal_
    monkeypatch.setattr(nn.init, "trunc_normal_", lambda tensor, mean=0.0, std=1.0, **kwargs: quick(tensor, mean, std))
    network, table = networks.network(architecture, pooling=pooling), networks.table(2, size=size)
    with torch.no_grad():
        network.head.weight.add_(0.5 * network.feature_size**-0.5)
    network.freeze("backbone")
    found = [gradcam.heat(network, table.pixels, np.array([target, target])) for target in range(3)]
    assert all(heat.shape == (2, size, size) and np.isfinite(heat).all() for heat in found)
    assert any(heat.any() for heat in found)
    assert not np.array_equal(found[0], found[1])


def test_a_trained_network_looks_at_the_cat() -> None:
    data = pytest.importorskip("skimage.data")
    import cv2

    weights = find_weights("efficientnet_lite0")
    network = build(weights, classes=1000, seed=0)
    state = state_dicts.read(weights.path)  # type: ignore[arg-type]
    with torch.no_grad():
        network.head.weight.copy_(state["_fc.weight"])
        network.head.bias.copy_(state["_fc.bias"])
    cat = cv2.resize(data.chelsea()[:, 75:375], (112, 112), interpolation=cv2.INTER_AREA)
    images = np.full((2, 224, 224, 3), 127, np.uint8)
    images[0, :112, :112] = images[1, 112:, 112:] = cat
    heat = gradcam.heat(network, images, np.array([285, 285]))
    share = heat.sum(axis=(1, 2))
    assert heat[0, :120, :120].sum() > 0.6 * share[0]
    assert heat[1, 104:, 104:].sum() > 0.6 * share[1]


def test_an_overlay_leaves_the_cold_as_it_was() -> None:
    pixels = networks.table(1).pixels[0]
    heat = np.zeros((32, 32), np.float32)
    heat[:8, :8] = 1
    drawn = gradcam.overlay(pixels, heat)
    assert drawn.dtype == np.uint8
    assert np.array_equal(drawn[8:, 8:], pixels[8:, 8:])
    assert (drawn[:8, :8].mean(axis=(0, 1)) - pixels[:8, :8].mean(axis=(0, 1)))[0] > 20, "hot is red"


def test_the_worst_images_are_written(tmp_path: Path) -> None:
    network, table = networks.network(), networks.table(5, size=40)
    found = evaluate.predict(network, table)
    files = pictures.write_worst(tmp_path / "worst", network, table, found, count=3, sheet_path=tmp_path / "worst.png")
    assert [file.stem for file in files] == [table.ids[row] for row in found.worst(3)]
    assert sorted(tmp_path.rglob("*.png")) == sorted([*files, tmp_path / "worst.png"])
    shapes = {read(file).shape for file in files}
    assert len(shapes) == 1
    (shape,) = shapes
    assert read(tmp_path / "worst.png").shape[1] > 3 * shape[1]
    assert pictures.write_worst(tmp_path / "none", network, table, found, count=0) == []
    assert not (tmp_path / "none").exists()


def test_titles_of_any_length_and_script_fit() -> None:
    pixels, heat = networks.table(1).pixels[0], np.zeros((32, 32), np.float32)
    panels = [
        pictures.panel(pixels, heat, title, truth, "good", 0.5)
        for title, truth in (("a", "good"), ("x" * 300, "Löcher und Fäden " * 20), ("", "дефект"))
    ]
    assert len({panel.shape for panel in panels}) == 1
    bars = [panel[:40] for panel in panels]
    assert not np.array_equal(bars[0], bars[2])
    # Nothing runs into the right edge.
    assert (bars[1][:, -2:] == bars[1][0, -1]).all()
