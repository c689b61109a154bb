"""Every architecture comes apart into body and head."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from carpet_data.errors import DataError, UsageError
from carpet_data.networks import Network, Weights, architectures, build, catalog, find_weights

# One of each family whose networks take images of any size, and the size to try.
FAMILIES = {
    "alexnet": 64,
    "convnext_tiny": 32,
    "densenet121": 32,
    "efficientnet_b0": 32,
    "efficientnet_lite0": 64,
    "googlenet": 64,
    "mnasnet0_5": 64,
    "mobilenet_v2": 32,
    "mobilenet_v3_small": 64,
    "regnet_y_400mf": 32,
    "resnet18": 64,
    "shufflenet_v2_x0_5": 64,
    "squeezenet1_1": 64,
    "swin_t": 32,
    "vgg11_bn": 32,
}


@contextmanager
def _without_drawing() -> Iterator[None]:
    """Layers without their random numbers: memory that is never touched costs nothing, even for 600 M weights."""
    names = ("kaiming_uniform_", "kaiming_normal_", "normal_", "uniform_", "trunc_normal_", "xavier_uniform_")
    with pytest.MonkeyPatch.context() as patch:
        for name in (*names, "constant_", "zeros_", "ones_"):
            patch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)
        yield


@pytest.fixture(autouse=True)
def _quick_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cutting off a normal's tails takes seconds for some networks, and nothing here looks at tails."""
    monkeypatch.setattr(
        nn.init, "trunc_normal_", lambda tensor, mean=0.0, std=1.0, **kwargs: nn.init.normal_(tensor, mean, std)
    )


def _random(architecture: str) -> Weights:
    return find_weights(architecture, "none")


def _build(architecture: str, **options: object) -> Network:
    return build(_random(architecture), **{"classes": 4, "seed": 3, **options})  # type: ignore[arg-type]


