"""The head: a linear or two-layer function of each cell, trained on cells that were drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from carpet_data.core.seeds import generator
from carpet_data.errors import DataError
from carpet_data.networks.devices import one_thread
from carpet_data.training.dense.cells import CellTable
from carpet_data.training.dense.options import DenseOptions

__all__ = ["CellHead", "CellHeads", "fit_cells"]

F32 = NDArray[np.float32]
_SMALLEST_DEVIATION = 1e-3
_MOMENT_CELLS = 50_000
_NEVER = -1e3
"""The logit of a class that no training cell shows."""


@dataclass(frozen=True, slots=True, eq=False)
class CellHead:
    """A function of one cell: features -> a logit for each class, background first.

    Attributes:
        layers: (weight float32 (out, in), bias float32 (out,)) of each layer, with a GELU between two. The first one
            takes features as they are: their standardization is part of it.
    """

    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]

    @property
    def classes(self) -> int:
        """Number of logits."""
        return len(self.layers[-1][1])

    @property
    def channels(self) -> int:
        """Number of features."""
        return int(self.layers[0][0].shape[1])

    def of(self, values: torch.Tensor) -> torch.Tensor:
        """The logits of cells: float32 (…, channels, n) -> float32 (…, classes, n)."""
        for number, (weight, bias) in enumerate(self.layers):
            values = weight @ (functional.gelu(values) if number else values) + bias[:, None]
        return values


@dataclass(frozen=True, slots=True, eq=False)
class CellHeads:
    """Heads that were trained apart, whose logits are averaged; each takes the first channels of the same map.

    A head on coarse maps too knows more of the surroundings: it tells types better, one without them places better.

    Attributes:
        heads: At least one.
    """

    heads: tuple[CellHead, ...]

    @property
    def classes(self) -> int:
        """Number of logits."""
        return self.heads[0].classes

    @property
    def channels(self) -> int:
        """Number of features of a cell, of which some heads leave out the last ones."""
        return max(head.channels for head in self.heads)

    def logits(self, maps: NDArray[np.float16]) -> F32:
        """The logits of a map: float16 (channels, rows, columns) -> float32 (classes, rows, columns)."""
        device = self.heads[0].layers[0][0].device
        with torch.inference_mode():
            values = self.of(torch.from_numpy(np.ascontiguousarray(maps)).to(device).flatten(1).float())
        return np.asarray(values.reshape(-1, *maps.shape[1:]).cpu().numpy(), np.float32)

    def of(self, values: torch.Tensor) -> torch.Tensor:
        """The logits of cells: float32 (…, channels, n) -> float32 (…, classes, n)."""
        return torch.stack([head.of(values[..., : head.channels, :]) for head in self.heads]).mean(0)


def fit_cells(
    table: CellTable,
    classes: int,
    options: DenseOptions,
    *,
    seed: int,
    device: torch.device,
    rows: torch.Tensor | None = None,
    widths: Sequence[int] | None = None,
) -> CellHeads:
    """Train heads on cells by cross-entropy (AdamW, Loshchilov and Hutter 2019, along a cosine).

    Every class is drawn alike, the background `options.background` times as often as all of them together; within a
    class a cell is drawn by the weight of its sample. Features are standardized by the real cells alone, so that
    synthetic images do not move the scale on which real ones are judged.

    Args:
        table: The cells; some of them are of the background.
        classes: Number of classes, background included.
        options: Settled ones.
        seed: Of the heads and of the order.
        device: Where to train.
        rows: bool (n,), the cells to train on; None for all.
        widths: Of each head, how many features it takes, from the first one on; None for one head that takes all.

    Raises:
        DataError: No cell is of the background, or none of a defect; or the training diverged.
    """
    used = np.ones(len(table), np.bool_) if rows is None else rows.numpy()
    places = _order(_chances(table, used, classes, options), options, seed)
    mean, deviation = _moments(table, used, seed)
    features = table.features.to(device)
    labels = table.labels.to(device)
    shift, scale = mean.to(device), (1 / deviation).to(device)
    counts = (features.shape[1],) if widths is None else tuple(widths)
    heads = [_start(count, classes, options, seed, device) for count in counts]
    parameters = [tensor for layers in heads for layer in layers for tensor in layer]
    optimizer = torch.optim.AdamW(parameters, lr=options.learning_rate, weight_decay=options.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    dropout = _Dropout(options, seed, device)
    half = _fast_bfloat16(device)
    loss = torch.zeros(())
    # A step of a linear head is so small that threads would mostly wait for each other.
    with one_thread(None if options.hidden else device):
        for chosen in places.to(device):
            x = features[chosen].float().sub_(shift).mul_(scale)
            factors = dropout.drawn()
            # The heads share no parameter, so each is trained as it would be alone.
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                outputs = [_forward(layers, x[:, :count], factors) for layers, count in zip(heads, counts, strict=True)]
            loss = torch.stack([functional.cross_entropy(output.float(), labels[chosen]) for output in outputs]).sum()
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    if not bool(torch.isfinite(loss)):
        raise DataError("the training of the dense head diverged", hint="use a smaller --lr, such as 0.001")
    seen = torch.from_numpy(np.bincount(table.labels.numpy()[used], minlength=classes) > 0).to(device)
    return CellHeads(
        tuple(_folded(layers, shift[:count], scale[:count], seen) for layers, count in zip(heads, counts, strict=True))
    )


def _fast_bfloat16(device: torch.device) -> bool:
    """Whether a CPU multiplies matrices in bfloat16: steps take a quarter less then.

    Parameters stay float32. Pixel AP of real carpets was the same to 0.001; two seeds differ by more.
    """
    # Older versions of torch cannot tell.
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and any(known.get(name) for name in ("avx512_bf16", "amx_bf16"))


def _order(chances: NDArray[np.float64], options: DenseOptions, seed: int) -> torch.Tensor:
    """The cells of each step, int64 (steps, cells), drawn by their chances."""
    total = np.cumsum(chances)
    drawn = generator(seed, "cells of a step").random((options.steps, options.batch_cells)) * total[-1]
    places = np.searchsorted(total, drawn.ravel(), side="right").reshape(drawn.shape)
    return torch.from_numpy(np.minimum(places, len(total) - 1))


def _chances(table: CellTable, used: NDArray[np.bool_], classes: int, options: DenseOptions) -> NDArray[np.float64]:
    """How often each cell is drawn."""
    labels = table.labels.numpy()
    weights = _balanced_origins(table, used, options.synthetic_weight)
    sums = np.bincount(labels, weights, minlength=classes)
    if not sums[0]:
        raise DataError(
            "no background to train on: every cell of every training image is defect",
            hint="add good images, or use a larger --scale",
        )
    shown = int(np.count_nonzero(sums[1:]))
    if not shown:
        raise DataError("no defect to train on: no training image has a mask", hint="add masks")
    assert options.background is not None, "settled"
    shares = np.full(classes, 1.0)
    shares[0] = options.background * shown
    return np.asarray(weights * (shares / np.where(sums > 0, sums, 1))[labels])


def _balanced_origins(table: CellTable, used: NDArray[np.bool_], synthetic: float) -> NDArray[np.float64]:
    """Weights of cells such that in each class the synthetic ones weigh `synthetic` times as much as the real ones."""
    labels, real = table.labels.numpy(), table.real.numpy()
    weights = table.weights.numpy().astype(np.float64) * used
    if real.all():
        return weights
    count = int(labels.max(initial=0)) + 1
    of_real = np.bincount(labels[real], weights[real], minlength=count)
    of_made = np.bincount(labels[~real], weights[~real], minlength=count)
    both = (of_real > 0) & (of_made > 0)
    factor = np.where(both, synthetic * of_real / np.where(of_made > 0, of_made, 1), 1.0)
    return np.where(real, weights, weights * factor[labels])


def _moments(table: CellTable, used: NDArray[np.bool_], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each channel over real cells; over synthetic ones where none is real."""
    real = used & table.real.numpy()
    rows = np.flatnonzero(real if real.any() else used)
    if len(rows) > _MOMENT_CELLS:
        rows = generator(seed, "moments").choice(rows, _MOMENT_CELLS, replace=False)
    chosen = table.features[torch.from_numpy(rows)].float()
    return chosen.mean(0), chosen.std(0, correction=0) + _SMALLEST_DEVIATION


