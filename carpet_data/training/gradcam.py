"""Grad-CAM: where in an image a network saw the class that it named (Selvaraju et al., ICCV 2017)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from carpet_data.errors import UsageError
from carpet_data.networks import Network
from carpet_data.networks.devices import memory_guard

__all__ = ["heat", "overlay"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

_STRONGEST = 0.5
"""Share of the color where the heat is 1; the image shows through even there."""
_HOTTEST = 228
"""Place in the color table of 256; beyond, its red turns dark and would hide the defect."""


def heat(
    network: Network,
    pixels: U8,
    targets: NDArray[np.int64],
    *,
    device: torch.device | None = None,
    batch_size: int = 16,
) -> F32:
    """Where the evidence for a class lies in each image.

    The channels of the last spatial map are weighted by the mean gradient of the class's logit, added up and cut at 0.
    A vision transformer has no such map: there it is the patches that enter its last block.

    The network may be in any mode, frozen or not; it is moved to the device (None for where it is) and otherwise
    unchanged. Pixels are uint8 (n, s, s, 3) RGB; targets, int64 (n,), are the class of interest of each image.

    Returns:
        float32 (n, s, s) in [0, 1]: 1 at an image's strongest place; all 0 where nothing speaks for the class.

    Raises:
        UsageError: The images are too small for the network.
        DeviceMemoryError: A batch does not fit into memory.
    """
    device = network.head.weight.device if device is None else device
    training = network.training
    network.to(device).eval()
    size = pixels.shape[1]
    found = np.zeros(pixels.shape[:3], np.float32)
    try:
        with memory_guard(batch_size, device, size=size), torch.enable_grad():
            for start in range(0, len(pixels), batch_size):
                rows = slice(start, start + batch_size)
                maps = _maps(network, pixels[rows], targets[rows])
                # Cubic, or the few cells of the map show as a grid of kinks; what overshoots below 0 is cut.
                maps = nn.functional.interpolate(maps[:, None], (size, size), mode="bicubic")[:, 0].clamp_min(0)
                peak = maps.amax(dim=(1, 2), keepdim=True)
                found[rows] = torch.where(peak > 0, maps / peak, 0.0).cpu().numpy()
    finally:
        network.train(training)
    return found


def _maps(network: Network, pixels: U8, targets: NDArray[np.int64]) -> torch.Tensor:
    """float32 (n, h, w): the class map of each image at the size of the last feature map."""
    with _leaves(network) as leaves:
        logits = network(network.prepare(pixels))
    wanted = logits.gather(1, torch.from_numpy(np.asarray(targets, np.int64)).to(logits.device)[:, None])
    (gradient,) = torch.autograd.grad(wanted.sum(), leaves)
    features = leaves[0].detach()
    if features.ndim == 3:
        side = round((features.shape[1] - 1) ** 0.5)
        shape = (len(features), side, side, features.shape[2])
        features = features[:, 1:].reshape(shape).permute(0, 3, 1, 2)
        gradient = gradient[:, 1:].reshape(shape).permute(0, 3, 1, 2)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return (weights * features).sum(dim=1).clamp_min(0).float()


@contextmanager
def _leaves(network: Network) -> Iterator[list[torch.Tensor]]:
    """Cuts the graph at the last map, so that a frozen body has a gradient there and no other is computed."""
    module = network.last_map or network.last_tokens
    if module is None:
        raise UsageError(f"{network.architecture} has no feature map for heat maps", hint="use another network")
    leaves: list[torch.Tensor] = []

    def cut(module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
        leaf = output.detach().requires_grad_()
        leaves.append(leaf)
        # A copy is passed on: what follows may write in place, which a leaf forbids.
        return leaf.clone()

    hook = module.register_forward_hook(cut)
    try:
        yield leaves
    finally:
        hook.remove()


def overlay(pixels: U8, warmth: F32) -> U8:
    """Heat, float32 (s, s) in [0, 1], laid over an image, uint8 (s, s, 3) RGB; without heat the image is unchanged."""
    colors = cv2.applyColorMap(np.rint(warmth * _HOTTEST).astype(np.uint8), cv2.COLORMAP_TURBO)[:, :, ::-1]
    share = (_STRONGEST * np.sqrt(warmth))[:, :, None]
    return np.rint(pixels * (1 - share) + colors * share).astype(np.uint8)
