"""Gates: quality checks of a candidate. Each gives a score that is recorded, and accepts or refuses it.

All but one look only into the candidate's box; `inside-box` compares the rest with the host, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Candidate, Donor, Facts, Image, Mask, Scene
from carpet_data.synthesis.ops.masks import window_of
from carpet_data.synthesis.ops.pixels import grey
from carpet_data.synthesis.ops.visible import difference
from carpet_data.synthesis.recipe.model import GateRules

_CHANGED = 8
"""A pixel counts as changed when a channel differs by more than this many of 255 levels: what an eye sees beside it."""
_MAX_AROUND = 5.0
"""What changes along with a defect, in areas of the defect: a thin wire leaves a wide place, a dent has shading."""
_BLOCK_PX = 4
_SMOOTH_PX = 9
_NOISE_SAMPLES = 10_000
_NOISE_FLOOR = 1.0
"""Levels: no host is smoother than its own rounding."""
_SIDE = 96
"""Crops are reduced to this before donors are compared with them."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """The first gate that refuses (None where all accept), and the score of each gate that applies."""

    refused_by: str | None
    scores: dict[str, float]


def judge(candidate: Candidate, scene: Scene, rules: GateRules) -> GateResult:
    """Ask every gate that applies; a null sample has no mask, so only the place of its changes is checked.

    Raises:
        ValueError: The method broke its contract: shapes, dtypes or box are wrong.
    """
    _check_contract(candidate, scene)
    scores: dict[str, float] = {}
    refused: list[str] = []

    def ask(name: str, score: float, passed: bool) -> None:
        scores[name] = round(score, 4)
        if not passed:
            refused.append(name)

    whole = scene.whole is not None
    if not whole:
        stray = _changed_outside_box(candidate, scene.host)
        ask("inside-box", float(stray), not stray)
    if scene.null:
        return GateResult(refused[0] if refused else None, scores)
    x, y, width, height = candidate.box
    place = np.s_[y : y + height, x : x + width]
    mask = candidate.mask[place]
    area = int(np.count_nonzero(candidate.mask)) if whole else int(np.count_nonzero(mask))
    if area == 0:
        return GateResult("empty-mask", {**scores, "empty-mask": 0.0})
    if not whole:
        after, before = candidate.image[place], scene.host[place]
        ask("visible", (seen := visibility(after, before, mask)), seen >= rules.visible)
        beside = changed(after, before) & ~mask
        if candidate.around is not None:
            along = int(np.count_nonzero(beside & candidate.around)) / area
            ask("around", along, along <= _MAX_AROUND or along * area <= rules.outside_frac * candidate.mask.size)
            beside &= ~candidate.around
        outside = int(np.count_nonzero(beside)) / candidate.mask.size
        ask("outside", outside, outside <= rules.outside_frac)
    share, (low, high) = area / candidate.mask.size, area_range(scene.facts, rules.area_slack)
    ask("area", share, bool(low <= share <= high))
    cut = touches_border(candidate.mask)
    allowed = rules.border == "allow" or (rules.border == "as-class" and scene.facts.touches_border_share > 0)
    ask("border", float(cut), allowed or not cut)
    if not whole and scene.donors:
        ask("near-copy", (alike := donor_similarity(candidate, scene.donors)), alike <= rules.nearness)
    return GateResult(refused[0] if refused else None, scores)


def _check_contract(candidate: Candidate, scene: Scene) -> None:
    host = scene.host
    if candidate.image.shape != host.shape or candidate.image.dtype != np.uint8:
        raise ValueError(f"the image is {candidate.image.dtype} {candidate.image.shape}, the host {host.shape}")
    if candidate.mask.shape != host.shape[:2] or candidate.mask.dtype != np.bool_:
        raise ValueError(f"the mask is {candidate.mask.dtype} {candidate.mask.shape}, the host {host.shape}")
    x, y, width, height = candidate.box
    if x < 0 or y < 0 or width < 0 or height < 0 or x + width > host.shape[1] or y + height > host.shape[0]:
        raise ValueError(f"the box {candidate.box} leaves the host {host.shape}")


def _changed_outside_box(candidate: Candidate, host: Image) -> bool:
    x, y, width, height = candidate.box
    inside = candidate.mask[y : y + height, x : x + width]
    if np.count_nonzero(inside) != np.count_nonzero(candidate.mask):
        return True
    slabs = (np.s_[:y], np.s_[y + height :], np.s_[y : y + height, :x], np.s_[y : y + height, x + width :])
    pairs = ((candidate.image[slab], host[slab]) for slab in slabs)
    return any(after.size and cv2.norm(after, before, cv2.NORM_INF) > 0 for after, before in pairs)


def changed(after: Image, before: Image) -> Mask:
    """Where a channel differs by more than 8 of 255 levels, bool hxw."""
    return difference(after, before) > _CHANGED


def visibility(after: Image, before: Image, mask: Mask) -> float:
    """How far the change inside the mask (bool hxw, not empty) stands above the host's own variation in its box.

    A scratch stands out pixel by pixel, a pale stain only as a region, so the change is measured at two scales, pixels
    and blocks of 4x4, and the larger ratio counts: the mean change inside the mask over the variation of the host in
    the box, which is its difference from itself smoothed (by a box of 9). The variation is a median, so that the
    outline of an object that runs through the box does not count as noise. Unrelated texture of the same kind scores
    about 2. Both images are uint8 hxwx3 or hxw.
    """
    pixels = _ratio(after, before, mask)
    size = (max(1, round(mask.shape[1] / _BLOCK_PX)), max(1, round(mask.shape[0] / _BLOCK_PX)))
    covered = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    coarse = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (after, before)]
    # A thin mask may fill no block; those that it fills best then speak for it.
    inside = covered >= min(0.5, float(covered.max()))
    return max(pixels, _ratio(coarse[0], coarse[1], inside))


def _ratio(after: Any, before: Any, inside: Mask) -> float:
    """The largest over the channels of the mean change inside to the host's median variation."""
    channels = 1 if before.ndim == 2 else before.shape[2]
    mean = np.array(cv2.mean(cv2.absdiff(after, before), mask=inside.view(np.uint8))[:channels])
    smooth = cv2.blur(before, (_SMOOTH_PX, _SMOOTH_PX), borderType=cv2.BORDER_REFLECT)
    variation = cv2.absdiff(before, smooth).reshape(-1, channels)
    # Of a large box every n-th pixel says as much as all of them.
    noise = np.median(variation[:: 1 + len(variation) // _NOISE_SAMPLES], axis=0)
    return float(np.max(mean / np.maximum(noise, _NOISE_FLOOR)))


def area_range(facts: Facts, slack: float) -> tuple[float, float]:
    """The allowed area as shares of the image; (0, 1) for a class without masks."""
    if not facts.areas_frac:
        return 0.0, 1.0
    return min(facts.areas_frac) / slack, max(facts.areas_frac) * slack


def touches_border(mask: Mask) -> bool:
    """Whether a mask reaches the border of the image."""
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def donor_similarity(candidate: Candidate, donors: Sequence[Donor]) -> float:
    """Similarity to the most similar donor: 1 for a copy in another place, 0 for another shape or other pixels.

    Both are cut to the boxes of their masks and scaled down alike; the score is the overlap (IoU) of the masks, aligned
    at a corner, times the correlation of the pixels under both.
    """
    x, y, width, height = candidate.box
    place = np.s_[y : y + height, x : x + width]
    mine = _tight(candidate.image[place], candidate.mask[place])
    return max(_similarity(*mine, *_tight(donor.image, donor.mask)) for donor in donors if donor.mask.any())


def _tight(image: Image, mask: Mask) -> tuple[NDArray[np.float32], Mask]:
    place = window_of(mask)
    return grey(image[place]), mask[place]


def _similarity(a: NDArray[np.float32], mask_a: Mask, b: NDArray[np.float32], mask_b: Mask) -> float:
    scale = min(1.0, _SIDE / max(a.shape[0], a.shape[1], b.shape[0], b.shape[1]))
    (a, mask_a), (b, mask_b) = _reduced(a, mask_a, scale), _reduced(b, mask_b, scale)
    height, width = max(a.shape[0], b.shape[0]), max(a.shape[1], b.shape[1])
    both = np.zeros((2, height, width), np.bool_)
    both[0, : a.shape[0], : a.shape[1]] = mask_a
    both[1, : b.shape[0], : b.shape[1]] = mask_b
    shared = both[0] & both[1]
    overlap = int(np.count_nonzero(shared)) / max(1, int(np.count_nonzero(both[0] | both[1])))
    rows, columns = np.nonzero(shared)
    if len(rows) < 2:
        return float(overlap)
    p, q = a[rows, columns], b[rows, columns]
    p, q = p - p.mean(), q - q.mean()
    norm = float(np.sqrt((p * p).sum() * (q * q).sum()))
    # Two flat patches are as alike as two patches can be.
    correlation = float((p * q).sum()) / norm if norm > 1e-6 else 1.0
    return float(overlap) * max(0.0, correlation)


def _reduced(image: NDArray[np.float32], mask: Mask, scale: float) -> tuple[NDArray[np.float32], Mask]:
    if scale == 1.0:
        return image, mask
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return small, cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5
