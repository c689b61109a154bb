"""A network as a body that makes features and a linear head that classifies them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from carpet_data.errors import DataError, UsageError
from carpet_data.networks import catalogue, checkpoint, model_folder, parts
from carpet_data.networks.catalogue import Input
from carpet_data.networks.weights import Weights

__all__ = ["POOLINGS", "Network", "Pooling", "build", "fresh_head"]

Pooling: TypeAlias = Literal["mean", "mean+max"]
POOLINGS: tuple[Pooling, ...] = ("mean", "mean+max")

_HEAD_KEY = 1
"""Keeps the seeds of the head apart from those of the body, so that a head does not depend on the body's size."""


class Network(nn.Module):
    """A body without its classifier, and a linear head of our classes.

    Attributes:
        architecture: The name of the network.
        weights: What the body was loaded from.
        body: (n, 3, h, w) -> (n, d).
        head: Linear, feature_size -> classes.
        feature_size: Numbers an image.
        pooling: "mean" is the features as the network makes them; "mean+max" adds the maximum of each channel of the
            last map, in which a small defect does not vanish as it does in the mean.
        mean: Of each channel, of values in [0, 1], taken off by `prepare`.
        std: Of each channel, divided by.
        stages: The names of the parts of the body, early to late, for `freeze`.
    """

    def __init__(
        self,
        architecture: str,
        weights: Weights,
        body: nn.Module,
        feature_size: int,
        *,
        classes: int,
        seed: int,
        expected: Input,
        pooling: Pooling,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.weights = weights
        self.body = body
        self.pooling: Pooling = pooling
        self.expected = expected
        self.mean = expected.mean
        self.std = expected.std
        self.stages = parts.stages(body)
        self._frozen: tuple[nn.Module, ...] = ()
        if pooling == "mean+max":
            feature_size += self._channels()
        self.feature_size = feature_size
        self.head = fresh_head(feature_size, classes, seed=seed)

    @property
    def last_map(self) -> nn.Module | None:
        """The module of the body that gives the last spatial map (n, c, h, w); None where there is none."""
        return parts.last_map(self.body)

    def prepare(self, pixels: NDArray[np.uint8] | torch.Tensor) -> torch.Tensor:
        """Images as the body wants them.

        Args:
            pixels: uint8 (n, h, w, 3) RGB, or (n, h, w) grey, which becomes three equal channels; an array or a tensor.

        Returns:
            float32 (n, 3, h, w) on the network's device, normalised, in the channels-last layout.

        Raises:
            UsageError: The images are too small for the network, or not of its one size.
        """
        device = self.head.weight.device
        values = torch.from_numpy(np.array(pixels)) if isinstance(pixels, np.ndarray) else pixels
        if values.ndim == 3:
            values = values.unsqueeze(-1).expand(-1, -1, -1, 3)
        self.check_size(values.shape[2], values.shape[1])
        values = values.to(device, non_blocking=True).permute(0, 3, 1, 2).float()
        mean = torch.tensor(self.mean, device=device).view(1, 3, 1, 1) * 255
        std = torch.tensor(self.std, device=device).view(1, 3, 1, 1) * 255
        return ((values - mean) / std).contiguous(memory_format=torch.channels_last)

    def check_size(self, width: int, height: int) -> None:
        """Refuse images that the network cannot take.

        Args:
            width: Pixels across.
            height: Pixels down.

        Raises:
            UsageError: They are too small, or not of the network's one size.
        """
        least = self.expected.smallest
        if self.expected.fixed and (width, height) != (least, least):
            raise UsageError(
                f"{self.architecture} takes images of {least}x{least} pixels only, these are {width}x{height}",
                hint=f"use --resize {least}, or another architecture",
            )
        if min(width, height) < least:
            raise UsageError(
                f"{width}x{height} pixels are too few for {self.architecture}; its smallest images are {least}x{least}",
                hint=f"use --resize {least} or more, or another architecture",
            )

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """The features of images.

        Args:
            x: float (n, 3, h, w), as `prepare` gives them.

        Returns:
            float (n, feature_size).
        """
        if self.pooling == "mean":
            features: torch.Tensor = self.body(x).flatten(1)
            return features
        with self._watching() as maps:
            mean = self.body(x).flatten(1)
        return torch.cat((mean, maps[-1].amax(dim=(2, 3)).to(mean.dtype)), dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits of images.

        Args:
            x: float (n, 3, h, w), as `prepare` gives them.

        Returns:
            float (n, classes).
        """
        logits: torch.Tensor = self.head(self.features(x))
        return logits

    __call__: Callable[..., torch.Tensor]

    def freeze(self, what: str) -> None:
        """Choose what learns; the head always does.

        Frozen parts also stay in eval mode when the network is put into train mode, so that the statistics of their
        batch normalisation do not move and their dropout is off.

        Args:
            what: "none", "backbone" (the whole body), or "until STAGE": all stages up to STAGE, that one too.

        Raises:
            UsageError: There is no such stage.
        """
        stage = what.removeprefix("until ").strip()
        if what not in ("none", "backbone") and (not what.startswith("until ") or stage not in self.stages):
            raise UsageError(
                f"{self.architecture} cannot be frozen as {what!r}",
                hint=f"use none, backbone, or 'until STAGE' with one of {', '.join(self.stages)}",
            )
        for parameter in self.body.parameters():
            parameter.requires_grad_(what == "none")
        if what == "none":
            self._frozen = ()
        elif what == "backbone":
            self._frozen = (self.body,)
        else:
            last = self.stages.index(stage)
            for name in self.stages[last + 1 :]:
                for parameter in self.body.get_submodule(name).parameters():
                    parameter.requires_grad_(True)
            self._frozen = tuple(self.body.get_submodule(name) for name in self.stages[: last + 1])
        self.train(self.training)

    def train(self, mode: bool = True) -> Network:
        """Put what is not frozen into train mode, or all into eval mode."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    @contextmanager
    def _watching(self) -> Iterator[list[torch.Tensor]]:
        """Collects the last maps of what passes the body within."""
        maps: list[torch.Tensor] = []

        def keep(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:  # noqa: ARG001
            maps.append(output)

        module = self.last_map
        if module is None:
            raise UsageError(
                f"{self.architecture} has no last map to take the maximum of",
                hint="use the pooling mean, or another network",
            )
        hook = module.register_forward_hook(keep)
        try:
            yield maps
        finally:
            hook.remove()

    def _channels(self) -> int:
        """Channels of the last map, found by passing one image of zeros."""
        side = max(self.expected.smallest, 64)
        training = self.body.training
        self.body.eval()
        with self._watching() as maps, torch.inference_mode():
            self.body(torch.zeros(1, 3, side, side))
        self.body.train(training)
        return int(maps[-1].shape[1])


def build(
    architecture: str,
    weights: Weights,
    *,
    classes: int,
    seed: int,
    pooling: Pooling = "mean",
    class_names: Sequence[str] | None = None,
) -> Network:
    """Build a network; the same seed gives the same head, and the same body where its weights are random.

    Args:
        architecture: A name of `architectures()`.
        weights: As `find_weights` gives them, of the same architecture.
        classes: How many the head tells apart.
        seed: Of the random weights.
        pooling: "mean" or "mean+max", see Network.
        class_names: The names of the classes. With the weights of a model folder, its head is used too where its
            classes are these, in this order, and its pooling is this one.

    Returns:
        The network on the CPU, in train mode, nothing frozen.

    Raises:
        UsageError: There is no such network, or it has no such pooling.
        WeightsError: The weights belong to another network.
        MissingExtraError: The network is built by a package that is not installed.
    """
    if weights.architecture != architecture:
        raise UsageError(
            f"the weights are of {weights.architecture}, not of {architecture}",
            hint="choose the weights of this network",
        )
    if classes < 1:
        raise DataError("there is no class to tell apart", hint="use a data set with classes")
    if pooling not in POOLINGS:
        raise UsageError(f"unknown pooling {pooling!r}", hint=f"use one of: {', '.join(POOLINGS)}")
    classifier = _random(architecture, seed)
    expected = catalogue.input_of(architecture, weights.name)
    state = None if weights.path is None else checkpoint.read(weights.path)
    said = None if weights.path is None else _description_beside(weights.path)
    if state is not None and said is None:
        assert weights.path is not None
        checkpoint.into(classifier, architecture, state, weights.path)
    body, size = parts.split(classifier)
    if said is not None:
        expected = replace(expected, mean=tuple(said["mean"]), std=tuple(said["std"]))
    network = Network(architecture, weights, body, size, classes=classes, seed=seed, expected=expected, pooling=pooling)
    if state is not None and said is not None:
        assert weights.path is not None
        model_folder.restore(network.body, state, "body.", weights.path)
        if class_names is not None and list(class_names) == said["classes"] and said["pooling"] == pooling:
            model_folder.restore(network.head, state, "head.", weights.path)
    network.to(memory_format=torch.channels_last)
    return network


def fresh_head(feature_size: int, classes: int, *, seed: int) -> nn.Linear:
    """A linear layer with torch's usual random weights (uniform, within 1 / sqrt(feature_size)).

    Args:
        feature_size: Inputs.
        classes: Outputs.
        seed: The same seed and sizes give the same layer, whatever else was drawn.
    """
    words = np.random.SeedSequence(seed, spawn_key=(_HEAD_KEY,)).generate_state(2, np.uint32)
    generator = torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)
    head: nn.Linear = nn.Linear(feature_size, classes, device="meta").to_empty(device="cpu")
    bound = feature_size**-0.5
    with torch.no_grad():
        head.weight.uniform_(-bound, bound, generator=generator)
        head.bias.uniform_(-bound, bound, generator=generator)
    return head


def _random(architecture: str, seed: int) -> nn.Module:
    """A classifier whose weights depend on the seed alone; layers draw from torch's one generator, so it is lent."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> 1))
        return catalogue.make(architecture)


def _description_beside(path: Path) -> dict[str, Any] | None:
    return model_folder.describe(path.parent) if (path.parent / model_folder.MODEL_JSON).is_file() else None
