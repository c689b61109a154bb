"""LMR, Long-Tail Mixed Reconstruction (Perrett et al., CVPR 2023, "Use Your Head").

A class of few images overfits, for its features are few. LMR makes more of them out of the other classes' features. In
a class-balanced batch of features z_i with labels y_i and class counts n_y, three steps:

1. Reconstruction. With the cosine similarity s_ij = z_i·z_j / (|z_i| |z_j|) and an exclusion e_ij that is 0 where j = i
   or y_j is a few-shot class, else 1:
   w_ij = e_ij exp(s_ij / T) / Σ_m e_im exp(s_im / T),  r_i = Σ_j w_ij z_j.
   Few-shot samples are left out as sources because it is their lack of variety that is to be repaired. Where a batch
   leaves no source at all, r_i = z_i.
2. Contribution. m_i = c(y_i) r_i + (1 − c(y_i)) z_i, with a weight that falls with the class's count and reaches 0
   where a class is no longer few-shot: c(y) = C · max(0, 1 − log n_y / log(F + 1)), F being the largest count of a
   few-shot class. The label stays y_i.
3. Pairwise label mixing. Each sample with a partner p(i) of the same batch, λ_i ~ U(0, 1) each:
   x_i = λ_i m_i + (1 − λ_i) m_p(i), and the labels likewise.

The temperature T and the largest contribution C are ours to choose; the shape of c(y) follows the paper in that it
falls monotonically from the rarest class to the threshold.
"""

from __future__ import annotations

import math

import numpy as np
import torch

__all__ = ["contribution", "mix", "pair", "reconstruct"]

_TEMPERATURE = 0.1
_LARGEST = 0.5


def contribution(counts: torch.Tensor, few_shot: int, largest: float = _LARGEST) -> torch.Tensor:
    """c(y), the share of the reconstruction for each class.

    Args:
        counts: Train images of each class, (k,).
        few_shot: F, the largest count of a few-shot class.
        largest: C, the share for a class of one image.

    Returns:
        float32 (k,): 0 for classes of more than F images.
    """
    logs: torch.Tensor = counts.clamp(min=1).double().log() / math.log(few_shot + 1)
    return (largest * (1 - logs).clamp(min=0)).float()


def reconstruct(
    features: torch.Tensor, labels: torch.Tensor, is_few_shot: torch.Tensor, temperature: float = _TEMPERATURE
) -> torch.Tensor:
    """r_i, each sample rebuilt from the others that are not few-shot.

    Args:
        features: float (n, d).
        labels: int64 (n,).
        is_few_shot: bool (k,).
        temperature: T, above 0; small values copy the most similar sample.

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

    Args:
        values: float (n, d).
        labels: float (n, k).
        partner: int64 (n,), p.
        share: float (n, 1), λ.

    Returns:
        float (n, d + k): mixed values, then mixed labels.
    """
    both = torch.cat((values, labels), dim=1)
    return share * both + (1 - share) * both[partner]


def mix(
    features: torch.Tensor,
    labels: torch.Tensor,
    soft: torch.Tensor,
    counts: torch.Tensor,
    few_shot: int,
    rng: np.random.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """All three steps on one batch.

    Args:
        features: float (n, d).
        labels: int64 (n,).
        soft: float (n, k), the labels to train on.
        counts: Train images of each class, (k,).
        few_shot: The largest count of a few-shot class.
        rng: Draws partners and shares.

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
