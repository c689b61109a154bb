"""The network of the diffusion recipes: a UNet of diffusers that sees pixels in small blocks.

A block of 2x2 pixels enters as channels and leaves as pixels again ("simple diffusion", Hoogeboom et al. 2023): the
layers at full size cost most on a CPU and learn least.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from diffusers import ConfigMixin, DDPMScheduler, ModelMixin, UNet2DModel
from diffusers.configuration_utils import register_to_config
from torch.nn import functional

__all__ = ["Denoiser", "clean_of", "guided", "masked_mean", "schedule", "weight"]

_GROUPS = 8
_MOST_WEIGHT = 5.0
_LATE = 4
"""Exponent: half of the noisy image passes where a sixth of its variance is noise."""


class Denoiser(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Predicts clean channels from noisy ones, conditions, time and label; saved by `save_pretrained`.

    `channels_in` counts noisy channels and conditions together. `widths` are channels of each level, multiples of 8,
    each level at half the size; `block_px` is 1, 2 or 4. With `attention` the lowest level looks everywhere; without it
    the receptive field stays small.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        labels: int,
        widths: Sequence[int] = (48, 80, 112),
        block_px: int = 2,
        layers: int = 1,
        attention: bool = True,
    ) -> None:
        super().__init__()
        levels = len(widths)
        last = ("AttnDownBlock2D", "AttnUpBlock2D") if attention else ("DownBlock2D", "UpBlock2D")
        self.unet = UNet2DModel(
            in_channels=channels_in * block_px**2,
            out_channels=channels_out * block_px**2,
            layers_per_block=layers,
            block_out_channels=tuple(widths),
            norm_num_groups=_GROUPS,
            down_block_types=("DownBlock2D",) * (levels - 1) + last[:1],
            up_block_types=last[1:] + ("UpBlock2D",) * (levels - 1),
            add_attention=attention,
            num_class_embeds=labels,
        )

    def forward(self, values: torch.Tensor, time: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Clean channels, n x channels_out x c x c; values n x channels_in x c x c, time and labels int64 n."""
        block: int = self.config.block_px
        found = self.unet(functional.pixel_unshuffle(values, block), time, class_labels=labels).sample
        return functional.pixel_shuffle(found, block)


def schedule() -> DDPMScheduler:
    """The noise schedule of training: cosine (Nichol and Dhariwal 2021), down to pure noise, clean pixels predicted.

    Small networks learn clean pixels sooner than velocity or noise, for which noise must pass unchanged.
    """
    return DDPMScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        rescale_betas_zero_snr=True,
    )


def clean_of(found: torch.Tensor, noisy: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Clean channels from the output of a network; with hardly any noise, they are nearly the noisy ones.

    A network that predicts a whole image blurs it even where nothing is missing. EDM (Karras et al. 2022) passes the
    noisy image at every time; here it passes only late, which suits small networks. `kept` is alphas_cumprod of the
    time, 0..1, n x1 x1 x1 or a single number; the channels are n x channels x c x c.
    """
    through = kept**_LATE
    return through / kept.clamp(min=1e-12).sqrt() * noisy + (1 - through) * found


def guided(
    network: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    values: torch.Tensor,
    time: int,
    labels: torch.Tensor,
    *,
    unknown: int,
    guidance: float,
) -> torch.Tensor:
    """The output of a network with classifier-free guidance (Ho and Salimans 2022); at 1 the network runs once.

    The network takes values (n x channels x c x c), times and labels (int64 n), as `Denoiser`; `unknown` is the label
    of no class.
    """
    if guidance == 1:
        return network(values, torch.full_like(labels, time), labels)
    both = torch.cat([labels, torch.full_like(labels, unknown)])
    given, without = network(values.repeat(2, 1, 1, 1), torch.full_like(both, time), both).chunk(2)
    found: torch.Tensor = without + guidance * (given - without)
    return found


def weight(kept: torch.Tensor) -> torch.Tensor:
    """The weight of an error of clean pixels at a time of the schedule, of which `kept` is alphas_cumprod (0..1).

    Weighted by 1 + SNR it is the error of velocity (Salimans and Ho 2022); the weight is bounded as in Min-SNR (Hang et
    al. 2023): crops with little noise have little to learn from.
    """
    return (1 / (1 - kept)).clamp(max=_MOST_WEIGHT)


def masked_mean(error: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Mean over the pixels of each crop, then over the crops: a scratch counts as much as a stain."""
    counts = where.sum(dim=(1, 2, 3)) * error.shape[1]
    each = (error * where).sum(dim=(1, 2, 3)) / counts.clamp(min=1)
    return each.sum() / (counts > 0).sum().clamp(min=1)
