"""The maps of a backbone as a module that trains."""

from __future__ import annotations

import pytest
import torch

from carpet_data import networks
from carpet_data.errors import UsageError
from carpet_data.networks import Network
from carpet_data.networks.pyramid import Pyramid, dilate


def _network(architecture: str) -> Network:
    return networks.build(networks.find_weights(architecture, "none"), classes=1, seed=0)


def test_maps_have_their_strides_and_channels() -> None:
    pyramid = Pyramid(_network("resnet18"), (4, 8, 32), keys=("a", "b", "c"))
    found = pyramid(torch.zeros(1, 3, 64, 96))
    assert {name: tuple(each.shape) for name, each in found.items()} == {
        "a": (1, 64, 16, 24),
        "b": (1, 128, 8, 12),
        "c": (1, 512, 2, 3),
    }
    assert pyramid.channels == (64, 128, 512)


def test_maps_are_those_of_the_network_and_gradients_reach_it() -> None:
    network = _network("efficientnet_lite0").eval()
    x = torch.rand(1, 3, 64, 64)
    pyramid = Pyramid(network, (8,)).eval()
    (found,) = pyramid(x).values()
    seen: list[torch.Tensor] = []
    hook = network.body.get_submodule(pyramid.names[0]).register_forward_hook(lambda _, __, out: seen.append(out))
    network.features(x)
    hook.remove()
    assert torch.equal(found, seen[0])
    found.sum().backward()  # type: ignore[no-untyped-call]
    slopes = [each.grad for each in network.body.parameters() if each.grad is not None]
    assert any(float(each.abs().sum()) > 0 for each in slopes)


@pytest.mark.parametrize("architecture", ["resnet18", "efficientnet_lite0"])
def test_dilation_keeps_the_size_of_the_maps_and_every_weight(architecture: str) -> None:
    plain, network = _network(architecture), _network(architecture)
    dilate(network, 16)
    pyramid = Pyramid(network, (8, 16))
    assert pyramid(torch.zeros(1, 3, 64, 64))["1"].shape[2:] == (4, 4)
    assert pyramid.names[1] == Pyramid(plain, (32,)).names[0]
    shapes = {name: value.shape for name, value in plain.state_dict().items()}
    assert {name: value.shape for name, value in network.state_dict().items()} == shapes


def test_a_network_that_pools_is_not_dilated() -> None:
    with pytest.raises(UsageError, match="squeezenet1_1 cannot be dilated"):
        dilate(_network("squeezenet1_1"), 8)
