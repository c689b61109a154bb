"""Networks that other packages bring: plug-ins by an entry point, and timm's by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.networks import table

from carpet_data.errors import CarpetDataError, UsageError
from carpet_data.networks import build, catalog, find_weights, load_model, save_model
from carpet_data.networks.network import check_use
from carpet_data.training import gradcam

_PLUGIN = """
from torch import nn

from carpet_data.networks import Input


def tiny():
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 3, padding=1), nn.ReLU()
    )
    body = nn.Sequential()
    body.add_module("maps", layers)
    body.add_module("pool", nn.AdaptiveAvgPool2d(1))
    body.carpet_data = Input((0.5, 0.5, 0.5), (0.25, 0.25, 0.25), smallest=16, last_map="maps")
    return body


def bare():
    return nn.Flatten()
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with networks, as pip would have installed it."""
    (tmp_path / "tiny_nets.py").write_text(_PLUGIN)
    info = tmp_path / "tiny_nets-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-nets\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[carpet_data.networks]\ntiny = tiny_nets:tiny\nbare = tiny_nets:bare\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(catalog.NETWORKS.__dict__, "added", raising=False)
    catalog.architectures.cache_clear()
    yield
    catalog.NETWORKS.__dict__.pop("added", None)
    catalog.architectures.cache_clear()


def test_a_network_of_another_package_trains_and_comes_back(plugin: None, tmp_path: Path) -> None:
    assert "tiny" in catalog.architectures()
    weights = find_weights("tiny")
    assert weights.name == "none"
    network = build(weights, classes=3, seed=1, pooling="mean+max").eval()
    assert (network.feature_size, network.stages) == (24, ("maps",))
    images = table(4, size=32)
    with torch.inference_mode():
        logits = network(network.prepare(images.pixels))
    assert logits.shape == (4, 3)
    assert gradcam.heat(network, images.pixels, np.zeros(4, np.int64)).shape == (4, 32, 32)
    save_model(network, tmp_path / "model", ["a", "b", "c"])
    back, known = load_model(tmp_path / "model")
    assert known["architecture"] == "tiny"
    with torch.inference_mode():
        assert torch.equal(back(back.prepare(images.pixels)), logits)
    with pytest.raises(UsageError, match="minimum 16x16"):
        check_use(weights, size=8, freeze="backbone")


def test_its_weights_come_from_a_file(plugin: None, tmp_path: Path) -> None:
    torch.save(build(find_weights("tiny"), classes=2, seed=5).body.state_dict(), tmp_path / "tiny.pth")
    network = build(find_weights("tiny", str(tmp_path / "tiny.pth")), classes=2, seed=6)
    for name, value in torch.load(tmp_path / "tiny.pth", weights_only=True).items():
        assert torch.equal(network.body.state_dict()[name], value)


def test_a_network_without_a_description_is_refused(plugin: None) -> None:
    with pytest.raises(CarpetDataError, match="no input description"):
        build(find_weights("bare"), classes=2, seed=0)


def test_a_convolutional_network_of_timm_by_name(tmp_path: Path) -> None:
    weights = find_weights("timm:resnet10t", "none")
    network = build(weights, classes=3, seed=1, pooling="mean+max").eval()
    images = table(2, size=64)
    with torch.inference_mode():
        assert network.features(network.prepare(images.pixels)).shape == (2, 1024)
    assert gradcam.heat(network, images.pixels, np.zeros(2, np.int64)).shape == (2, 64, 64)
    save_model(network, tmp_path, ["a", "b", "c"])
    assert load_model(tmp_path)[0].architecture == "timm:resnet10t"
    with pytest.raises(UsageError, match="resnet10t"):
        find_weights("timm:resnet10tt")
    with pytest.raises(UsageError, match="no feature map"):
        build(find_weights("timm:vit_tiny_patch16_224", "none"), classes=2, seed=0)
