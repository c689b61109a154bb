"""Detectors: targets are exact, anchors fit small defects, they learn, and come back from disk as they were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from carpet_data import networks
from carpet_data.training.contract import Detection
from carpet_data.training.detect.fit import targets_of
from carpet_data.training.detect.model import found_in, prediction_of
from carpet_data.training.detect.networks import anchor_boxes, build
from carpet_data.training.map_pictures import map_panel
from carpet_data.training.tuning.crops import Crop

CLASSES = ("good", "hole", "thread")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _weights(name: str = "resnet18") -> networks.Weights:
    return networks.find_weights(name, "none")


def _crop() -> Crop:
    numbers = np.zeros((64, 64), np.uint8)
    numbers[10:30, 5:9], numbers[40:50, 40:64] = 1, 2
    image = np.full((64, 64, 3), 120, np.uint8)
    image[numbers > 0] = 20
    return Crop(image, numbers, np.array([0, 2, 1]))


def test_targets_are_half_open_boxes_and_exact_masks() -> None:
    found = targets_of(_crop())
    assert found["boxes"].tolist() == [[5, 10, 9, 30], [40, 40, 64, 50]]
    assert found["labels"].tolist() == [2, 1]
    np.testing.assert_array_equal(found["masks"].sum(0).numpy() > 0, _crop().numbers > 0)
    empty = targets_of(Crop(_crop().image, np.zeros((64, 64), np.uint8), np.array([0])))
    assert (tuple(empty["boxes"].shape), tuple(empty["masks"].shape)) == ((0, 4), (0, 64, 64))


@pytest.mark.parametrize("model", ["fasterrcnn", "retinanet"])
def test_anchors_overlap_small_and_long_boxes(model: Any) -> None:
    """At the best place some anchor has an IoU of 0.5 with every box of 8 to 160 pixels and ratios up to 3."""
    anchors = np.array(anchor_boxes(model))
    for size in (8, 12, 20, 33, 60, 100, 160):
        for ratio in (1 / 3, 0.6, 1.0, 1.7, 3.0):
            box = np.array([size * ratio**-0.5, size * ratio**0.5])
            common = np.minimum(anchors, box).prod(axis=1)
            overlap = common / (anchors.prod(axis=1) + box.prod() - common)
            assert overlap.max() >= 0.5, (size, ratio)


@pytest.mark.parametrize("model", ["fasterrcnn", "maskrcnn", "retinanet", "ssdlite"])
def test_every_model_takes_crops_with_and_without_defects(model: Any) -> None:
    net = build(model, _weights(), classes=3, crop=64, min_score=0.3, seed=0)
    empty = Crop(_crop().image, np.zeros((64, 64), np.uint8), np.array([0]))
    pixels = torch.from_numpy(np.stack([_crop().image, empty.image]))
    net.train()
    loss = net.losses(pixels, [targets_of(_crop()), targets_of(empty)])
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    net.eval()
    images = [_crop().image, np.zeros((20, 100), np.uint8), np.zeros((5, 5, 3), np.uint8)]
    found = found_in(net, images, CLASSES, size=None, side=64, batch_size=2, device=torch.device("cpu"))
    assert len(found) == 3
    for image, detections in zip(images, found, strict=True):
        for each in detections:
            x, y, width, height = each.bbox
            assert min(x, y) >= 0
            assert x + width <= image.shape[1]
            assert y + height <= image.shape[0]
            assert 0.3 <= each.score <= 1
            assert (each.mask is None) == (model != "maskrcnn")
            assert each.mask is None or each.mask.shape == (height, width)


def test_pretrained_statistics_stay_as_they_are() -> None:
    weights = networks.find_weights("efficientnet_lite0", "auto", download=False)
    net = build("ssdlite", weights, classes=2, crop=64, min_score=0.05, seed=0).train()
    before = {name: value.clone() for name, value in net.state_dict().items() if "body" in name and "running" in name}
    net.losses(
        torch.from_numpy(np.stack([_crop().image] * 2)), [targets_of(_crop()) | {"labels": torch.ones(2).long()}] * 2
    )
    after = net.state_dict()
    assert before
    assert all(torch.equal(value, after[name]) for name, value in before.items())


class _Fixed:
    """A detector that finds every dark box of a tile: what is dark and connected."""

    def detect(self, pixels: torch.Tensor) -> list[dict[str, torch.Tensor]]:
        found = []
        for image in pixels.numpy():
            dark = image[:, :, 0] < 60
            rows, columns = np.nonzero(dark)
            boxes = [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]] if len(rows) else np.zeros((0, 4))
            boxes = torch.tensor(np.array(boxes, np.float32))
            found.append(
                {"boxes": boxes, "labels": torch.ones(len(boxes)).long(), "scores": torch.full((len(boxes),), 0.9)}
            )
        return found


def test_a_defect_across_tiles_is_found_once() -> None:
    image = np.full((200, 150), 200, np.uint8)
    image[60:70, 30:120] = 10
    net: Any = _Fixed()
    kinds: dict[str, Any] = {"side": 64, "batch_size": 3, "device": torch.device("cpu")}
    (found,) = found_in(net, [image], CLASSES, size=None, **kinds)
    assert [(each.bbox, each.class_name) for each in found] == [((30, 60, 90, 10), "hole")]
    (shrunken,) = found_in(net, [image], CLASSES, size=100, **kinds)
    x, y, width, height = shrunken[0].bbox
    assert len(shrunken) == 1
    assert max(abs(x - 30), abs(y - 60), abs(x + width - 120), abs(y + height - 70)) <= 2


def test_a_prediction_says_what_its_detections_say() -> None:
    mask = np.ones((4, 6), np.bool_)
    mask[0] = False
    found = (Detection("thread", 0.8, (3, 2, 6, 4), mask), Detection("hole", 0.3, (0, 0, 6, 4), mask))
    said = prediction_of(found, CLASSES, (10, 12), masks=True)
    assert (said.class_name, said.anomaly) == ("thread", 0.8)
    assert said.heat is not None
    assert said.labels is not None
    assert said.heat[4, 4] == np.float32(0.8)
    assert said.heat[1, 1] == np.float32(0.3)
    assert np.count_nonzero(said.labels) == 18
    assert said.probabilities is not None
    assert sum(said.probabilities.values()) == pytest.approx(1)
    boxes = prediction_of([Detection("hole", 0.4, (0, 0, 2, 2))], CLASSES, (10, 12), masks=False)
    assert (boxes.class_name, boxes.heat, boxes.labels) == ("good", None, None)
    assert prediction_of((), CLASSES, (10, 12), masks=True).anomaly == 0


def test_a_picture_shows_the_boxes_that_are_surer_than_not() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    sure, unsure = Detection("hole", 0.9, (10, 20, 30, 40)), Detection("hole", 0.2, (60, 60, 20, 20))
    shown = [
        map_panel(image, None, prediction_of(found, CLASSES, (100, 100), masks=False), CLASSES, ("a",))
        for found in ((sure, unsure), (sure,), (unsure,))
    ]
    assert np.array_equal(shown[0], shown[1])
    assert np.count_nonzero(shown[0] != shown[2]) > 100
