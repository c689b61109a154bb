"""A linear probe on frozen features: can it tell synthetic images from real ones it has not seen?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.dataset import GOOD
from carpet_data.experiments.separation import auc, by_unit, chance
from carpet_data.experiments.shortcut import LIMIT, Answer, Result, Suspects
from carpet_data.networks import devices
from carpet_data.training import tables
from carpet_data.training.features import extract
from carpet_data.training.fit import prepare_network
from carpet_data.training.head import fit_head
from carpet_data.training.options import TrainOptions
from carpet_data.training.tables import ImageTable

__all__ = ["ask"]

_MOST = 48
_FOLDS = 4
_FEWEST_UNITS = 8
_CHANCE = 0.01
_CLASSES = ("real", "synthetic")
_PROBE = TrainOptions(
    optimizer="adamw", weight_decay=0.1, standardize=True, steps=150, batch_size=64, sampling="balanced"
)


def ask(chosen: Suspects, settings: TrainOptions, *, workers: int | None = None) -> tuple[Answer, ...]:
    """Probe the backgrounds, and for information the defects.

    Args:
        chosen: The images.
        settings: Their size and the network.
        workers: Processes that decode; None for one a core.
    """
    hidden = "Do the frozen features tell the origin with the defects blanked?"
    seen = "Do the frozen features tell synthetic defects from real ones?"
    made, real = _few(len(chosen.synthetic)), _few(len(chosen.real))
    hosts, units = [chosen.hosts[n] for n in made], [chosen.units[n] for n in real]
    if min(len(set(hosts)), len(set(units))) < _FEWEST_UNITS:
        few = f"{len(set(hosts))} host images and {len(set(units))} real ones are too few for a probe"
        return (Answer(hidden, "not run", few),)
    network = prepare_network(settings.but(freeze="backbone"), _CLASSES)
    device = devices.resolve(settings.device)
    size = settings.resize
    synthetic = [replace(chosen.synthetic[n], class_name="synthetic") for n in made]
    genuine = [replace(chosen.real[n], class_name="real") for n in real]
    ones = tables.load(chosen.made.dataset, synthetic, _CLASSES, size=size, masks=True, workers=workers)
    zeros = tables.load(chosen.kept.dataset, genuine, _CLASSES, size=size, masks=True, workers=workers)
    blank_ones, blank_zeros = _blanked(ones, zeros), _blanked(zeros, ones)
    values = np.concatenate([extract(network, table, device=device).values[0] for table in (blank_ones, blank_zeros)])
    score = _cross_validated(values, len(ones), [*hosts, *units])
    share, likely, text = _judged(score[: len(ones)], score[len(ones) :], hosts, units)
    result: Result = "flagged" if share > LIMIT and likely < _CHANCE else "passed"
    answers = [Answer(hidden, result, f"{text}, with the same areas blanked in both", share)]
    defects = [n for n, place in enumerate(real) if chosen.real[place].class_name != GOOD]
    donors = [chosen.donors[n] for n in made]
    theirs = [units[n] for n in defects]
    if min(len(set(donors)), len(set(theirs))) >= _FEWEST_UNITS:
        tables_ = (ones, zeros.take(defects))
        values = np.concatenate([extract(network, table, device=device).values[0] for table in tables_])
        score = _cross_validated(values, len(ones), [*donors, *theirs])
        share, _, text = _judged(score[: len(ones)], score[len(ones) :], donors, theirs)
        # Good images beside a real defect differ from those beside a pasted one in nothing that helps to cheat, but
        # whatever this finds may also be the look of the defects, so it is told and not held against them.
        answers.append(Answer(seen, "passed", f"{text}; for information, the defects themselves may differ", share))
    return tuple(answers)


def _few(count: int) -> list[int]:
    return sorted({int(place) for place in np.linspace(0, count - 1, min(count, _MOST))}) if count else []


def _blanked(table: ImageTable, other: ImageTable) -> ImageTable:
    """The images with their own defect and that of a partner from the other table painted over.

    So blanked areas look alike on both sides, and their shape says nothing of the origin.
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
    score = np.full(len(values), np.nan)
    for fold in range(_FOLDS):
        train, test = folds != fold, folds == fold
        if len(set(labels[train].tolist())) < 2:
            continue
        head = fit_head(values[None, train], labels[train], _PROBE, classes=2).head
        weight, bias = (tensor.detach().numpy() for tensor in (head.weight, head.bias))
        logits = values[test] @ weight.T + bias
        score[test] = logits[:, 1] - logits[:, 0]
    return score


def _judged(
    ones: NDArray[np.float64], zeros: NDArray[np.float64], one_units: Sequence[str], zero_units: Sequence[str]
) -> tuple[float, float, str]:
    one, zero = (values[~np.isnan(values)] for values in (by_unit(ones, one_units)[0], by_unit(zeros, zero_units)[0]))
    share = auc(one, zero)
    share = 0.5 if np.isnan(share) else share
    text = f"a probe reaches AUC {share:.2f} on units that it has not seen (0.5 is guessing)"
    return share, chance(share, len(one), len(zero)), text
