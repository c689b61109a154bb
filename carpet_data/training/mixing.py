"""Mix pairs of one batch: mixup, CutMix, a CutMix that knows where the defects are, and LMR."""

from __future__ import annotations

import math

import numpy as np
import torch

__all__ = ["contribution", "cutmix", "lmr", "mask_cutmix", "mixup", "pair", "reconstruct"]

_MARGIN_FRAC = 0.25
"""A pasted box reaches beyond its defect by up to this share of the defect's own size on each side."""
_TEMPERATURE = 0.1
_LARGEST = 0.5

Mixed = tuple[torch.Tensor, torch.Tensor]
Box = tuple[int, int, int, int]


def mixup(values: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator, alpha: float) -> Mixed:
    """mixup (Zhang et al. 2018): x = λ x_i + (1 − λ) x_j, labels likewise, λ ~ Beta(α, α), one λ a batch.

    Values, float (n, …), are images or features; labels are float (n, k), rows summing to 1; α is above 0.
    """
    share = float(rng.beta(alpha, alpha))
    partner = torch.from_numpy(rng.permutation(len(values))).to(values.device)
    return torch.lerp(values[partner], values, share), torch.lerp(labels[partner], labels, share)


def cutmix(images: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator, alpha: float) -> Mixed:
    """CutMix (Yun et al. 2019): one box a batch, of the share 1 − λ of the image, is filled from the partner.

    λ ~ Beta(α, α); the box's center is uniform, and the labels are mixed by the area that it really has, cut at the
    border.

    Images are float (n, c, h, w); labels float (n, k), rows summing to 1; α is above 0.
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


def lmr(
    features: torch.Tensor,
    labels: torch.Tensor,
    soft: torch.Tensor,
    counts: torch.Tensor,
    few_shot: int,
    rng: np.random.Generator,
) -> Mixed:
    """LMR, Long-Tail Mixed Reconstruction (Perrett et al., CVPR 2023, "Use Your Head"), on one batch.

    A class of few images overfits because its features are few. LMR makes more of them out of the other classes'
    features. In a class-balanced batch of features z_i with labels y_i and class counts n_y, three steps:

    1. Reconstruction. With the cosine similarity s_ij = z_i·z_j / (|z_i| |z_j|) and an exclusion e_ij that is 0 where
       j = i or y_j is a few-shot class, else 1:
       w_ij = e_ij exp(s_ij / T) / Σ_m e_im exp(s_im / T),  r_i = Σ_j w_ij z_j.
       Few-shot samples are excluded as sources because it is their lack of variety that is to be repaired. Where a
       batch has no source at all, r_i = z_i.
    2. Contribution. m_i = c(y_i) r_i + (1 − c(y_i)) z_i, with a weight that falls with the class's count and reaches 0
       where a class is no longer few-shot: c(y) = C · max(0, 1 − log n_y / log(F + 1)), F being the largest count of a
       few-shot class. The label stays y_i.
    3. Pairwise label mixing. Each sample with a partner p(i) of the same batch, λ_i ~ U(0, 1) each:
       x_i = λ_i m_i + (1 − λ_i) m_p(i), and the labels likewise.

    The paper leaves the temperature T and the largest contribution C open; the shape of c(y) follows it in that it
    falls monotonically from the rarest class to the threshold.

    Features are float (n, d), labels int64 (n,), `soft` float (n, k) the labels to train on, and `counts` the training
    images of each class, (k,). F = `few_shot`; `rng` draws partners and shares.

    Returns:
        Mixed features (n, d) and labels (n, k).
    """
    share = contribution(counts, few_shot)[labels].unsqueeze(1)
    rebuilt = reconstruct(features, labels, counts <= few_shot)
    blended = share * rebuilt + (1 - share) * features
    partner = torch.from_numpy(rng.permutation(len(labels))).to(features.device)
    shares = torch.from_numpy(rng.random((len(labels), 1), dtype=np.float32)).to(features.device)
    both = pair(blended, soft, partner, shares)
    return both[:, : features.shape[1]], both[:, features.shape[1] :]


def contribution(counts: torch.Tensor, few_shot: int, largest: float = _LARGEST) -> torch.Tensor:
    """c(y), the share of the reconstruction for each class.

    From the training images of each class, (k,), with F = `few_shot` and C = `largest`, the share for a class of one
    image.

    Returns:
        float32 (k,): 0 for classes of more than F images.
    """
    logs: torch.Tensor = counts.clamp(min=1).double().log() / math.log(few_shot + 1)
    return (largest * (1 - logs).clamp(min=0)).float()


def reconstruct(
    features: torch.Tensor, labels: torch.Tensor, is_few_shot: torch.Tensor, temperature: float = _TEMPERATURE
) -> torch.Tensor:
    """r_i, each sample rebuilt from the others that are not few-shot.

    Features are float (n, d), labels int64 (n,), `is_few_shot` bool (k,). T is above 0; small values copy the most
    similar sample.

    Returns:
        float (n, d).
    """
    unit = torch.nn.functional.normalize(features, dim=1)
    similarity = unit @ unit.T / temperature
    excluded = is_few_shot[labels].unsqueeze(0) | torch.eye(len(labels), dtype=torch.bool, device=features.device)
    without_source = excluded.all(dim=1, keepdim=True)
    # A row of nothing but -inf would become nan; it is replaced below.
    weights = torch.softmax(similarity.masked_fill(excluded & ~without_source, -torch.inf), dim=1)
    return torch.where(without_source, features, weights @ features)


def pair(values: torch.Tensor, labels: torch.Tensor, partner: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """λ_i v_i + (1 − λ_i) v_p(i) of values and labels side by side.

    Values are float (n, d), labels float (n, k), p = `partner` int64 (n,), λ = `share` float (n, 1).

    Returns:
        float (n, d + k): mixed values, then mixed labels.
    """
    both = torch.cat((values, labels), dim=1)
    return share * both + (1 - share) * both[partner]


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
