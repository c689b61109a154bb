"""Whether a network repeats its examples: how near its samples lie to them, against how near these lie to each other.

A network that saw three holes may learn what holes are, or those three holes. The nearest example of each sample is
sought twice: by pixels, as replication is looked for in diffusion models (Somepalli et al. 2023, Carlini et al. 2023),
and by the features of a network, which still see a copy whose light or grain has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from carpet_data.errors import MissingExtraError
from carpet_data.learned import likeness
from carpet_data.learned.crops import Example, Lesson
from carpet_data.learned.learning import Drawn
from carpet_data.networks import devices

if TYPE_CHECKING:
    from carpet_data.networks import Network

__all__ = ["ClassMemorisation", "Memorisation", "Nearness", "measure"]

F64 = NDArray[np.float64]

_IDENTICAL = 0.95
"""As near as this is a copy, even where two real examples are as near: then they are pictures of one thing."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What counts as near where the examples alone cannot say it.

    Attributes:
        least: No lower limit is taken: two or three examples may happen to have nothing in common.
        alone: The limit of a class without two examples.
    """

    least: float
    alone: float


# Good ground reaches 0.4 by pixels and 0.7 by features against a defect on it; an example that is moved, zoomed and lit
# as for training reaches 0.6 to 0.8 and 0.9 to 0.95 (carpet).
_PIXELS = _Bounds(least=0.5, alone=0.7)
_FEATURES = _Bounds(least=0.85, alone=0.9)
_REFERENCES = 16
"""Examples of a class whose nearest other one is sought: evenly chosen from more."""
_BATCH = 64
_FEATURES_PX = 96
"""Crops are enlarged or reduced to this before a network looks at them."""


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near samples of one class lie to its examples; 1 is identical, 0 unrelated.

    Attributes:
        median: Over the samples, to the nearest example of each.
        largest: Likewise.
        real_median: Over the examples, to the nearest other one of each that shows another piece; None without two.
        real_largest: Likewise.
        limit: A sample nearer than this counts as a near copy: `real_largest`, but never less than what unlike things
            reach; a fixed one where the class has no two examples.
        near_copies: Share of such samples.
    """

    median: float
    largest: float
    real_median: float | None
    real_largest: float | None
    limit: float
    near_copies: float


@dataclass(frozen=True, slots=True)
class ClassMemorisation:
    """One class.

    Attributes:
        class_name: Its name.
        samples: That were looked at.
        examples: That the network could copy.
        pixels: Largest normalised cross-correlation within the box of the sample's mask, over shifts of a quarter of
            the crop, three zooms, and flips for textures.
        features: Cosine of the features of the whole crop, over flips for textures; None without a network.
    """

    class_name: str
    samples: int
    examples: int
    pixels: Nearness
    features: Nearness | None