def _start(
    channels: int, classes: int, options: DenseOptions, seed: int, device: torch.device
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Layers to train: a linear head starts at zero, a hidden layer at random (He et al. 2015)."""
    sizes = (channels, options.hidden, classes) if options.hidden else (channels, classes)
    rng = generator(seed, "head")
    layers = []
    for number, (inner, outer) in enumerate(pairwise(sizes)):
        last = number == len(sizes) - 2
        spread = 0.0 if last else (2 / inner) ** 0.5
        weight = torch.from_numpy(rng.normal(0, 1, (outer, inner)).astype(np.float32) * spread).to(device)
        layers.append((weight.requires_grad_(), torch.zeros(outer, device=device, requires_grad=True)))
    return layers


class _Dropout:
    """Says which hidden units are left out at random (Srivastava et al. 2014), from a generator of its own."""

    def __init__(self, options: DenseOptions, seed: int, device: torch.device) -> None:
        self._share = options.dropout if options.hidden else 0.0
        self._shape = (options.batch_cells, options.hidden)
        self._rng = torch.Generator(device=device).manual_seed(int(generator(seed, "dropout").integers(2**62)))

    def drawn(self) -> torch.Tensor | None:
        """The factors of the hidden units of a step, 0 for those that are left out; None where none are."""
        if not self._share:
            return None
        draws = torch.rand(self._shape, generator=self._rng, device=self._rng.device)
        return (draws >= self._share).float().div_(1 - self._share)


def _forward(
    layers: list[tuple[torch.Tensor, torch.Tensor]], x: torch.Tensor, factors: torch.Tensor | None
) -> torch.Tensor:
    for number, (weight, bias) in enumerate(layers):
        if number:
            x = functional.gelu(x) if factors is None else functional.gelu(x) * factors
        x = functional.linear(x, weight, bias)
    return x


def _folded(
    layers: list[tuple[torch.Tensor, torch.Tensor]], shift: torch.Tensor, scale: torch.Tensor, seen: torch.Tensor
) -> CellHead:
    """The layers with the standardization multiplied into the first; a class without cells is never predicted."""
    (weight, bias), *others = [(weight.detach(), bias.detach()) for weight, bias in layers]
    folded = [(weight * scale, bias - (weight * scale) @ shift), *others]
    weight, bias = folded[-1]
    never = torch.full_like(bias, _NEVER)
    folded[-1] = weight * seen[:, None], torch.where(seen, bias, never)
    return CellHead(tuple(folded))
