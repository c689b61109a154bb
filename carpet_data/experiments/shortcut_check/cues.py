"""Cues outside the defects: what corners, borders, grain, codec and every fixed place say of an image's origin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core import executor
from carpet_data.core import masks as mask_files
from carpet_data.core.images import read
from carpet_data.core.masks.runs import to_binary
from carpet_data.dataset import Sample
from carpet_data.experiments.partitions import DatasetSplit
from carpet_data.experiments.shortcut_check.suspects import CHANCE, LIMIT, Suspects, auc, by_unit, chance, known
from carpet_data.reporting.pages import Check

__all__ = ["Reading", "fixed_place", "named_cues", "read_cues", "readings"]

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]

_GRID = 256
"""Positions across and down of the search for fixed marks."""
_FEWEST_UNITS = 6
_FEWEST_IN_HALF = 4
_NEAR = _GRID // 32
"""Places found on the two halves of the units count as one place up to this number of cells apart."""
_LEAST_SPREAD = 0.5
"""In gray levels; added to the spread at a place, so that rounding is not taken for a mark."""
_MARGIN_FRAC = 0.01
"""The mask is widened by this share of the image: the rim of a defect is part of it."""
_CORNER_FRAC = 1 / 32
_BORDER_FRAC = 1 / 128
_BLOCK = 8

_CORNERS = ("top left corner", "top right corner", "bottom left corner", "bottom right corner")
_BORDERS = ("top border", "bottom border", "left border", "right border")
_NAMES = (*_CORNERS, *_BORDERS, "fine grain", "8x8 blocks of JPEG", "pixels at 0 or 255", "brightness", "contrast")

Reading: TypeAlias = tuple[NDArray[np.float64], F32]
"""The cues, float64 (len(_NAMES),), and the picture, float32 (_GRID, _GRID); nan where the mask hides them."""


def read_cues(job: tuple[Path, Sample]) -> Reading:
    """The cues of one image outside its defect; `job` is the root of the data set, and the sample.

    Raises:
        ImageError: The image or its mask cannot be read.
    """
    root, sample = job
    image = read(root / sample.image_path)
    grey = (image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)).astype(np.float32)
    hidden = np.zeros(grey.shape, np.bool_)
    if sample.annotation is not None:
        hidden = to_binary(mask_files.load(root, sample).runs)
        margin = max(1, round(_MARGIN_FRAC * max(grey.shape)))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
        hidden = cv2.dilate(hidden.astype(np.uint8), kernel) > 0
    seen = ~hidden
    return _cues(grey, seen), _picture(grey, seen)


def _cues(grey: F32, seen: Mask) -> NDArray[np.float64]:
    height, width = grey.shape
    whole = float(grey[seen].mean()) if seen.any() else float("nan")
    # Against the image's own brightness, so that a darker exposure is not a mark.
    values = [_mean(grey[area], seen[area]) - whole for area in (*_corners(height, width), *_borders(height, width))]
    grain = np.abs(cv2.Laplacian(grey, cv2.CV_32F))
    values += [
        _mean(grain, seen),
        _blocks(grey, seen),
        _mean(((grey <= 0) | (grey >= 255)).astype(np.float32), seen),
        whole,
        float(grey[seen].std()) if seen.any() else float("nan"),
    ]
    return np.array(values, np.float64)


def _corners(height: int, width: int) -> list[tuple[slice, slice]]:
    size = max(2, round(_CORNER_FRAC * min(height, width)))
    rows, columns = (slice(0, size), slice(height - size, height)), (slice(0, size), slice(width - size, width))
    return [(row, column) for row in rows for column in columns]


def _borders(height: int, width: int) -> list[tuple[slice, slice]]:
    size = max(2, round(_BORDER_FRAC * min(height, width)))
    everything = slice(None)
    return [
        (slice(0, size), everything),
        (slice(height - size, height), everything),
        (everything, slice(0, size)),
        (everything, slice(width - size, width)),
    ]


def _mean(values: F32, seen: Mask) -> float:
    return float(values[seen].mean()) if seen.any() else float("nan")


def _blocks(grey: F32, seen: Mask) -> float:
    """How much larger steps are where JPEG's blocks meet than elsewhere (after Wang, Sheikh and Bovik 2002)."""
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, axis=axis))
        both = seen[1:] & seen[:-1] if axis == 0 else seen[:, 1:] & seen[:, :-1]
        edge = np.arange(steps.shape[axis]) % _BLOCK == _BLOCK - 1
        at = np.broadcast_to(edge[:, None] if axis == 0 else edge[None, :], steps.shape)
        here, there = _mean(steps, both & at), _mean(steps, both & ~at)
        ratios.append(here / there if there else float("nan"))
    return float(np.mean(ratios))


