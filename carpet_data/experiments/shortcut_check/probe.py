"""A linear probe on frozen features: can it tell synthetic images from real ones it has not seen?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core.sheets import evenly
from carpet_data.dataset import GOOD
from carpet_data.experiments.shortcut_check.suspects import CHANCE, LIMIT, Suspects, auc, by_unit, chance, known
from carpet_data.networks import Network, devices
from carpet_data.reporting.pages import Check, CheckResult
from carpet_data.training import tables
from carpet_data.training.features import FeatureTable, extract
from carpet_data.training.fit import prepare_network
from carpet_data.training.head import fit_head
from carpet_data.training.options import TrainOptions
from carpet_data.training.tables import ImageTable

__all__ = ["ask"]

_MOST = 48
_FOLDS = 4
_FEWEST_UNITS = 8
_CLASSES = ("real", "synthetic")
_PROBE = TrainOptions(
    optimizer="adamw", weight_decay=0.1, standardize=True, steps=150, batch_size=64, sampling="balanced"
)


def ask(chosen: Suspects, settings: TrainOptions, *, workers: int | None = None) -> tuple[Check, ...]:
    """Probe the backgrounds, and for information the defects; see `examine`."""
    hidden = "Do the frozen features tell the origin with the defects blanked?"
    seen = "Do the frozen features tell synthetic defects from real ones?"
    made, real = evenly(range(len(chosen.synthetic)), _MOST), evenly(range(len(chosen.real)), _MOST)
    hosts, units = [chosen.hosts[n] for n in made], [chosen.units[n] for n in real]
    if min(len(set(hosts)), len(set(units))) < _FEWEST_UNITS:
        few = f"too few images for a probe: {len(set(hosts))} host images and {len(set(units))} real ones"
        return (Check(hidden, "not run", few),)
    network = prepare_network(settings.but(freeze="backbone"), _CLASSES)
    device = devices.resolve(settings.device)
    size = settings.resize
    synthetic = [replace(chosen.synthetic[n], class_name="synthetic") for n in made]
    genuine = [replace(chosen.real[n], class_name="real") for n in real]
    ones = tables.load(chosen.made.dataset, synthetic, _CLASSES, size=size, masks=True, workers=workers)
    zeros = tables.load(chosen.kept.dataset, genuine, _CLASSES, size=size, masks=True, workers=workers)
    blanked = (_blanked(ones, zeros), _blanked(zeros, ones))
    share, likely, text = _told_apart(network, device, blanked, hosts, units)
    result: CheckResult = "flagged" if share > LIMIT and likely < CHANCE else "passed"
    checks = [Check(hidden, result, f"{text}, with the same areas blanked in both", share)]
    defects = [n for n, place in enumerate(real) if chosen.real[place].class_name != GOOD]
    donors, theirs = [chosen.donors[n] for n in made], [units[n] for n in defects]
    if min(len(set(donors)), len(set(theirs))) >= _FEWEST_UNITS:
        share, _, text = _told_apart(network, device, (ones, zeros.take(defects)), donors, theirs)
        # Whatever this finds may also be the look of the defects themselves, so it is stated but never flagged.
        checks.append(Check(seen, "passed", f"{text}; for information only: the defects themselves may differ", share))
    return tuple(checks)


def _blanked(table: ImageTable, other: ImageTable) -> ImageTable:
    """The images with their own defect and that of a partner from the other table painted over.

    So blanked areas look alike on both sides, and their shape carries no hint of the origin.
    """
    assert table.masks is not None
    assert other.masks is not None
    pixels = np.array(table.pixels)
    for row in range(len(table)):
        # Pair n of the longer table with n modulo the length of the shorter: the same pairs from both sides.
        gone = _wider((table.masks[row] > 0) | (other.masks[row % len(other)] > 0))
        if not gone.all():
            pixels[row][gone] = pixels[row][~gone].mean(axis=0).astype(np.uint8)
    return replace(table, pixels=pixels, masks=None)


def _wider(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0


def _cross_validated(values: NDArray[np.float32], ones: int, units: Sequence[str]) -> NDArray[np.float64]:
    """How synthetic each image looks to a probe that has seen no image of its unit, float64 (n,)."""
    labels = np.zeros(len(values), np.int64)
    labels[:ones] = 1
    names = sorted(set(units))
    random = np.random.default_rng(np.random.SeedSequence(1, spawn_key=(len(names),)))
    fold_of = {names[place]: number % _FOLDS for number, place in enumerate(random.permutation(len(names)))}
    folds = np.array([fold_of[unit] for unit in units])
    table = FeatureTable(values[None], labels, tuple(units), _CLASSES, ("real",) * len(values))
    score = np.full(len(values), np.nan)
    for fold in range(_FOLDS):
        train, test = folds != fold, folds == fold
        if len(set(labels[train].tolist())) < 2:
            continue
        head = fit_head(table.take(train), None, _PROBE).head
        weight, bias = (tensor.detach().numpy() for tensor in (head.weight, head.bias))
        logits = values[test] @ weight.T + bias
        score[test] = logits[:, 1] - logits[:, 0]
    return score


def _told_apart(
    network: Network,
    device: torch.device,
    sides: tuple[ImageTable, ImageTable],
    one_units: Sequence[str],
    zero_units: Sequence[str],
) -> tuple[float, float, str]:
    """AUC of a probe over units, how likely it is by chance, and both in words."""
    values = np.concatenate([extract(network, table, device=device).values[0] for table in sides])
    count = len(one_units)
    score = _cross_validated(values, count, [*one_units, *zero_units])
    one, zero = known(by_unit(score[:count], one_units)[0]), known(by_unit(score[count:], zero_units)[0])
    share = auc(one, zero)
    share = 0.5 if np.isnan(share) else share
    text = f"a probe reaches AUC {share:.2f} on unseen units (0.5 is guessing)"
    return share, chance(share, len(one), len(zero)), text