def _pixels(size: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_there_are_all_of_torchvision_and_the_lite_ones() -> None:
    names = architectures()
    assert {"resnet18", "resnet50", "efficientnet_lite0", "efficientnet_lite2", "vit_b_16", "swin_v2_t"} <= set(names)
    assert len(names) >= 80
    assert list(names) == sorted(set(names))


@pytest.mark.parametrize("architecture", architectures())
def test_every_architecture_splits(architecture: str) -> None:
    with _without_drawing():
        body = catalog.make(architecture)
        network = Network(_random(architecture), body, classes=2, seed=0, pooling="mean")
    left = sum(p.numel() for p in body.module.parameters())
    if architecture not in catalog.LITE:
        # Of weights for larger images a transformer has a larger position table.
        whole = min(each.meta["num_params"] for each in torchvision.models.get_model_weights(architecture))
        second_head = 3_326_696 if architecture == "inception_v3" else 0
        # MaxViT's head has no bias.
        assert whole - second_head - left == 1000 * body.size + (0 if architecture == "maxvit_t" else 1000)
    assert len(network.stages) >= 3
    inside = sum(p.numel() for name in network.stages for p in body.module.get_submodule(name).parameters())
    # All but single parameters beside the stages, such as a transformer's position table.
    assert inside > 0.99 * left
    assert inside <= left
    assert (network.last_map is None) == architecture.startswith("vit")
    if network.last_map is None:
        assert network.last_tokens is not None
    assert 32 <= body.expected.smallest <= 224
    assert body.expected.fixed == architecture.startswith(("vit", "maxvit"))


@pytest.mark.parametrize("architecture", FAMILIES)
def test_each_family_makes_features_and_logits(architecture: str) -> None:
    network = _build(architecture).eval()
    assert network.last_map is not None
    maps: list[torch.Tensor] = []
    network.last_map.register_forward_hook(lambda module, inputs, output: maps.append(output))
    with torch.inference_mode():
        x = network.prepare(_pixels(FAMILIES[architecture]))
        features, logits = network.features(x), network(x)
        by_hand = network.head(features)
    assert maps[0].ndim == 4
    # Channels come second, and there are several cells to look at.
    assert maps[0].shape[1] >= 96
    assert maps[0].shape[2] == maps[0].shape[3] <= 4
    assert features.shape == (2, network.feature_size)
    assert torch.isfinite(features).all()
    assert logits.shape == (2, 4)
    assert torch.allclose(logits, by_hand, atol=1e-5)


@pytest.mark.parametrize("architecture", ["alexnet", "efficientnet_lite0", "resnet18"])
def test_mean_and_max_together(architecture: str) -> None:
    mean = _build(architecture).eval()
    both = _build(architecture, pooling="mean+max").eval()
    with torch.inference_mode():
        x = mean.prepare(_pixels(64))
        plain, wide = mean.features(x), both.features(x)
    assert wide.shape[1] == both.feature_size > mean.feature_size
    assert torch.equal(wide[:, : mean.feature_size], plain)
    if architecture in ("efficientnet_lite0", "resnet18"):
        assert both.feature_size == 2 * mean.feature_size
        assert (wide[:, mean.feature_size :] >= plain).all()


def test_a_transformer_has_no_maximum_to_pool() -> None:
    with _without_drawing(), pytest.raises(UsageError, match="no feature map"):
        _build("vit_b_32", pooling="mean+max")


def test_the_seed_decides_and_the_global_generator_stays() -> None:
    before = torch.get_rng_state()
    one, same, other = _build("resnet18"), _build("resnet18"), _build("resnet18", seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    for (name, a), b in zip(one.state_dict().items(), same.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert not torch.equal(one.head.weight, other.head.weight)
    assert not torch.equal(one.body.conv1.weight, other.body.conv1.weight)  # type: ignore[union-attr,arg-type]
    assert torch.equal(one.body.conv1.weight, same.body.conv1.weight)  # type: ignore[union-attr,arg-type]
    assert float(one.head.weight.detach().abs().max()) <= 512**-0.5


def test_preparation_is_what_the_weights_were_trained_with() -> None:
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    pixels[0, 0, 0] = (255, 127, 0)
    lite = _build("efficientnet_lite0").prepare(pixels)
    assert torch.allclose(lite[0, :, 0, 0], torch.tensor([1.0, 0.0, -127 / 128]), atol=1e-6)
    resnet = _build("resnet18").prepare(pixels)
    expected = (torch.tensor([1.0, 127 / 255, 0.0]) - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    assert torch.allclose(resnet[0, :, 0, 0], expected, atol=1e-5)
    assert resnet.is_contiguous(memory_format=torch.channels_last)


def test_grey_becomes_three_equal_channels() -> None:
    network = _build("resnet18")
    grey = _pixels(32)[:, :, :, 0]
    assert torch.equal(network.prepare(grey), network.prepare(np.repeat(grey[..., None], 3, axis=3)))
    assert torch.equal(network.prepare(torch.from_numpy(grey)), network.prepare(grey))


def test_sizes_that_do_not_fit_are_named() -> None:
    with pytest.raises(UsageError, match="63x63"):
        _build("alexnet").prepare(_pixels(48))
    with _without_drawing():
        fixed = _build("vit_b_32")
    with pytest.raises(UsageError, match="224x224"):
        fixed.prepare(_pixels(240))


def test_unknown_names_are_met_with_near_ones() -> None:
    with pytest.raises(UsageError, match="resnet18"):
        find_weights("resnet-18")
    with pytest.raises(UsageError, match="pooling"):
        _build("resnet18", pooling="max")
    with pytest.raises(DataError, match="no class"):
        _build("resnet18", classes=0)


def _learning(network: Network) -> set[str]:
    return {name for name, p in network.named_parameters() if p.requires_grad}


def test_frozen_parts_neither_learn_nor_move() -> None:
    network = _build("resnet18")
    everything = _learning(network)
    network.freeze("until layer3")
    assert network.stages == ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
    assert _learning(network) == {n for n in everything if n.startswith(("body.layer4", "head"))}
    network.train()
    before = {name: tensor.clone() for name, tensor in network.named_buffers()}
    network(network.prepare(_pixels(64))).sum().backward()
    moved = {name for name, tensor in network.named_buffers() if not torch.equal(tensor, before[name])}
    assert moved
    assert all(name.startswith("body.layer4") for name in moved)
    network.freeze("backbone")
    assert _learning(network) == {"head.weight", "head.bias"}
    assert not network.body.training
    assert network.head.training
    network.freeze("none")
    assert _learning(network) == everything
    assert network.train().body.training


def test_the_last_stage_is_the_backbone() -> None:
    network = _build("efficientnet_lite0")
    network.freeze(f"until {network.stages[-1]}")
    assert _learning(network) == {"head.weight", "head.bias"}


@pytest.mark.parametrize("what", ["layer3", "until layer9", "until", "all"])
def test_a_stage_that_is_none_is_refused(what: str) -> None:
    with pytest.raises(UsageError, match="layer4"):
        _build("resnet18").freeze(what)