@dataclass(frozen=True, slots=True)
class Memorisation:
    """Of a set of samples, how many nearly repeat an example.

    Attributes:
        classes: Each class that has samples, sorted.
        backbone: Which features were compared; None where no network with weights is installed.
    """

    classes: tuple[ClassMemorisation, ...]
    backbone: str | None

    @property
    def near_copies(self) -> float | None:
        """Share of all samples that are near copies by pixels; None without samples."""
        return _share([(one.samples, one.pixels) for one in self.classes])

    @property
    def near_copies_by_features(self) -> float | None:
        """The same by features; None without samples or without a network."""
        return _share([(one.samples, one.features) for one in self.classes if one.features is not None])

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values."""
        return {
            "near_copies": self.near_copies,
            "near_copies_by_features": self.near_copies_by_features,
            "backbone": self.backbone,
            "classes": [asdict(one) for one in self.classes],
        }

    def text(self) -> str:
        """The figures for people."""
        if self.near_copies is None:
            return "Memorisation: no samples to look at."
        by_features = (
            "; no network with weights is installed, so features were not compared"
            if self.backbone is None
            else f", {_percent(self.near_copies_by_features)} by features of {self.backbone}"
        )
        lines = [
            f"Near copies of an example (nearer than two examples are to each other): {_percent(self.near_copies)} of "
            f"the samples by pixels{by_features}."
        ]
        for one in self.classes:
            lines.append(f"  {one.class_name}: pixels {_words(one.pixels)}")
            if one.features is not None:
                lines[-1] += f"; features {_words(one.features)}"
        return "\n".join(lines)


def measure(lesson: Lesson, drawn: Sequence[Drawn], device: torch.device | str = "cpu") -> Memorisation:
    """Compare samples with the examples of their class.

    Nothing is drawn by chance: the same samples give the same figures.

    Args:
        lesson: What the network learned from.
        drawn: Samples of classes of the lesson, square crops of any size.
        device: Where the features are computed.

    Returns:
        The figures of each class that has samples.
    """
    network = _installed(torch.device(device)) if drawn else None
    classes = []
    for name in sorted({one.class_name for one in drawn}):
        samples = [one for one in drawn if one.class_name == name]
        examples = [one for one in lesson.examples if one.class_name == name]
        others = _others(examples)
        by_pixels = _judged(*_by_pixels(lesson, samples, examples, others), _PIXELS)
        by_features = None
        if network is not None:
            by_features = _judged(*_by_features(network, lesson, samples, examples, others), _FEATURES)
        classes.append(ClassMemorisation(name, len(samples), len(examples), by_pixels, by_features))
    return Memorisation(tuple(classes), None if network is None else network.name)


def _others(examples: Sequence[Example]) -> dict[int, list[int]]:
    """Evenly chosen examples, each with those that show another piece; examples without any are left out."""
    found = {}
    for i in np.linspace(0, len(examples) - 1, min(len(examples), _REFERENCES)).round().astype(int).tolist():
        one = examples[i]
        apart = [
            j
            for j, other in enumerate(examples)
            if other.sample != one.sample and (one.group is None or other.group != one.group)
        ]
        if apart:
            found[i] = apart
    return found


def _by_pixels(
    lesson: Lesson, samples: Sequence[Drawn], examples: Sequence[Example], others: Mapping[int, Sequence[int]]
) -> tuple[list[float], list[float]]:
    """The nearest example of each sample, and the nearest other one of each chosen example."""
    views = [likeness.views(one.image, lesson.window(one), flips=not lesson.is_object) for one in examples]
    subjects = [likeness.subject(one.image, one.mask) for one in samples]
    return (
        [likeness.nearest(one, views) for one in subjects],
        [
            likeness.nearest(likeness.subject(*lesson.crop(examples[i])), [views[j] for j in apart])
            for i, apart in others.items()
        ],
    )


def _by_features(
    network: _Network,
    lesson: Lesson,
    samples: Sequence[Drawn],
    examples: Sequence[Example],
    others: Mapping[int, Sequence[int]],
) -> tuple[list[float], list[float]]:
    """As `_by_pixels`, by cosine."""
    turns = [(1, 1)] if lesson.is_object else [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    crops = [lesson.crop(one)[0] for one in examples]
    made = network([one.image for one in samples])
    # As they lie come first; shape turns x examples x d.
    seen = network([crop[::down, ::across] for down, across in turns for crop in crops])
    seen = seen.reshape(len(turns), len(crops), -1)
    to_examples = np.einsum("sd,ted->ste", made, seen).max(axis=(1, 2))
    between = np.einsum("id,ted->ite", seen[0], seen).max(axis=1)
    return to_examples.tolist(), [float(between[i, apart].max()) for i, apart in others.items()]


def _judged(samples: Sequence[float], real: Sequence[float], bounds: _Bounds) -> Nearness:
    """The figures of one class."""
    largest = max(real) if real else None
    limit = bounds.alone if largest is None else min(max(largest, bounds.least), _IDENTICAL)
    return Nearness(
        median=float(np.median(samples)),
        largest=max(samples),
        real_median=float(np.median(real)) if real else None,
        real_largest=largest,
        limit=limit,
        near_copies=sum(value > limit for value in samples) / len(samples),
    )


def _share(found: Sequence[tuple[int, Nearness]]) -> float | None:
    """The share of near copies over classes; None without samples."""
    count = sum(samples for samples, _ in found)
    return sum(samples * one.near_copies for samples, one in found) / count if count else None


def _sized(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    how = cv2.INTER_AREA if image.shape[0] > _FEATURES_PX else cv2.INTER_CUBIC
    return np.asarray(
        cv2.resize(np.ascontiguousarray(image), (_FEATURES_PX, _FEATURES_PX), interpolation=how), np.uint8
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def _words(one: Nearness) -> str:
    real = "there are no two" if one.real_median is None else f"{one.real_median:.2f}"
    near = f"{_percent(one.near_copies)} above {one.limit:.2f}"
    return f"{one.median:.2f} to the nearest example (between examples {real}), {near}"


class _Network:
    """Features of crops."""

    def __init__(self, network: Network, device: torch.device) -> None:
        self.name = f"{network.architecture} ({network.weights.name})"
        self._network = network.to(device).eval()
        self._device = device

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> F64:
        """float64 (n, d), of length 1 each."""
        rows = []
        with torch.inference_mode(), devices.one_thread(self._device):
            for start in range(0, len(images), _BATCH):
                pixels = np.stack([_sized(image) for image in images[start : start + _BATCH]])
                made = self._network.features(self._network.prepare(pixels))
                rows.append(functional.normalize(made.double(), dim=1).cpu().numpy())
        return np.concatenate(rows)


def _installed(device: torch.device) -> _Network | None:
    """The network whose weights are on this machine; None without one."""
    try:
        from carpet_data import networks
    except MissingExtraError:
        return None
    weights = networks.choose(download=False)
    if weights.path is None:
        return None
    return _Network(networks.build(weights, classes=1, seed=0), device)
