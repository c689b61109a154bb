"""Images resized in a graph as training resizes them with OpenCV: to a gray level, at any size of the image."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

__all__ = ["Enlarge", "Normalize", "Resize"]

_SLIVER = 1e-3
"""Part of a pixel below which OpenCV leaves it out of an average."""
_ONE = 2048
"""OpenCV's weights of neighbors are whole numbers of which this many make one."""


class Resize(nn.Module):
    """uint8 (n, h, w, 3) -> float32 (n, 3, height, width) of whole gray levels, as models resize with OpenCV.

    An image of more pixels than the result is averaged over areas if both sides shrink, else neighbors are mixed in
    whole numbers, in OpenCV's two ways. Height and width may differ from call to call, so all ways are computed and one
    is taken. The result is that of OpenCV but for averages of exactly half a gray level, which may be rounded the other
    way: at some sizes some ten pixels of an image.
    """

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The resized images."""
        rows = torch.arange(images.shape[1], dtype=torch.float64)
        columns = torch.arange(images.shape[2], dtype=torch.float64)
        height, width = rows[-1] + 1, columns[-1] + 1
        larger = height * width > self.height * self.width
        shrinks = (height >= self.height) & (width >= self.width)
        planes = images.permute(0, 3, 1, 2)
        averaged = self._averaged(planes.float(), rows, columns)
        mixed = self._mixed(planes.long(), height, width, larger).float()
        return torch.where(larger & shrinks, averaged, mixed)

    def _averaged(self, planes: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        height, width = rows[-1] + 1, columns[-1] + 1
        # Whole blocks of pixels are added up exactly and divided once, other areas are sums of shares.
        blocks = (torch.remainder(height, self.height) == 0) & (torch.remainder(width, self.width) == 0)
        part = torch.where(blocks, self.height * self.width / (height * width), torch.ones_like(height)).float()
        # Across first, as OpenCV: where an average is half a gray level, the last bits of the sum decide.
        across = _shares(columns, self.width, blocks).transpose(0, 1)
        means = (_shares(rows, self.height, blocks) @ (planes @ across)) * part
        halved = (height == 2 * self.height) & (width == 2 * self.width)
        # Blocks of four pixels are the one case in which OpenCV rounds halves up.
        return torch.where(halved, torch.floor(means + 0.5), torch.round(means))

    def _mixed(
        self, planes: torch.Tensor, height: torch.Tensor, width: torch.Tensor, larger: torch.Tensor
    ) -> torch.Tensor:
        first, second, weight_1, weight_2 = _neighbors(width, self.width, larger, plain_ends=True)
        lines = planes[:, :, :, first] * weight_1 + planes[:, :, :, second] * weight_2
        first, second, weight_1, weight_2 = _neighbors(height, self.height, larger, plain_ends=False)
        upper = _shifted(_shifted(lines[:, :, first], 4) * weight_1[:, None], 16)
        lower = _shifted(_shifted(lines[:, :, second], 4) * weight_2[:, None], 16)
        return _shifted(upper + lower + 2, 2)


def _shares(pixels: torch.Tensor, size: int, blocks: torch.Tensor) -> torch.Tensor:
    """float32 (size, n): what each pixel of a line counts in each pixel of the resized line."""
    count = pixels[-1] + 1
    scale = count / size
    low = torch.arange(size, dtype=torch.float64)[:, None] * scale
    inside = torch.minimum(pixels[None] + 1, low + scale) - torch.maximum(pixels[None], low)
    inside = torch.where(inside > _SLIVER, inside, torch.zeros_like(inside))
    return torch.where(blocks, inside, inside / torch.minimum(scale, count - low)).float()


def _neighbors(
    count: torch.Tensor, size: int, larger: torch.Tensor, *, plain_ends: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """int64 (size,) each: two pixels of a line for each pixel of the resized line, and their weights.

    Beyond the ends of a line the last pixel counts, with all of the weight in one of the two (`plain_ends`, across)
    or spread over both (down): they are the same pixel, but OpenCV cuts off the last bits of each.
    """
    scale = count / size
    place = torch.arange(size, dtype=torch.float64)
    centered = ((place + 0.5) * scale - 0.5).float().double()
    at_centers = torch.floor(centered)
    at_areas = torch.floor(place * scale)
    in_areas = ((place + 1) - (at_areas + 1) / scale).float().double()
    in_areas = torch.where(in_areas <= 0, torch.zeros_like(in_areas), in_areas - torch.floor(in_areas))
    first = torch.where(larger, at_areas, at_centers)
    weight = torch.where(larger, in_areas, centered - at_centers)
    if plain_ends:
        outside = (first < 0) | (first >= count - 1)
        weight = torch.where(outside, torch.zeros_like(weight), weight)
    second = torch.minimum(torch.clamp(first + 1, min=0.0), count - 1)
    first = torch.minimum(torch.clamp(first, min=0.0), count - 1)
    return first.long(), second.long(), torch.round((1 - weight) * _ONE).long(), torch.round(weight * _ONE).long()


def _shifted(values: torch.Tensor, bits: int) -> torch.Tensor:
    """Whole numbers that are not negative, without their last bits."""
    return torch.div(values, 2**bits, rounding_mode="trunc")


class Enlarge(nn.Module):
    """uint8 (n, h, w, 3) -> float32 (n, 3, height, width) of whole gray levels: OpenCV's cubic interpolation."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The enlarged images."""
        planes = images.permute(0, 3, 1, 2).double()
        down, across = _cubic(images.shape[1], self.height), _cubic(images.shape[2], self.width)
        sums = down @ (planes @ across.transpose(0, 1))
        return torch.round(sums).clamp(0, 255).float()


def _cubic(count: int, size: int) -> torch.Tensor:
    """float64 (size, count): what each pixel of a line counts in each pixel of the enlarged line (Keys 1981, -0.75)."""
    centers = ((np.arange(size) + 0.5) * (count / size) - 0.5).astype(np.float32)
    first = np.floor(centers).astype(np.int64)
    x = centers - first.astype(np.float32)
    a = np.float32(-0.75)
    outer = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a
    near, far = (((a + 2) * each - (a + 3)) * each * each + 1 for each in (x, 1 - x))
    shares = np.stack((outer, near, far, 1 - outer - near - far), axis=1)
    weights = np.zeros((size, count))
    for place in range(4):
        pixels = np.clip(first + place - 1, 0, count - 1)
        np.add.at(weights, (np.arange(size), pixels), shares[:, place])
    return torch.from_numpy(weights)


class Normalize(nn.Module):
    """Gray levels as a network expects them: mean and standard deviation of each channel are those of values in [0, 1].

    As `Network.prepare`.
    """

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255)
        self.mean: torch.Tensor
        self.std: torch.Tensor

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """Normalized float32 (n, 3, h, w)."""
        return (planes - self.mean) / self.std
