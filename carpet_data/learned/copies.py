"""Does a network repeat its training crops? How near samples are to donors, against how near donors are to each other.

A network that saw three holes may learn what holes are, or those three holes. The nearest donor of each sample is
searched for twice: by pixels, as replication is measured in diffusion models (Somepalli et al. 2023, Carlini et al.
2023), and by the features of a network, which still recognize a copy whose light or grain has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from carpet_data.core.results import Result
from carpet_data.core.sheets import evenly
from carpet_data.errors import MissingExtraError
from carpet_data.learned.crops import CropDataset, Example, GeneratedCrop
from carpet_data.learned.windows import CropWindow, cut
from carpet_data.networks import devices
from carpet_data.synthesis.contract import Image

if TYPE_CHECKING:
    from carpet_data.networks import Network

__all__ = ["ClassCopies", "Copies", "Nearness", "correlation", "measure"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_IDENTICAL = 0.95
"""As near as this is a copy, even where two donors are as near: then they are pictures of one thing."""
# Limits for a class without two donors, and the lowest limits taken: two or three donors may have nothing in common.
# Clean background reaches 0.4 by pixels and 0.7 by features against a defect on it; a donor that is moved, zoomed and
# lit as in training reaches 0.6 to 0.8 and 0.9 to 0.95 (carpet).
_PIXELS_MIN, _PIXELS_ALONE = 0.5, 0.7
_FEATURES_MIN, _FEATURES_ALONE = 0.85, 0.9
_REFERENCES = 16
"""Donors of a class whose nearest other one is searched for; evenly spaced ones if there are more."""
_BATCH = 64
_FEATURES_PX = 96
"""Crops are resized to this before a network sees them."""

_SIDE_PX = 64
"""Crops are compared by pixels at this size."""
_SHIFT_PX = 16
_MARGIN_PX = 4
_ZOOMS = (0.87, 1.0, 1.15)
_COARSE = 4
_FINE_VIEWS = 4
"""Views that are compared at full size: the most similar ones at a quarter of it."""
_FLOOR = 0.05
"""Squared levels added to each variance: what varies less than a level is flat and similar to nothing."""


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near samples of one class are to its donors; 1 is identical, 0 unrelated.

    Attributes:
        median: Median over the samples, to the nearest donor of each.
        real_median: Median over the donors, to the nearest other one that shows another piece; None without two.
        limit: A sample nearer than this is a near copy: `real_largest`, but never less than unrelated things reach; a
            fixed one where the class has no two donors.
        near_copies: Share of such samples.
    """

    median: float
    largest: float
    real_median: float | None
    real_largest: float | None
    limit: float
    near_copies: float

    @classmethod
    def of(cls, samples: Sequence[float], real: Sequence[float], *, minimum: float, alone: float) -> Nearness:
        """From the nearness of each sample, and of each donor to the other ones."""
        largest = max(real) if real else None
        limit = alone if largest is None else min(max(largest, minimum), _IDENTICAL)
        return cls(
            median=float(np.median(samples)),
            largest=max(samples),
            real_median=float(np.median(real)) if real else None,
            real_largest=largest,
            limit=limit,
            near_copies=sum(value > limit for value in samples) / len(samples),
        )

    def text(self) -> str:
        """For people."""
        real = "there are no two" if self.real_median is None else f"{self.real_median:.2f}"
        near = f"{_percent(self.near_copies)} above {self.limit:.2f}"
        return f"{self.median:.2f} to the nearest donor (between donors {real}), {near}"


@dataclass(frozen=True, slots=True)
class ClassCopies:
    """The copies of one class.

    Attributes:
        examples: Number of donors that the network could copy.
        pixels: Maximum normalized cross-correlation within the box of the sample's mask, over shifts of a quarter of
            the crop, three zooms, and flips for textures.
        features: Cosine of the features of the whole crop, over flips for textures; None without a network.
    """

    class_name: str
    samples: int
    examples: int
    pixels: Nearness
    features: Nearness | None