def _picture(grey: F32, seen: Mask) -> F32:
    """The mean of what is seen in each cell of a grid; nan where the mask touches it."""
    small = cv2.resize(grey, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
    share = cv2.resize(seen.astype(np.float32), (_GRID, _GRID), interpolation=cv2.INTER_AREA)
    return np.where(share > 1 - 1e-4, small, np.nan).astype(np.float32)


def readings(folder: DatasetSplit, samples: Sequence[Sample], workers: int | None) -> tuple[F64, F32]:
    """The cues of samples, float64 (n, cues), and their pictures, float32 (n, _GRID, _GRID)."""
    if not samples:
        return np.empty((0, len(_NAMES))), np.empty((0, _GRID, _GRID), np.float32)
    jobs: list[tuple[Path, Sample]] = [(folder.dataset.root, sample) for sample in samples]
    small = sum(sample.width * sample.height for sample in samples) < 100_000_000
    found: list[Reading] = list(executor.run(read_cues, jobs, workers=1 if small else workers))
    return np.stack([cues for cues, _ in found]), np.stack([picture for _, picture in found])


def named_cues(chosen: Suspects, made: tuple[F64, F32], real: tuple[F64, F32]) -> Check:
    """Does a named cue tell the origin?"""
    question = "Do corners, borders, grain or codec give synthetic images away?"
    ones, zeros = by_unit(made[0], chosen.hosts)[0], by_unit(real[0], chosen.units)[0]
    if min(len(ones), len(zeros)) < _FEWEST_UNITS:
        return Check(question, "not run", _too_few(len(ones), len(zeros)))
    found: list[tuple[float, float, str]] = []
    for column, name in enumerate(_NAMES):
        one, zero = known(ones[:, column]), known(zeros[:, column])
        share = auc(one, zero)
        if not np.isnan(share):
            found.append((max(share, 1 - share), chance(share, len(one), len(zero)) * len(_NAMES), name))
    if not found:
        return Check(question, "not run", "the masks cover everything")
    found.sort(reverse=True)
    strongest, _, strongest_name = found[0]
    telling = [f"{name} (AUC {share:.2f})" for share, likely, name in found if share > LIMIT and likely < CHANCE]
    if telling:
        detail = f"outside the defects, synthetic images differ from real ones by: {', '.join(telling)}"
        return Check(question, "flagged", detail, strongest)
    detail = f"the strongest of {len(_NAMES)} cues is {strongest_name} (AUC {strongest:.2f}; 0.5 is guessing)"
    return Check(question, "passed", detail, strongest)


def fixed_place(chosen: Suspects, made: tuple[F64, F32], real: tuple[F64, F32]) -> Check:
    """Is there a place in the image whose brightness tells the origin?"""
    question = "Does a fixed place in the image give synthetic images away?"
    ones, one_names = by_unit(made[1], chosen.hosts)
    zeros, zero_names = by_unit(real[1], chosen.units)
    if min(len(ones), len(zeros)) < 2 * _FEWEST_IN_HALF:
        return Check(question, "not run", _too_few(len(ones), len(zeros)))
    # A unit is on one half only, as host and as itself.
    half = {name: number % 2 for number, name in enumerate(_shuffled({*one_names, *zero_names}))}
    sides = [
        (ones[[half[name] == side for name in one_names]], zeros[[half[name] == side for name in zero_names]])
        for side in (0, 1)
    ]
    places, shares = [], []
    for side in (0, 1):
        place, above = _strongest(*sides[side])
        share = auc(*(known(values[:, place[0], place[1]]) for values in sides[1 - side]))
        places.append(place)
        shares.append(0.5 if np.isnan(share) else share if above else 1 - share)
    value = min(shares)
    apart = max(abs(places[0][axis] - places[1][axis]) for axis in (0, 1))
    if value > LIMIT and apart <= _NEAR:
        detail = (
            f"outside the defects, {_where(places[0])} tells synthetic from real (AUC {value:.2f} on images that were "
            "not used to find it)"
        )
        return Check(question, "flagged", detail, value)
    shown = " and ".join(f"{share:.2f}" for share in shares)
    detail = f"no place found on half of the images tells the other half apart (AUC {shown})"
    return Check(question, "passed", detail, value)


def _strongest(ones: F64, zeros: F64) -> tuple[tuple[int, int], bool]:
    """The place where the two differ most for their spread, and whether the ones are the brighter there."""
    means, spreads, counts = [], [], []
    for values in (ones, zeros):
        there = ~np.isnan(values)
        count = there.sum(axis=0)
        mean = np.where(there, values, 0).sum(axis=0) / np.maximum(count, 1)
        spread = np.where(there, (values - mean) ** 2, 0).sum(axis=0) / np.maximum(count, 1)
        means.append(mean)
        spreads.append(spread)
        counts.append(count)
    difference = means[0] - means[1]
    strength = np.abs(difference) / (np.sqrt((spreads[0] + spreads[1]) / 2) + _LEAST_SPREAD)
    strength[np.minimum(*counts) < 2] = 0
    row, column = np.unravel_index(int(strength.argmax()), strength.shape)
    return (int(row), int(column)), bool(difference[row, column] > 0)


def _where(place: tuple[int, int]) -> str:
    row, column = ((each + 0.5) / _GRID for each in place)
    vertical = "top" if row < 1 / 3 else "bottom" if row > 2 / 3 else "middle"
    sideways = "left" if column < 1 / 3 else "right" if column > 2 / 3 else "middle"
    name = "the middle" if vertical == sideways else f"the {vertical} {sideways}"
    return f"{name} of the image (x {column:.1%}, y {row:.1%})"


def _shuffled(names: set[str]) -> list[str]:
    ordered = sorted(names)
    random = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(len(ordered),)))
    return [ordered[place] for place in random.permutation(len(ordered))]


def _too_few(made: int, real: int) -> str:
    return (
        f"too few images to tell a cue from chance: {made} host images of synthetic defects and {real} real training "
        "images"
    )
