"""The network of small patches: what it makes of a pixel depends on the pixels near it and on nothing else."""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from torch import nn
from torch.nn import functional

__all__ = ["PatchDenoiser"]

_EMBEDDED = 128


class _PixelNorm(nn.Module):
    """Layer normalisation over the channels of each pixel: a group norm would carry news across the whole crop."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        normed: torch.Tensor = self.norm(values.permute(0, 2, 3, 1))
        return normed.permute(0, 3, 1, 2)


class _Block(nn.Module):
    """Residual block: its 3x3 convolution sees one block of pixels farther."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = _PixelNorm(width)
        self.told = nn.Linear(_EMBEDDED, 2 * width)
        self.near = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.back = nn.Conv2d(2 * width, width, 1)
        for weights in self.back.parameters():
            nn.init.zeros_(weights)

    def forward(self, values: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        gain, shift = self.told(told)[:, :, None, None].chunk(2, dim=1)
        hidden = self.near(self.norm(values) * (1 + gain) + shift)
        moved: torch.Tensor = self.back(functional.silu(hidden))
        return values + moved


class PatchDenoiser(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Predicts as `Denoiser` does, but from small patches; saved by `save_pretrained`.

    The small receptive field of Defect-Gen (Yang et al. 2024). Theirs is a UNet with fewer levels; its group norms
    still see everything, so this one has neither levels nor such norms.

    Args:
        channels: Noisy channels, as many as are predicted.
        labels: Number of labels.
        width: Channels inside.
        blocks: Residual blocks.
        block_px: Pixels across a block of pixels, see `Denoiser`.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, channels: int, labels: int, width: int = 80, blocks: int = 4, block_px: int = 2) -> None:
        super().__init__()
        self.waves = Timesteps(_EMBEDDED, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time = TimestepEmbedding(_EMBEDDED, _EMBEDDED)
        self.label = nn.Embedding(labels, _EMBEDDED)
        self.first = nn.Conv2d(channels * block_px**2, width, 3, padding=1)
        self.body = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.gain = nn.Linear(_EMBEDDED, width)
        self.last = nn.Conv2d(width, channels * block_px**2, 1)
        for weights in self.last.parameters():
            nn.init.zeros_(weights)

    @property
    def reach_px(self) -> int:
        """No pixel farther away than this, in rows or columns, changes what is predicted of a pixel."""
        convolutions: int = 1 + self.config.blocks
        block: int = self.config.block_px
        return block * (convolutions + 1) - 1

    def forward(self, values: torch.Tensor, time: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """What is predicted, n x channels x c x c; values alike, time and labels int64 n."""
        told = functional.silu(self.time(self.waves(time).to(values.dtype)) + self.label(labels))
        hidden = self.first(functional.pixel_unshuffle(values, self.config.block_px))
        for block in self.body:
            hidden = block(hidden, told)
        # No norm here: clean pixels are about as strong as those that come in, by as much as the time says.
        hidden = hidden * (1 + self.gain(told)[:, :, None, None])
        return functional.pixel_shuffle(self.last(hidden), self.config.block_px)
