"""Can synthetic images be told from real ones by something that real defects do not have?

A classifier may learn such a cue instead of the defect, and it is gone on real test images. So everything here looks
at train images, outside their defects, and asks what gives the origin away: cues with a name (corners, borders, grain,
codec), any fixed place, and whatever the frozen features see. Images of one real image, a host and what was pasted
onto it, count as one unit, and what is found on some units is judged on others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from carpet_data.core import executor
from carpet_data.dataset import GOOD, Sample
from carpet_data.experiments.cues import GRID, NAMES, Reading, read_cues
from carpet_data.experiments.partitions import Folder
from carpet_data.experiments.separation import auc, by_unit, chance
from carpet_data.store.leaks import ancestors
from carpet_data.training.options import TrainOptions

__all__ = ["LIMIT", "Answer", "Result", "Suspects", "examine", "suspects"]

F64: TypeAlias = NDArray[np.float64]
Result: TypeAlias = Literal["passed", "flagged", "not run"]

LIMIT = 0.9
"""An area under the ROC curve above this gives the origin away."""
_CHANCE = 0.01
_FEWEST_UNITS = 6
_FEWEST_IN_HALF = 4
_MOST_IMAGES = 200
_NEAR = GRID // 32
"""Places found on the two halves of the units are one place when they are at most so many cells apart."""
_LEAST_SPREAD = 0.5
"""Of grey levels, added to the spread at a place, so that rounding is not taken for a mark."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One question about shortcuts.

    Attributes:
        question: In words.
        result: "passed", "flagged", or "not run" where there are too few images.
        detail: What was found, with the figures.
        value: The largest area under the ROC curve; None where it was not run.
    """

    question: str
    result: Result
    detail: str
    value: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The answer as plain values."""
        return {"question": self.question, "result": self.result, "detail": self.detail, "value": self.value}


@dataclass(frozen=True, slots=True)
class Suspects:
    """The images that are compared.

    Attributes:
        made: Where the synthetic ones are.
        synthetic: Synthetic defect images, at most 200, evenly chosen.
        hosts: The unit of each: that of the image it was made on.
        donors: The unit of each defect: that of the image it was taken from.
        kept: Where the real ones are.
        real: Real train images, defects and good, at most 200, evenly chosen.
        units: The unit of each.
    """

    made: Folder
    synthetic: tuple[Sample, ...]
    hosts: tuple[str, ...]
    donors: tuple[str, ...]
    kept: Folder
    real: tuple[Sample, ...]
    units: tuple[str, ...]


def suspects(kept: Folder, made: Folder) -> Suspects:
    """Choose what to compare.

    Args:
        kept: Where the real train images are.
        made: Where the synthetic train images are.
    """
    known = {sample.id: sample for sample in made.dataset}
    synthetic = _evenly([sample for sample in made.synthetic() if sample.class_name != GOOD])
    real = _evenly(kept.real())
    return Suspects(
        made=made,
        synthetic=synthetic,
        hosts=tuple(_unit(known.get(_ancestor(sample, "host")), sample) for sample in synthetic),
        donors=tuple(_unit(known.get(_ancestor(sample, "donor")), sample) for sample in synthetic),
        kept=kept,
        real=real,
        units=tuple(_unit(sample, sample) for sample in real),
    )


def examine(chosen: Suspects, settings: TrainOptions, *, workers: int | None = None) -> tuple[Answer, ...]:
    """Every question about one set of synthetic images.

    Args:
        chosen: The images.
        settings: The network of the probes.
        workers: Processes that read images; None for one a core.

    Raises:
        ImageError: An image or mask cannot be read.
    """
    from carpet_data.experiments import probe

    made = _readings(chosen.made, chosen.synthetic, workers)
    real = _readings(chosen.kept, chosen.real, workers)
    return (
        named_cues(chosen, made, real),
        fixed_place(chosen, made, real),
        *probe.ask(chosen, settings, workers=workers),
    )


def _readings(folder: Folder, samples: Sequence[Sample], workers: int | None) -> tuple[F64, NDArray[np.float32]]:
    if not samples:
        return np.empty((0, len(NAMES))), np.empty((0, GRID, GRID), np.float32)
    jobs: list[tuple[Path, Sample]] = [(folder.dataset.root, sample) for sample in samples]
    small = sum(sample.width * sample.height for sample in samples) < 100_000_000
    found: list[Reading] = list(executor.run(read_cues, jobs, workers=1 if small else workers))
    return np.stack([cues for cues, _ in found]), np.stack([picture for _, picture in found])


