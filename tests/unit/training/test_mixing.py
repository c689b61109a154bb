"""mixup, CutMix and mask-aware CutMix against hand-made cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from carpet_data.training import mixing
from carpet_data.training.losses import soft_labels


class Scripted:
    """A generator that gives what a case wants."""

    def __init__(
        self, *, beta: float = 0.5, partners: list[int] | None = None, center: tuple[int, int] = (0, 0)
    ) -> None:
        self._beta, self._partners, self._center = beta, partners, list(center)

    def beta(self, a: float, b: float) -> float:
        return self._beta

    def permutation(self, count: int) -> Any:
        return np.array(self._partners)

    def integers(self, high: int) -> int:
        self._center.append(self._center.pop(0))
        return self._center[-1]

    def uniform(self, low: float, high: float, size: int) -> Any:
        return np.zeros(size)  # no margin


def test_mixup_by_hand() -> None:
    values, labels = torch.tensor([[1.0, 2.0], [3.0, 6.0]]), torch.eye(2)
    mixed, soft = mixing.mixup(values, labels, Scripted(beta=0.25, partners=[1, 0]), 1.0)  # type: ignore[arg-type]
    assert mixed.tolist() == [[2.5, 5.0], [1.5, 3.0]]
    assert soft.tolist() == [[0.25, 0.75], [0.75, 0.25]]


def test_cutmix_counts_the_area_it_really_has() -> None:
    images = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)])
    # 1 − λ = 1/4 is a box of 4x4; at the corner (0, 0) a quarter of it is left: 2x2 of 64 pixels.
    rng = Scripted(beta=0.75, partners=[1, 0], center=(0, 0))
    mixed, soft = mixing.cutmix(images, torch.eye(2), rng, 1.0)  # type: ignore[arg-type]
    assert mixed[0, 0].sum() == 4
    assert mixed[0, 0, :2, :2].sum() == 4
    assert soft[0].tolist() == pytest.approx([60 / 64, 4 / 64])


def masks_of(*boxes: tuple[int, int, int, int] | None) -> np.ndarray:
    masks = np.zeros((len(boxes), 10, 10), np.uint8)
    for mask, box in zip(masks, boxes, strict=True):
        if box is not None:
            mask[box[1] : box[3], box[0] : box[2]] = 1
    return masks


def mask_cutmix(masks: np.ndarray, truth: list[int], rng: Scripted) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.arange(len(truth)).float().view(-1, 1, 1, 1).expand(-1, 1, 10, 10)
    labels = soft_labels(torch.tensor(truth), 3)
    return mixing.mask_cutmix(images, masks, labels, np.array(truth), rng, 1.0, good=0)  # type: ignore[arg-type]


def test_the_box_holds_the_whole_defect_and_labels_go_by_visible_pixels() -> None:
    # Image 0 has 12 defect pixels, of which the box of image 1's defect (2x2 at 4, 4) hides one; 1 gets all but…
    masks = masks_of((1, 2, 5, 5), (4, 4, 6, 6))
    mixed, soft = mask_cutmix(masks, [1, 2], Scripted(partners=[1, 0]))
    assert mixed[0, 0, 4:6, 4:6].tolist() == [[1, 1], [1, 1]]
    assert mixed[0].sum() == 4
    assert soft[0].tolist() == pytest.approx([0, 11 / 15, 4 / 15])
    # … and the box of image 0's defect hides one pixel of image 1's four.
    assert soft[1].tolist() == pytest.approx([0, 12 / 15, 3 / 15])


def test_a_defect_pasted_on_good_is_the_defect_though_its_area_is_small() -> None:
    _, soft = mask_cutmix(masks_of(None, (4, 4, 6, 6)), [0, 2], Scripted(beta=1.0, partners=[1, 0]))
    assert soft[0].tolist() == [0, 0, 1]


def test_good_pasted_over_a_whole_defect_makes_a_good_image() -> None:
    masks = masks_of((4, 4, 6, 6), None)
    _, covered = mask_cutmix(masks, [1, 0], Scripted(beta=0.64, partners=[1, 0], center=(5, 5)))
    assert covered[0].tolist() == [1, 0, 0]
    _, beside = mask_cutmix(masks, [1, 0], Scripted(beta=0.64, partners=[1, 0], center=(0, 0)))
    assert beside[0].tolist() == [0, 1, 0]


def test_a_defect_without_mask_is_labelled_by_area() -> None:
    _, soft = mask_cutmix(masks_of(None, (4, 4, 6, 6)), [1, 2], Scripted(beta=1.0, partners=[1, 0]))
    assert soft[0].tolist() == pytest.approx([0, 0.96, 0.04])


def test_rows_sum_to_one_and_the_same_generator_gives_the_same() -> None:
    rng = np.random.default_rng(0)
    images, truth = torch.from_numpy(rng.random((6, 3, 16, 16), np.float32)), np.array([0, 0, 1, 1, 2, 2])
    masks = np.zeros((6, 16, 16), np.uint8)
    masks[2:, 3:6, 4:9] = 1
    labels = soft_labels(torch.from_numpy(truth), 3, 0.1)
    results = [
        mixing.mask_cutmix(images, masks, labels, truth, np.random.default_rng(4), 1.0, good=0) for _ in range(2)
    ]
    assert torch.equal(results[0][0], results[1][0])
    assert torch.allclose(results[0][1].sum(dim=1), torch.ones(6))
    assert torch.equal(images, torch.from_numpy(np.random.default_rng(0).random((6, 3, 16, 16), np.float32)))
