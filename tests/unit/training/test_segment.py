"""Segmentation networks: they stand on the backbone's weights, learn, and come back from disk as they were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from carpet_data import networks
from carpet_data.networks.pyramid import Pyramid
from carpet_data.training.segment.losses import dice, focal, loss
from carpet_data.training.segment.model import prediction_of, probability_maps
from carpet_data.training.segment.networks import build


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _weights(name: str) -> networks.Weights:
    return networks.find_weights(name, "none")


@pytest.mark.parametrize(
    ("model", "architecture"),
    [("unet", "resnet18"), ("deeplabv3", "efficientnet_lite0"), ("lraspp", "mobilenet_v3_large"), ("draem-unet", None)],
)
def test_logits_have_the_size_of_the_image(model: Any, architecture: str | None) -> None:
    weights = None if architecture is None else _weights(architecture)
    net = build(model, weights, classes=3, seed=0).eval()
    with torch.inference_mode():
        assert net(torch.zeros(1, 40, 50, 3, dtype=torch.uint8)).shape == (1, 3, 40, 50)


def test_the_encoder_of_the_unet_is_the_backbone() -> None:
    weights = networks.find_weights("efficientnet_lite0", "auto", download=False)
    net = build("unet", weights, classes=2, seed=0).eval()
    network = networks.build(weights, classes=1, seed=5).eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        (ours,) = Pyramid(network, (16,)).eval()(x).values()
        theirs = net.core.get_submodule("encoder")(x)[4]
    torch.testing.assert_close(theirs, ours, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("architecture", ["resnet18", "mobilenet_v2", "efficientnet_lite1", "timm:efficientnet_lite0"])
def test_every_encoder_takes_the_weights_of_its_backbone(architecture: str) -> None:
    build("unet", _weights(architecture), classes=2, seed=0)


def test_the_same_seed_gives_the_same_network() -> None:
    one, two, other = (build("lraspp", _weights("resnet18"), classes=2, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert not all(torch.equal(value, other[name]) for name, value in one.items())


def test_losses_against_their_formulas() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 5, 5, generator=generator)
    labels = torch.randint(0, 3, (2, 5, 5), generator=generator)
    shares = logits.softmax(1)
    right = shares.gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(focal(logits, labels), ((1 - right) ** 2 * -right.log()).mean())
    truth = torch.stack([labels == number for number in (1, 2)], 1).float()
    parts = (2 * (shares[:, 1:] * truth).sum((0, 2, 3)) + 1) / ((shares[:, 1:] + truth).sum((0, 2, 3)) + 1)
    torch.testing.assert_close(dice(logits, labels), 1 - parts.mean())
    entropy = functional.cross_entropy(logits, labels)
    torch.testing.assert_close(loss("cross-entropy+dice", logits, labels), entropy + dice(logits, labels))
    assert float(dice(logits, torch.zeros_like(labels))) == 0
    sure = functional.one_hot(labels, 3).movedim(-1, 1).float() * 50
    assert all(float(loss(name, sure, labels)) < 1e-3 for name in ("focal", "cross-entropy", "cross-entropy+dice"))


def test_tiles_leave_no_seam() -> None:
    class Local(torch.nn.Module):
        """A model that looks at one pixel alone: tiles must not matter."""

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            x = pixels.float().mean(-1) / 64
            return torch.stack((x, -x), 1)

    image = np.random.default_rng(0).integers(0, 256, (100, 75, 3)).astype(np.uint8)
    kinds: dict[str, Any] = {"size": None, "batch_size": 3, "device": torch.device("cpu")}
    net: Any = Local()
    (whole,) = probability_maps(net, [image], side=128, **kinds)
    tiled, small = probability_maps(net, [image, image[:20, :30]], side=32, **kinds)
    np.testing.assert_allclose(tiled, whole, atol=1e-6)
    np.testing.assert_allclose(small, whole[:, :20, :30], atol=1e-6)


def test_a_prediction_says_what_its_maps_say() -> None:
    maps = np.zeros((3, 40, 40), np.float32)
    maps[0] = 0.95
    maps[1], maps[2] = 0.02, 0.03
    maps[:, 10:20, 12:24] = np.array([0.05, 0.05, 0.9], np.float32)[:, None, None]
    found = prediction_of(maps, ("good", "hole", "thread"), (80, 80))
    assert found.class_name == "thread"
    assert found.heat is not None
    assert found.labels is not None
    assert found.heat.shape == found.labels.shape == (80, 80)
    assert set(np.unique(found.labels).tolist()) == {0, 2}
    assert [(each.class_name, each.mask is not None) for each in found.detections] == [("thread", True)]
    x, y, width, height = found.detections[0].bbox
    assert abs(x - 24) <= 1
    assert abs(y - 20) <= 1
    assert abs(width - 24) <= 2
    assert abs(height - 20) <= 2
    assert found.probabilities is not None
    assert sum(found.probabilities.values()) == pytest.approx(1)
    nothing = prediction_of(np.stack([np.ones((9, 9)), np.zeros((9, 9))]).astype(np.float32), ("good", "hole"), (9, 9))
    assert (nothing.class_name, nothing.anomaly, nothing.detections) == ("good", 0.0, ())
