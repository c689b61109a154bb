"""Mix pairs of one batch: mixup, CutMix, and a CutMix that knows where the defects are."""

from __future__ import annotations

import numpy as np
import torch

__all__ = ["cutmix", "mask_cutmix", "mixup"]

_MARGIN_FRAC = 0.25
"""A pasted box reaches beyond its defect by up to this share of the defect's own size on each side."""

Mixed = tuple[torch.Tensor, torch.Tensor]
Box = tuple[int, int, int, int]


def mixup(values: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator, alpha: float) -> Mixed:
    """mixup (Zhang et al. 2018): x = λ x_i + (1 − λ) x_j, labels likewise, λ ~ Beta(α, α), one λ a batch.

    Args:
        values: float (n, …): images or features.
        labels: float (n, k), rows summing to 1.
        rng: Draws λ and the partners.
        alpha: α, above 0.

    Returns:
        The mixed values and labels.
    """
    share = float(rng.beta(alpha, alpha))
    partner = torch.from_numpy(rng.permutation(len(values))).to(values.device)
    return torch.lerp(values[partner], values, share), torch.lerp(labels[partner], labels, share)


def cutmix(images: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator, alpha: float) -> Mixed:
    """CutMix (Yun et al. 2019): one box a batch, of the share 1 − λ of the image, is filled from the partner.

    λ ~ Beta(α, α); the box's center is uniform, and the labels are mixed by the area that it really has, cut at the
    border.

    Args:
        images: float (n, c, h, w).
        labels: float (n, k), rows summing to 1.
        rng: Draws λ, the box and the partners.
        alpha: α, above 0.
    """
    partner = torch.from_numpy(rng.permutation(len(images))).to(images.device)
    x0, y0, x1, y1 = _random_box(rng, images.shape[3], images.shape[2], alpha)
    mixed = images.clone()
    mixed[:, :, y0:y1, x0:x1] = images[partner, :, y0:y1, x0:x1]
    kept = 1 - (x1 - x0) * (y1 - y0) / (images.shape[2] * images.shape[3])
    return mixed, torch.lerp(labels[partner], labels, kept)


def mask_cutmix(
    images: torch.Tensor,
    masks: np.ndarray,
    labels: torch.Tensor,
    truth: np.ndarray,
    rng: np.random.Generator,
    alpha: float,
    *,
    good: int | None,
) -> Mixed:
    """CutMix that pastes defects whole and labels by the defect pixels that can be seen.

    By area, CutMix calls an image half scratched whose scratch was left behind. Here the box pasted from partner j
    into image i encloses j's defect with a random margin; it is a box of CutMix where j has none. With h the defect
    pixels of i outside the box and d those of j inside it, j's label gets the weight d / (h + d). Where no defect can
    be seen, both images being good there, the label is `good`. Where an image of a defect class has no mask, nothing
    is known of its pixels, and the pair is labeled by area as in CutMix.

    Args:
        images: float (n, c, h, w).
        masks: (n, h, w), nonzero where there is a defect.
        labels: float (n, k), rows summing to 1: as they are to be trained on.
        truth: int64 (n,): the class of each image.
        rng: Draws the partners, the boxes and their margins.
        alpha: Of the boxes of CutMix.
        good: The label of the class without defects; None where there is none.
    """
    height, width = images.shape[2:]
    partners = rng.permutation(len(images))
    seen = masks != 0
    has_defect = seen.any(axis=(1, 2))
    known = has_defect | (truth == (-1 if good is None else good))
    mixed, weights, clear = images.clone(), np.zeros(len(images)), np.zeros(len(images), np.bool_)
    for i, j in enumerate(partners):
        x0, y0, x1, y1 = _around(seen[j], rng) if has_defect[j] else _random_box(rng, width, height, alpha)
        mixed[i, :, y0:y1, x0:x1] = images[j, :, y0:y1, x0:x1]
        if not (known[i] and known[j]):
            weights[i] = (x1 - x0) * (y1 - y0) / (width * height)
            continue
        given = int(seen[j, y0:y1, x0:x1].sum())
        left = int(seen[i].sum() - seen[i, y0:y1, x0:x1].sum())
        clear[i] = given + left == 0
        weights[i] = 0.0 if clear[i] else given / (given + left)
    share = torch.from_numpy(weights).to(labels).unsqueeze(1)
    # Rows of equal weight may carry smoothing, so a row of `good` is taken from an image that has it.
    result = labels * (1 - share) + labels[torch.from_numpy(partners).to(labels.device)] * share
    for place in np.flatnonzero(clear).tolist():
        # Nothing is left to see: either i was good, or the good partner covered its defect.
        result[place] = labels[place if truth[place] == good else int(partners[place])]
    return mixed, result


def _random_box(rng: np.random.Generator, width: int, height: int, alpha: float) -> Box:
    side = float(np.sqrt(1 - rng.beta(alpha, alpha)))
    half_width, half_height = int(width * side) // 2, int(height * side) // 2
    x, y = int(rng.integers(width)), int(rng.integers(height))
    return max(0, x - half_width), max(0, y - half_height), min(width, x + half_width), min(height, y + half_height)


def _around(mask: np.ndarray, rng: np.random.Generator) -> Box:
    """The box of a defect with a random margin, within the image."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    x0, x1, y0, y1 = int(columns[0]), int(columns[-1]) + 1, int(rows[0]), int(rows[-1]) + 1
    left, top, right, bottom = rng.uniform(0, _MARGIN_FRAC, 4)
    width, height = x1 - x0, y1 - y0
    return (
        max(0, x0 - round(left * width)),
        max(0, y0 - round(top * height)),
        min(mask.shape[1], x1 + round(right * width)),
        min(mask.shape[0], y1 + round(bottom * height)),
    )