@dataclass(frozen=True, slots=True)
class Copies(Result):
    """How many samples nearly repeat a donor.

    Attributes:
        near_copies: Share of all samples that are near copies by pixels; None without samples.
        near_copies_by_features: The same by features; None without samples or without a network.
        backbone: Network whose features were compared; None where no network with weights is installed.
        classes: Each class that has samples, sorted.
    """

    near_copies: float | None
    near_copies_by_features: float | None
    backbone: str | None
    classes: tuple[ClassCopies, ...]

    def text(self) -> str:
        """For people, a line for each class after the first."""
        if self.near_copies is None:
            return "Memorization: no samples."
        by_features = (
            "; no network with weights is installed, so features were not compared"
            if self.backbone is None
            else f", {_percent(self.near_copies_by_features)} by features of {self.backbone}"
        )
        lines = [
            f"Near copies of a donor (nearer than two donors are to each other): {_percent(self.near_copies)} of the "
            f"samples by pixels{by_features}."
        ]
        for one in self.classes:
            features = "" if one.features is None else f"; features {one.features.text()}"
            lines.append(f"  {one.class_name}: pixels {one.pixels.text()}{features}")
        return "\n".join(lines)


def measure(data: CropDataset, samples: Sequence[GeneratedCrop], device: torch.device | str = "cpu") -> Copies:
    """Compare samples (square crops of any size, of classes of the data) with the donors of their class.

    The same samples give the same numbers.
    """
    network = _installed(torch.device(device)) if samples else None
    classes = []
    for name in sorted({one.class_name for one in samples}):
        made = [one for one in samples if one.class_name == name]
        donors = [one for one in data.examples if one.class_name == name]
        others = _others(donors)
        near, real = _by_pixels(data, made, donors, others)
        pixels = Nearness.of(near, real, minimum=_PIXELS_MIN, alone=_PIXELS_ALONE)
        features = None
        if network is not None:
            near, real = _by_features(network, data, made, donors, others)
            features = Nearness.of(near, real, minimum=_FEATURES_MIN, alone=_FEATURES_ALONE)
        classes.append(ClassCopies(name, len(made), len(donors), pixels, features))
    return Copies(
        _share([(one.samples, one.pixels) for one in classes]),
        _share([(one.samples, one.features) for one in classes if one.features is not None]),
        None if network is None else network.name,
        tuple(classes),
    )


def _others(donors: Sequence[Example]) -> dict[int, list[int]]:
    """Evenly spaced donors, each with those that show another piece; donors without any are left out."""
    found = {}
    for i in evenly(range(len(donors)), _REFERENCES):
        one = donors[i]
        apart = [
            j
            for j, other in enumerate(donors)
            if other.sample != one.sample and (one.group is None or other.group != one.group)
        ]
        if apart:
            found[i] = apart
    return found


def _share(found: Sequence[tuple[int, Nearness]]) -> float | None:
    count = sum(samples for samples, _ in found)
    return sum(samples * one.near_copies for samples, one in found) / count if count else None


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def _by_pixels(
    data: CropDataset, samples: Sequence[GeneratedCrop], donors: Sequence[Example], others: Mapping[int, Sequence[int]]
) -> tuple[list[float], list[float]]:
    """The nearest donor of each sample, and the nearest other one of each chosen donor."""
    views = [_views(one.image, data.window(one), flips=not data.is_object) for one in donors]
    return (
        [_nearest(one.image, one.mask, views) for one in samples],
        [_nearest(*data.crop(donors[i]), [views[j] for j in apart]) for i, apart in others.items()],
    )


