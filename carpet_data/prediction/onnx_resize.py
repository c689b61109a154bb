"""Images resized in a graph as training resizes them with OpenCV: to a gray level, at any size of the image."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Normalize", "ResizeSquare"]

_SLIVER = 1e-3
"""Part of a pixel below which OpenCV leaves it out of an average."""
_ONE = 2048
"""OpenCV's weights of neighbors are whole numbers of which this many make one."""


class ResizeSquare(nn.Module):
    """uint8 (n, h, w, 3) -> float32 (n, 3, size, size) of whole gray levels, as `carpet_data.training.tables.resized`.

    An image of more pixels than the square is averaged over areas if both sides shrink, else neighbors are mixed in
    whole numbers, in OpenCV's two ways. Height and width may differ from call to call, so all ways are computed and one
    is taken. The result is that of OpenCV but for averages of exactly half a gray level, which may be rounded the other
    way: at some sizes some ten pixels of an image.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The resized images."""
        rows = torch.arange(images.shape[1], dtype=torch.float64)
        columns = torch.arange(images.shape[2], dtype=torch.float64)
        height, width = rows[-1] + 1, columns[-1] + 1
        larger = height * width > self.size * self.size
        shrinks = (height >= self.size) & (width >= self.size)
        planes = images.permute(0, 3, 1, 2)
        averaged = self._averaged(planes.float(), rows, columns)
        mixed = self._mixed(planes.long(), height, width, larger).float()
        return torch.where(larger & shrinks, averaged, mixed)

    def _averaged(self, planes: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        height, width = rows[-1] + 1, columns[-1] + 1
        # Whole blocks of pixels are added up exactly and divided once, other areas are sums of shares.
        blocks = (torch.remainder(height, self.size) == 0) & (torch.remainder(width, self.size) == 0)
        part = torch.where(blocks, self.size * self.size / (height * width), torch.ones_like(height)).float()
        # Across first, as OpenCV: where an average is half a gray level, the last bits of the sum decide.
        means = (self._shares(rows, blocks) @ (planes @ self._shares(columns, blocks).transpose(0, 1))) * part
        halved = (height == 2 * self.size) & (width == 2 * self.size)
        # Blocks of four pixels are the one case in which OpenCV rounds halves up.
        return torch.where(halved, torch.floor(means + 0.5), torch.round(means))

    def _shares(self, pixels: torch.Tensor, blocks: torch.Tensor) -> torch.Tensor:
        """float32 (size, n): what each pixel of a line counts in each pixel of the resized line."""
        count = pixels[-1] + 1
        scale = count / self.size
        low = torch.arange(self.size, dtype=torch.float64)[:, None] * scale
        inside = torch.minimum(pixels[None] + 1, low + scale) - torch.maximum(pixels[None], low)
        inside = torch.where(inside > _SLIVER, inside, torch.zeros_like(inside))
        return torch.where(blocks, inside, inside / torch.minimum(scale, count - low)).float()

    def _mixed(
        self, planes: torch.Tensor, height: torch.Tensor, width: torch.Tensor, larger: torch.Tensor
    ) -> torch.Tensor:
        first, second, weight_1, weight_2 = self._neighbors(width, larger, plain_ends=True)
        lines = planes[:, :, :, first] * weight_1 + planes[:, :, :, second] * weight_2
        first, second, weight_1, weight_2 = self._neighbors(height, larger, plain_ends=False)
        upper = _shifted(_shifted(lines[:, :, first], 4) * weight_1[:, None], 16)
        lower = _shifted(_shifted(lines[:, :, second], 4) * weight_2[:, None], 16)
        return _shifted(upper + lower + 2, 2)

    def _neighbors(
        self, count: torch.Tensor, larger: torch.Tensor, *, plain_ends: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """int64 (size,) each: two pixels of a line for each pixel of the resized line, and their weights.

        Beyond the ends of a line the last pixel counts, with all of the weight in one of the two (`plain_ends`, across)
        or spread over both (down): they are the same pixel, but OpenCV cuts off the last bits of each.
        """
        scale = count / self.size
        place = torch.arange(self.size, dtype=torch.float64)
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
