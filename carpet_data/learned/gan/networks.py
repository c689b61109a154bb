"""The networks of the gan recipe: a generator of clean background, a branch that adds defects, a discriminator.

The generator and the discriminator follow FastGAN (Liu et al., ICLR 2021): few layers, gated, with skip-layer
excitation, and a discriminator that must also redraw what it sees. The branch is in the manner of DFMGAN (Duan et al.,
AAAI 2023): it leaves the generator as it is and adds a mask and a residual that acts under the mask only. Unlike there
it sees the background as pixels instead of the generator's features, so that it serves real background too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from carpet_data.learned.fit_runtime import noise

__all__ = ["BackgroundGenerator", "DefectBranch", "Discriminator", "grains_of", "sizes_of"]

_MOST_WIDE = 256
_LEAST_PX = 4
_SKIPPED = 3
_GROUPS = 8
_MOSTLY_GOOD = -2.0
"""Masks begin as an eighth everywhere: all or nothing would have no gradient."""
_BACKGROUND_REACH, _DEFECT_REACH = 4.0, 6.0
"""How far colors may go along an axis, in deviations of the data set's: a defect farther than its background."""
_RIM_FRAC = 0.06
_GREY = (0.0, 0.0, 0.0)
_PLAIN = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def sizes_of(crop_px: int) -> tuple[int, ...]:
    """Pixels across at each level, from the smallest to the crop's own; each doubles the one before.

    The smallest is 4 to 7, or more where the crop's size cannot be halved so often (176: 11, 22, 44, 88, 176).
    """
    sizes = [crop_px]
    while sizes[-1] % 2 == 0 and sizes[-1] >= 2 * _LEAST_PX:
        sizes.append(sizes[-1] // 2)
    return tuple(reversed(sizes))


def grains_of(
    rng: np.random.Generator, count: int, crop_px: int, device: torch.device, strength: float = 1.0
) -> list[torch.Tensor]:
    """The grain of both generators, of deviation `strength`: count x1 x size x size for each size but the first."""
    return [strength * noise(rng, (count, 1, size, size), device) for size in sizes_of(crop_px)[1:]]


def _widths(levels: int, narrowest: int) -> list[int]:
    return [min(_MOST_WIDE, narrowest * 2 ** (levels - 1 - level)) for level in range(levels)]


def _doubled(values: torch.Tensor) -> torch.Tensor:
    """Each pixel four times: as nearest interpolation does, but in the precision that the values have."""
    count, channels, height, width = values.shape
    spread = values[:, :, :, None, :, None].expand(count, channels, height, 2, width, 2)
    return spread.reshape(count, channels, 2 * height, 2 * width)


class _Grain(nn.Module):
    """Adds noise, each channel as strong as it has learned: chance detail that the latent need not hold."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, values: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return values + self.strength * noise


class _Up(nn.Module):
    """Twice the size: convolution, grain, norm, gate."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, 2 * channels_out, 3, padding=1, bias=False)
        self.grain = _Grain(2 * channels_out)
        self.norm = nn.GroupNorm(_GROUPS, 2 * channels_out)

    def forward(self, values: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        larger = _doubled(values)
        return functional.glu(self.norm(self.grain(self.conv(larger), noise)), dim=1)


class _Excitation(nn.Module):
    """Channels of a late level, weighted by an early one (skip-layer excitation)."""

    def __init__(self, channels_early: int, channels_late: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Conv2d(channels_early, channels_late, _LEAST_PX),
            nn.SiLU(),
            nn.Conv2d(channels_late, channels_late, 1),
            nn.Sigmoid(),
        )

    def forward(self, early: torch.Tensor, late: torch.Tensor) -> torch.Tensor:
        weights: torch.Tensor = self.weigh(functional.adaptive_avg_pool2d(early, _LEAST_PX))
        return late * weights


def _colored(model: nn.Module, mean: Sequence[float], axes: Sequence[Sequence[float]]) -> None:
    """The colors of the data set, as `carpet_data.learned.scale.ColorScale` has them, beside the weights."""
    model.register_buffer("colour_mean", torch.tensor(mean, dtype=torch.float32)[:, None, None])
    model.register_buffer("colour_axes", torch.tensor(axes, dtype=torch.float32))


def _bounded(values: torch.Tensor, reach: float) -> torch.Tensor:
    """Nearly unchanged while small, never farther than the reach."""
    return reach * torch.tanh(values / reach)


class BackgroundGenerator(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Clean background from a latent; saved by `save_pretrained`.

    `width` counts channels at full size; each smaller level has twice as many, up to 256. `mean` is that of the colors
    of crops, -1..1, and `axes` (columns) their principal axes: what the network varies, each as strong as the data set
    does.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        crop_px: int = 64,
        latent: int = 64,
        width: int = 32,
        mean: Sequence[float] = _GREY,
        axes: Sequence[Sequence[float]] = _PLAIN,
    ) -> None:
        super().__init__()
        _colored(self, mean, axes)
        sizes = sizes_of(crop_px)
        widths = _widths(len(sizes), width)
        self.first = nn.Linear(latent, 2 * widths[0] * sizes[0] ** 2)
        self.first_norm = nn.GroupNorm(_GROUPS, 2 * widths[0])
        self.ups = nn.ModuleList(_Up(a, b) for a, b in pairwise(widths))
        self.excitations = nn.ModuleList(_Excitation(a, b) for a, b in zip(widths, widths[_SKIPPED:], strict=False))
        self.last = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, latents: torch.Tensor, grains: Sequence[torch.Tensor]) -> torch.Tensor:
        """n x3 x c x c, -1..1, from standard normal latents (n x latent) and grains (as `grains_of`)."""
        size = sizes_of(self.config.crop_px)[0]
        values = self.first(latents).unflatten(1, (-1, size, size))
        levels = [functional.glu(self.first_norm(values), dim=1)]
        for up, grain in zip(self.ups, grains, strict=True):
            values = up(levels[-1], grain)
            if len(levels) >= _SKIPPED:
                early = len(levels) - _SKIPPED
                values = self.excitations[early](levels[early], values)
            levels.append(values)
        varied = _bounded(self.last(levels[-1]).float(), _BACKGROUND_REACH)
        return torch.clamp(self.colour_mean + torch.einsum("ij,njhw->nihw", self.colour_axes, varied), -1, 1)


class _Styled(nn.Module):
    """Twice the size, next to features of the background, scaled and shifted channel by channel by the style."""

    def __init__(self, channels_in: int, channels_background: int, channels_out: int, style: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in + channels_background, channels_out, 3, padding=1)
        self.grain = _Grain(channels_out)
        self.norm = nn.GroupNorm(_GROUPS, channels_out, affine=False)
        self.style = nn.Linear(style, 2 * channels_out)

    def forward(
        self, values: torch.Tensor, background: torch.Tensor, noise: torch.Tensor, style: torch.Tensor
    ) -> torch.Tensor:
        larger = _doubled(values)
        found = self.norm(self.grain(self.conv(torch.cat([larger, background], dim=1)), noise))
        scale, shift = self.style(style)[:, :, None, None].chunk(2, dim=1)
        return functional.leaky_relu(found * (1 + scale) + shift, 0.2)


class DefectBranch(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """The mask and the residual of a defect for given background; saved by `save_pretrained`.

    `width` counts channels at full size; each smaller level has twice as many, up to 256. `axes` are the principal axes
    of the colors of crops, as columns: along them a defect changes the background.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        labels: int,
        crop_px: int = 64,
        latent: int = 32,
        width: int = 16,
        style: int = 96,
        axes: Sequence[Sequence[float]] = _PLAIN,
    ) -> None:
        super().__init__()
        _colored(self, _GREY, axes)
        self.register_buffer("room", _room(crop_px))
        sizes = sizes_of(crop_px)
        widths = _widths(len(sizes), width)
        self.label = nn.Embedding(labels, style)
        self.mapping = nn.Sequential(
            nn.Linear(latent + style, style), nn.LeakyReLU(0.2), nn.Linear(style, style), nn.LeakyReLU(0.2)
        )
        self.first = nn.Linear(style, widths[0] * sizes[0] ** 2)
        # The background at each size but the smallest, from the largest down.
        seen = [max(_GROUPS, width // 2) * min(4, 2**level) for level in range(len(sizes) - 1)]
        self.look = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=1 if level == 0 else 2, padding=1)
            for level, (a, b) in enumerate(zip([3, *seen], seen, strict=False))
        )
        self.ups = nn.ModuleList(
            _Styled(a, g, b, style) for a, g, b in zip(widths, reversed(seen), widths[1:], strict=False)
        )
        self.mask = nn.Conv2d(widths[-1], 1, 3, padding=1)
        self.residual = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(
        self, background: torch.Tensor, latents: torch.Tensor, labels: torch.Tensor, grains: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The background (n x3 x c x c, -1..1) with a defect on it, and the mask (n x1 x c x c, 0..1).

        Where the mask is 0 the background is as it was. Latents and grains are standard normal, as for
        `BackgroundGenerator`; labels are int64 n.
        """
        style = self.mapping(torch.cat([latents, self.label(labels)], dim=1))
        size = sizes_of(self.config.crop_px)[0]
        values = functional.leaky_relu(self.first(style).unflatten(1, (-1, size, size)), 0.2)
        seen: list[torch.Tensor] = []
        for look in self.look:
            seen.append(functional.leaky_relu(look(seen[-1] if seen else background), 0.2))
        for up, found, grain in zip(self.ups, reversed(seen), grains, strict=True):
            values = up(values, found, grain, style)
        mask = torch.sigmoid(self.mask(values).float() + _MOSTLY_GOOD) * self.room
        along = _bounded(self.residual(values).float(), _DEFECT_REACH)
        residual = torch.einsum("ij,njhw->nihw", self.colour_axes, along)
        return (background + mask * residual).clamp(-1, 1), mask


def _room(crop_px: int) -> torch.Tensor:
    """Where a defect may be, 1 x1 x c x c: nothing at the crop's rim, which crops of real defects keep free too.

    Without it the branch finds a corner to put the same bright spot in, whatever the class.
    """
    place = torch.arange(crop_px, dtype=torch.float32)
    inward = torch.minimum(place, crop_px - 1 - place) / (_RIM_FRAC * crop_px)
    return torch.minimum(inward[:, None], inward[None, :]).clamp(0, 1)[None, None]


class Discriminator(nn.Module):
    """How real crops with masks look: as a whole, in parts, and for their class (`labels` counts good too).

    Spectral norm keeps it tame (Miyato et al. 2018); the class enters as a projection (Miyato and Koyama 2018); the
    spread of a batch is shown to it (Karras et al. 2018), so that a generator that repeats itself is found out. `width`
    counts channels after the first layer; each smaller level has twice as many, up to 256.
    """

    def __init__(self, labels: int, crop_px: int, width: int) -> None:
        super().__init__()
        levels = len(sizes_of(crop_px)) - 1
        widths = [min(_MOST_WIDE, width * 2**level) for level in range(levels)]
        self.downs = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1)) for a, b in zip([4, *widths], widths, strict=False)
        )
        parts = widths[-2] if levels > 1 else widths[-1]
        self.parts = spectral_norm(nn.Conv2d(parts, 1, 1))
        self.mix = spectral_norm(nn.Conv2d(widths[-1] + 1, widths[-1], 3, padding=1))
        self.whole = spectral_norm(nn.Linear(widths[-1], 1))
        self.label = spectral_norm(nn.Embedding(labels, widths[-1]))
        self.redraw = nn.Sequential(
            nn.Conv2d(parts, 64, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2.0),
            nn.Conv2d(64, 32, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2.0),
            nn.Conv2d(32, 4, 3, padding=1),
        )

    def forward(self, values: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Judge crops, n x4 x c x c, -1..1 (colors and mask), of labels int64 n.

        Returns:
            Scores n x k (the first of the whole, the others of parts), mean features n x f, and the crops redrawn from
            a few features, n x4 at some smaller size.
        """
        found: list[torch.Tensor] = []
        for down in self.downs:
            found.append(functional.leaky_relu(down(found[-1] if found else values), 0.2))
        parts, last = found[-2] if len(found) > 1 else found[-1], found[-1]
        # Over the batch, averaged: one number that says how much its crops differ.
        spread = (last.float().var(dim=0, unbiased=False) + 1e-6).sqrt().mean()
        last = torch.cat([last, spread.to(last.dtype).expand(len(last), 1, *last.shape[2:])], dim=1)
        pooled = functional.leaky_relu(self.mix(last), 0.2).mean(dim=(2, 3))
        whole = self.whole(pooled) + (pooled * self.label(labels)).sum(dim=1, keepdim=True)
        scores = torch.cat([whole, self.parts(parts).flatten(1)], dim=1)
        features = torch.cat([level.mean(dim=(2, 3)) for level in found], dim=1)
        return scores, features, self.redraw(parts)