def _views(image: Image, window: CropWindow, *, flips: bool) -> list[tuple[F32, F32]]:
    """A donor in every way that counts as the same picture, at full size and a quarter; wider by the maximum shift."""
    found = []
    wide_px = _SIDE_PX + 2 * _SHIFT_PX
    for zoom in _ZOOMS:
        side = round(window.side * zoom * wide_px / _SIDE_PX)
        aside = (side - window.side) // 2
        wide = cut(image, CropWindow(window.x - aside, window.y - aside, side), wide_px).astype(np.float32)
        coarse = _resized(wide, wide_px // _COARSE)
        found += [(wide[::down, ::across], coarse[::down, ::across]) for down, across in _turns(flips)]
    return found


def _turns(flips: bool) -> list[tuple[int, int]]:
    """Steps through rows and columns, not flipped first."""
    return [(1, 1), (1, -1), (-1, 1), (-1, -1)] if flips else [(1, 1)]


def _nearest(image: NDArray[np.uint8], mask: F32, donors: Sequence[Sequence[tuple[F32, F32]]]) -> float:
    """The maximum correlation (-1..1, 0 where flat) of the defect in a crop with any view of any donor."""
    pixels = _resized(np.asarray(image, np.float32), _SIDE_PX)
    cover = _resized(mask, _SIDE_PX)
    rows, columns = np.nonzero(cover >= max(float(cover.max()) / 2, 1e-6))
    if len(rows) == 0:  # without a mask, the whole crop is compared
        rows = columns = np.array([0, _SIDE_PX - 1])
    top, bottom = max(0, int(rows.min()) - _MARGIN_PX), min(_SIDE_PX, int(rows.max()) + 1 + _MARGIN_PX)
    left, right = max(0, int(columns.min()) - _MARGIN_PX), min(_SIDE_PX, int(columns.max()) + 1 + _MARGIN_PX)
    small = _resized(pixels, _SIDE_PX // _COARSE)
    corner = top // _COARSE, left // _COARSE
    patch = small[corner[0] : -(-bottom // _COARSE), corner[1] : -(-right // _COARSE)]
    views = [view for donor in donors for view in donor]
    rough = [correlation(patch, corner, coarse, _SHIFT_PX // _COARSE) for _, coarse in views]
    best = np.argsort(-np.asarray(rough), kind="stable")[:_FINE_VIEWS]
    patch = pixels[top:bottom, left:right]
    return max(correlation(patch, (top, left), views[int(number)][0], _SHIFT_PX) for number in best)


def correlation(patch: F32, corner: tuple[int, int], wide: F32, shift: int) -> float:
    """The maximum normalized cross-correlation of a patch within a shift of its place, channels together.

    The patch is float32 h x w x3, `corner` its top and left in a crop; `wide` is the other crop, wider by `shift`
    pixels on each side.
    """
    height, width = patch.shape[:2]
    top, left = corner
    part = wide[top : top + height + 2 * shift, left : left + width + 2 * shift]
    # Without the means, which would cost digits; what varies less than a level is similar to nothing.
    even = patch - patch.mean(axis=(0, 1), dtype=np.float64)
    variance = float(np.square(even).mean())
    found = cv2.matchTemplate(
        np.ascontiguousarray(part - part.mean(axis=(0, 1), dtype=np.float64), np.float32),
        np.ascontiguousarray(even, np.float32),
        cv2.TM_CCOEFF_NORMED,
    )
    return float(found.max()) * float(np.sqrt(variance / (variance + _FLOOR)))


def _resized(image: NDArray[Any], side: int, enlarge: int = cv2.INTER_LINEAR) -> NDArray[Any]:
    if image.shape[0] == side:
        return image
    how = cv2.INTER_AREA if image.shape[0] > side else enlarge
    return np.asarray(cv2.resize(np.ascontiguousarray(image), (side, side), interpolation=how))


def _by_features(
    network: _Network,
    data: CropDataset,
    samples: Sequence[GeneratedCrop],
    donors: Sequence[Example],
    others: Mapping[int, Sequence[int]],
) -> tuple[list[float], list[float]]:
    """As `_by_pixels`, by the cosine of features."""
    turns = _turns(not data.is_object)
    crops = [data.crop(one)[0] for one in donors]
    made = network([one.image for one in samples])
    # Not flipped first; shape turns x donors x d.
    seen = network([crop[::down, ::across] for down, across in turns for crop in crops])
    seen = seen.reshape(len(turns), len(crops), -1)
    to_donors = np.einsum("sd,ted->ste", made, seen).max(axis=(1, 2))
    between = np.einsum("id,ted->ite", seen[0], seen).max(axis=1)
    return to_donors.tolist(), [float(between[i, apart].max()) for i, apart in others.items()]


class _Network:
    def __init__(self, network: Network, device: torch.device) -> None:
        self.name = f"{network.architecture} ({network.weights.name})"
        self._network = network.to(device).eval()
        self._device = device

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> F64:
        """float64 (n, d), of length 1 each."""
        rows = []
        with torch.inference_mode(), devices.one_thread(self._device):
            for start in range(0, len(images), _BATCH):
                pixels = np.stack(
                    [_resized(image, _FEATURES_PX, cv2.INTER_CUBIC) for image in images[start : start + _BATCH]]
                )
                made = self._network.features(self._network.prepare(pixels))
                rows.append(functional.normalize(made.double(), dim=1).cpu().numpy())
        return np.concatenate(rows)


def _installed(device: torch.device) -> _Network | None:
    """The network whose weights are available locally; None without one."""
    try:
        from carpet_data import networks
    except MissingExtraError:
        return None
    weights = networks.choose(download=False)
    if weights.path is None:
        return None
    return _Network(networks.build(weights, classes=1, seed=0), device)