def named_cues(chosen: Suspects, made: tuple[F64, Any], real: tuple[F64, Any]) -> Answer:
    """Does a cue with a name tell the origin?"""
    question = "Do corners, borders, grain or codec give synthetic images away?"
    ones, zeros = by_unit(made[0], chosen.hosts)[0], by_unit(real[0], chosen.units)[0]
    if min(len(ones), len(zeros)) < _FEWEST_UNITS:
        return Answer(question, "not run", _too_few(len(ones), len(zeros)))
    found: list[tuple[float, float, str]] = []
    for column, name in enumerate(NAMES):
        one, zero = (values[~np.isnan(values)] for values in (ones[:, column], zeros[:, column]))
        share = auc(one, zero)
        if not np.isnan(share):
            found.append((max(share, 1 - share), chance(share, len(one), len(zero)) * len(NAMES), name))
    if not found:
        return Answer(question, "not run", "the masks cover everything")
    found.sort(reverse=True)
    guilty = [(share, name) for share, likely, name in found if share > LIMIT and likely < _CHANCE]
    if guilty:
        listed = ", ".join(f"{name} (AUC {share:.2f})" for share, name in guilty)
        return Answer(
            question,
            "flagged",
            f"outside the defects, synthetic images differ from real ones by: {listed}",
            found[0][0],
        )
    detail = f"the strongest of {len(NAMES)} cues is {found[0][2]} (AUC {found[0][0]:.2f}; 0.5 is none)"
    return Answer(question, "passed", detail, found[0][0])


def fixed_place(chosen: Suspects, made: tuple[Any, Any], real: tuple[Any, Any]) -> Answer:
    """Is there a place in the image whose brightness tells the origin?"""
    question = "Does a fixed place in the image give synthetic images away?"
    ones, one_names = by_unit(made[1], chosen.hosts)
    zeros, zero_names = by_unit(real[1], chosen.units)
    if min(len(ones), len(zeros)) < 2 * _FEWEST_IN_HALF:
        return Answer(question, "not run", _too_few(len(ones), len(zeros)))
    # A unit is on one half only, as host and as itself.
    half = {name: number % 2 for number, name in enumerate(_shuffled({*one_names, *zero_names}))}
    sides = [
        (ones[[half[name] == side for name in one_names]], zeros[[half[name] == side for name in zero_names]])
        for side in (0, 1)
    ]
    places, shares = [], []
    for side in (0, 1):
        place, above = _strongest(*sides[side])
        one, zero = (values[:, place[0], place[1]] for values in sides[1 - side])
        share = auc(one[~np.isnan(one)], zero[~np.isnan(zero)])
        places.append(place)
        shares.append(0.5 if np.isnan(share) else share if above else 1 - share)
    value = min(shares)
    apart = max(abs(places[0][axis] - places[1][axis]) for axis in (0, 1))
    if value > LIMIT and apart <= _NEAR:
        detail = (
            f"outside the defects, {_where(places[0])} tells synthetic from real (AUC {value:.2f} on images that were "
            "not used to find it)"
        )
        return Answer(question, "flagged", detail, value)
    return Answer(
        question, "passed", f"no place found on half of the images tells the other half apart ({_said(shares)})", value
    )


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
    row, column = ((each + 0.5) / GRID for each in place)
    vertical = "top" if row < 1 / 3 else "bottom" if row > 2 / 3 else "middle"
    sideways = "left" if column < 1 / 3 else "right" if column > 2 / 3 else "middle"
    name = "the middle" if vertical == sideways else f"the {vertical} {sideways}"
    return f"{name} of the image (x {column:.1%}, y {row:.1%})"


def _said(shares: Sequence[float]) -> str:
    return "AUC " + " and ".join(f"{share:.2f}" for share in shares)


def _shuffled(names: set[str]) -> list[str]:
    ordered = sorted(names)
    random = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(len(ordered),)))
    return [ordered[place] for place in random.permutation(len(ordered))]


def _too_few(made: int, real: int) -> str:
    return f"{made} host images of synthetic defects and {real} real train images are too few to tell a cue from chance"


def _evenly(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    if len(samples) <= _MOST_IMAGES:
        return tuple(samples)
    return tuple(samples[int(place)] for place in np.linspace(0, len(samples) - 1, _MOST_IMAGES))


def _ancestor(sample: Sample, role: str) -> str:
    return next((its_id for its_role, its_id in ancestors(sample.provenance or {}) if its_role == role), "")


def _unit(ancestor: Sample | None, sample: Sample) -> str:
    known = sample if ancestor is None else ancestor
    return known.group if known.group is not None else known.id
