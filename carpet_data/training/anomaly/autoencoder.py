"""A convolutional autoencoder of patches: what it cannot rebuild is abnormal. No pretrained network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from carpet_data.core import seeds
from carpet_data.core.progress import Progress, Step
from carpet_data.errors import DataError
from carpet_data.networks.devices import memory_guard, seeded
from carpet_data.training.anomaly.cells import Scored

__all__ = ["Autoencoder", "structural_similarity"]

U8 = NDArray[np.uint8]

_SIDE = 128
_HOP = 64
_CELL = 8
_BATCH = 16
_PATCHES = 32
"""Patches that are rebuilt at a time."""
_SIMILARITY_WINDOW = 11
_C1, _C2 = 0.01**2, 0.03**2


class Autoencoder:
    """Patches of 128 px squeezed into 100 numbers and rebuilt (Bergmann et al., VISAPP 2019).

    Trained on 1 - SSIM plus the mean squared error. The anomaly of a pixel is the same two terms of what was rebuilt,
    averaged over overlapping patches; that of a cell is the mean of its 8x8 pixels, that of an image its largest cell.
    """

    name = "autoencoder"

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.network = network.to(device).eval()
        self.device = device

    @classmethod
    def fit(
        cls,
        images: Sequence[U8],
        *,
        steps: int,
        seed: int,
        device: torch.device,
        turned: bool = False,
        progress: Progress | None = None,
    ) -> Autoencoder:
        """Train on good images, uint8 HxWx3 or HxW; `turned` shows them in flips and quarter turns.

        Raises:
            DataError: The training diverged.
            DeviceMemoryError: A batch does not fit into memory.
        """
        random = seeds.generator(seed, "autoencoder")
        with seeded(seed, device=device):
            network = _network().to(device).train()
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        padded = [_padded(image) for image in images]
        with memory_guard(_BATCH, device, size=_SIDE):
            for step in range(steps):
                x = _to_tensor(np.stack([_patch(padded, turned, random) for _ in range(_BATCH)]), device)
                loss = _difference(network(x), x).mean()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                if progress is not None and (step % 10 == 9 or step == steps - 1):
                    progress(Step(step + 1, steps, "training the autoencoder", {"loss": float(loss.detach())}))
        if not np.isfinite(float(loss.detach())):
            raise DataError("the training of the autoencoder diverged", hint="use another --seed")
        return cls(network, device)

    @classmethod
    def restore(cls, state: Mapping[str, torch.Tensor], device: torch.device) -> Autoencoder:
        """The model of a state."""
        network = _network()
        network.load_state_dict(dict(state))
        return cls(network, device)

    def state(self) -> dict[str, torch.Tensor]:
        """See `Scorer`."""
        return dict(self.network.state_dict())

    def score(self, images: Sequence[U8]) -> list[Scored]:
        """See `Scorer`."""
        return [self._score(image) for image in images]

    def _score(self, image: U8) -> Scored:
        height, width = image.shape[:2]
        whole = _padded(image)
        places = [(y, x) for y in _starts(whole.shape[0]) for x in _starts(whole.shape[1])]
        total, count = np.zeros(whole.shape[:2], np.float32), np.zeros(whole.shape[:2], np.float32)
        with torch.inference_mode(), memory_guard(_PATCHES, self.device, size=_SIDE):
            for start in range(0, len(places), _PATCHES):
                some = places[start : start + _PATCHES]
                patches = np.stack([whole[y : y + _SIDE, x : x + _SIDE] for y, x in some])
                x = _to_tensor(patches, self.device)
                found = _difference(self.network(x), x).cpu().numpy()
                for (top, left), values in zip(some, found, strict=True):
                    total[top : top + _SIDE, left : left + _SIDE] += values
                    count[top : top + _SIDE, left : left + _SIDE] += 1
        pixels = torch.from_numpy((total / count)[:height, :width])[None, None]
        cells = functional.avg_pool2d(pixels, _CELL, ceil_mode=True, count_include_pad=False)
        smooth = functional.avg_pool2d(cells, 3, 1, 1, count_include_pad=False)[0, 0]
        return np.asarray(smooth.numpy(), np.float32), float(smooth.max())


def structural_similarity(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """SSIM (Wang et al., 2004) at each pixel, over windows of 11x11, averaged over channels.

    Args:
        first: float (n, c, h, w) in [0, 1], at least 11 pixels across and down.
        second: Likewise.

    Returns:
        float (n, h, w), 1 where they are alike.
    """

    def mean(x: torch.Tensor) -> torch.Tensor:
        pad = _SIMILARITY_WINDOW // 2
        return functional.avg_pool2d(functional.pad(x, (pad,) * 4, mode="reflect"), _SIMILARITY_WINDOW, 1)

    mean_1, mean_2 = mean(first), mean(second)
    variance_1, variance_2 = mean(first * first) - mean_1**2, mean(second * second) - mean_2**2
    covariance = mean(first * second) - mean_1 * mean_2
    above = (2 * mean_1 * mean_2 + _C1) * (2 * covariance + _C2)
    below = (mean_1**2 + mean_2**2 + _C1) * (variance_1.clamp(min=0) + variance_2.clamp(min=0) + _C2)
    return (above / below).mean(1)


def _difference(rebuilt: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """float (n, h, w): half of 1 - SSIM plus the mean squared error of the channels; 0 where they are equal."""
    similarity = structural_similarity(rebuilt, x)
    return ((1 - similarity) / 2).clamp(min=0) + (rebuilt - x).square().mean(1)


def _network() -> nn.Module:
    """The encoder of the paper, and its mirror image."""

    def down(inside: int, outside: int, kernel: int, stride: int) -> list[nn.Module]:
        return [nn.Conv2d(inside, outside, kernel, stride, 1), nn.LeakyReLU(0.2)]

    def up(inside: int, outside: int, kernel: int, stride: int) -> list[nn.Module]:
        return [nn.ConvTranspose2d(inside, outside, kernel, stride, 1), nn.LeakyReLU(0.2)]

    return nn.Sequential(
        *down(3, 32, 4, 2),
        *down(32, 32, 4, 2),
        *down(32, 64, 4, 2),
        *down(64, 128, 4, 2),
        *down(128, 64, 3, 1),
        nn.Conv2d(64, 100, 8),
        nn.ConvTranspose2d(100, 64, 8),
        nn.LeakyReLU(0.2),
        *up(64, 128, 3, 1),
        *up(128, 64, 4, 2),
        *up(64, 32, 4, 2),
        *up(32, 32, 4, 2),
        nn.ConvTranspose2d(32, 3, 4, 2, 1),
        nn.Sigmoid(),
    )


def _padded(image: U8) -> U8:
    """uint8 (h, w, 3), at least a patch across and down, by its mirror image."""
    color = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    missing = [max(_SIDE - length, 0) for length in image.shape[:2]]
    return np.pad(
        color, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="reflect" if min(image.shape[:2]) > 1 else "edge"
    )


def _patch(images: Sequence[U8], turned: bool, random: np.random.Generator) -> U8:
    image = images[int(random.integers(len(images)))]
    y, x = (int(random.integers(length - _SIDE + 1)) for length in image.shape[:2])
    patch = image[y : y + _SIDE, x : x + _SIDE]
    if turned:
        patch = np.rot90(patch, int(random.integers(4)))
        patch = patch[:, ::-1] if random.integers(2) else patch
    return patch


def _to_tensor(patches: U8, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(patches)).to(device).permute(0, 3, 1, 2).float() / 255


def _starts(length: int) -> list[int]:
    return [*range(0, length - _SIDE, _HOP), length - _SIDE]
