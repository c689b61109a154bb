"""A network as a body that makes features and a linear head that classifies them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from carpet_data.errors import DataError, UsageError, WeightsError
from carpet_data.networks import catalog, model_folder, state_dicts
from carpet_data.networks.catalog import Body, Input
from carpet_data.networks.weights import Weights, find_weights

__all__ = ["POOLINGS", "Network", "Pooling", "build", "check_use", "fresh_head", "load_model"]

Pooling: TypeAlias = Literal["mean", "mean+max"]
POOLINGS: tuple[Pooling, ...] = ("mean", "mean+max")

_OPENED = ("features", "layers", "blocks", "encoder", "encoder.layers", "trunk_output", "classifier")
"""Containers whose children are stages; any other module below the top is one stage as a whole."""
_HEAD_KEY = 1
"""Keeps the seeds of the head apart from those of the body, so that a head does not depend on the body's size."""


class Network(nn.Module):
    """A body without its classifier, and a linear head of our classes.

    Attributes:
        weights: What the body was loaded from.
        body: (n, 3, h, w) -> (n, d).
        head: Linear, feature_size -> classes.
        pooling: "mean" is the features as the network makes them; "mean+max" adds the maximum of each channel of the
            last map, in which a small defect does not vanish as it does in the mean.
        expected: The size of its images, and mean and standard deviation of each channel, by which `prepare` normalizes
            values in [0, 1].
        stages: The names of the parts of the body, early to late, for `freeze`.
    """

    def __init__(self, weights: Weights, body: Body, *, classes: int, seed: int, pooling: Pooling) -> None:
        super().__init__()
        self.architecture = weights.architecture
        self.weights = weights
        self.body = body.module
        self.pooling: Pooling = pooling
        self.expected = body.expected
        self.mean, self.std = body.expected.mean, body.expected.std
        self.stages = tuple(_stages(body.module, ""))
        self._frozen: tuple[nn.Module, ...] = ()
        self._digest: tuple[object, str] | None = None
        self.feature_size = body.size
        if pooling == "mean+max":
            self._refuse_without_map()
            self.feature_size += catalog.shapes(body.module, body.expected)[1][1]
        self.head = fresh_head(self.feature_size, classes, seed=seed)

    @property
    def last_map(self) -> nn.Module | None:
        """The module of the body that gives the last feature map (n, c, h, w); None for a vision transformer."""
        return catalog.last_map(self.body, self.expected)

    @property
    def last_tokens(self) -> nn.Module | None:
        """Of a transformer: the module whose output (n, 1 + h·w, d), class token first, enters its last block."""
        encoder = getattr(self.body, "encoder", None)
        if encoder is None:
            return None
        norm = list(encoder.get_submodule("layers").children())[-1].get_submodule("ln_1")
        assert isinstance(norm, nn.Module)
        return norm

    def body_digest(self) -> str:
        """A hex digest of what the features depend on: the body's numbers, its normalization and pooling."""
        state = self.body.state_dict()
        # Large networks take a while; torch counts the changes of a tensor.
        versions = tuple((value.data_ptr(), value._version) for value in state.values())
        if self._digest is None or self._digest[0] != versions:
            known = [self.architecture, self.pooling, self.mean, self.std]
            digest = hashlib.sha256(json.dumps(known).encode())
            for name, tensor in state.items():
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
            self._digest = versions, digest.hexdigest()
        return self._digest[1]

    def prepare(self, pixels: NDArray[np.uint8] | torch.Tensor) -> torch.Tensor:
        """Images as the body expects them.

        Args:
            pixels: uint8 (n, h, w, 3) RGB, or (n, h, w) gray, which becomes three equal channels; an array or a tensor.

        Returns:
            float32 (n, 3, h, w) on the network's device, normalized, in the channels-last layout.

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

        Raises:
            UsageError: They are too small, or not of the network's one size.
        """
        _check_size(self.architecture, self.expected, width, height)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """The features, float (n, feature_size), of images that `prepare` made, float (n, 3, h, w)."""
        if self.pooling == "mean":
            features: torch.Tensor = self.body(x).flatten(1)
            return features
        with self._watching() as maps:
            mean = self.body(x).flatten(1)
        return torch.cat((mean, maps[-1].amax(dim=(2, 3)).to(mean.dtype)), dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits, float (n, classes), of images that `prepare` made, float (n, 3, h, w)."""
        logits: torch.Tensor = self.head(self.features(x))
        return logits

    __call__: Callable[..., torch.Tensor]

    def freeze(self, what: str) -> None:
        """Choose what trains; the head always does.

        Frozen parts also stay in eval mode when the network is put into train mode, so that the statistics of their
        batch normalization do not move and their dropout is off.

        Args:
            what: "none", "backbone" (the whole body), or "until STAGE": all stages up to and including STAGE.

        Raises:
            UsageError: The stage is unknown.
        """
        frozen = _frozen(self.architecture, self.stages, what)
        everything = what == "backbone"
        for parameter in self.body.parameters():
            parameter.requires_grad_(what == "none")
        if not everything and what != "none":
            for name in self.stages[len(frozen) :]:
                for parameter in self.body.get_submodule(name).parameters():
                    parameter.requires_grad_(True)
        self._frozen = (self.body,) if everything else tuple(self.body.get_submodule(name) for name in frozen)
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

        hook = self._refuse_without_map().register_forward_hook(keep)
        try:
            yield maps
        finally:
            hook.remove()

    def _refuse_without_map(self) -> nn.Module:
        module = self.last_map
        if module is None:
            raise UsageError(
                f"{self.architecture} has no feature map to take the maximum of",
                hint="use --pooling mean, or another network",
            )
        return module


def build(
    weights: Weights,
    *,
    classes: int,
    seed: int,
    pooling: Pooling = "mean",
    class_names: Sequence[str] | None = None,
) -> Network:
    """Build a network; the same seed gives the same head, and the same body where its weights are random.

    For `pooling` see Network. With the weights of a model folder, its head is used too where its classes are
    `class_names`, in this order, and its pooling is this one.

    Returns:
        The network on the CPU, in train mode, nothing frozen.

    Raises:
        UsageError: The network is unknown, or has no such pooling.
        WeightsError: The weights belong to another network.
        MissingExtraError: The network is built by a package that is not installed.
    """
    if classes < 1:
        raise DataError("there are no classes to distinguish", hint="use a data set with classes")
    if pooling not in POOLINGS:
        raise UsageError(f"unknown pooling {pooling!r}", hint=f"use one of: {', '.join(POOLINGS)}")
    # Layers draw from torch's one generator, so it is lent: the weights depend on the seed alone.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> 1))
        body = catalog.make(weights.architecture, weights.name)
    path = weights.path
    state = None if path is None else state_dicts.read(path)
    trained = None
    if path is not None and (path.parent / model_folder.MODEL_JSON).is_file():
        trained = model_folder.describe(path.parent)
        expected = replace(body.expected, mean=tuple(trained["mean"]), std=tuple(trained["std"]))
        body = replace(body, expected=expected)
    elif path is not None and state is not None:
        state_dicts.load_into(body, weights.architecture, state, path)
    network = Network(weights, body, classes=classes, seed=seed, pooling=pooling)
    if path is not None and state is not None and trained is not None:
        model_folder.restore(network.body, state, "body.", path)
        same_head = trained.get("kind", model_folder.CLASSIFIER) == model_folder.CLASSIFIER
        if same_head and list(class_names or ()) == trained["classes"] and trained["pooling"] == pooling:
            model_folder.restore(network.head, state, "head.", path)
    network.to(memory_format=torch.channels_last)
    return network


def load_model(path: str | os.PathLike[str]) -> tuple[Network, dict[str, Any]]:
    """Load what `save_model` wrote: from the model folder, or the run folder above it.

    Returns:
        The network on the CPU in eval mode, and the contents of model.json (`classes` among them).

    Raises:
        WeightsError: There is no model, or it is damaged.
    """
    folder = model_folder.find(path)
    if folder is None:
        raise WeightsError(
            f"no model ({model_folder.MODEL_JSON}) found", where=Path(path), hint="name a folder that `train` wrote"
        )
    known = model_folder.describe(folder)
    weights = find_weights(known["architecture"], str(folder))
    classes = [str(name) for name in known["classes"]]
    network = build(weights, classes=len(classes), seed=0, pooling=known["pooling"], class_names=classes)
    network.eval()
    return network, known


def check_use(weights: Weights, *, size: int, freeze: str) -> None:
    """Refuse, before anything is loaded, what a network could not do with images of `size` pixels a side.

    Raises:
        UsageError: The images are too small, or the stage is unknown.
    """
    plain = weights.architecture not in catalog.NETWORKS.names()
    # Without memory for its numbers a network is built in no time; a plug-in may load weights while it is built.
    with torch.device("meta" if plain else "cpu"):
        body = catalog.make(weights.architecture, weights.name)
    _check_size(weights.architecture, body.expected, size, size)
    _frozen(weights.architecture, tuple(_stages(body.module, "")), freeze)


def fresh_head(feature_size: int, classes: int, *, seed: int) -> nn.Linear:
    """A linear layer with torch's usual random weights (uniform, within 1 / sqrt(feature_size)).

    The same seed and sizes give the same layer, whatever else was drawn.
    """
    words = np.random.SeedSequence(seed, spawn_key=(_HEAD_KEY,)).generate_state(2, np.uint32)
    generator = torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)
    head: nn.Linear = nn.Linear(feature_size, classes, device="meta").to_empty(device="cpu")
    bound = feature_size**-0.5
    with torch.no_grad():
        head.weight.uniform_(-bound, bound, generator=generator)
        head.bias.uniform_(-bound, bound, generator=generator)
    return head


def _check_size(architecture: str, expected: Input, width: int, height: int) -> None:
    smallest = expected.smallest
    if expected.fixed and (width, height) != (smallest, smallest):
        raise UsageError(
            f"{architecture} takes images of {smallest}x{smallest} pixels only, not {width}x{height}",
            hint=f"use --resize {smallest}, or another network",
        )
    if min(width, height) < smallest:
        raise UsageError(
            f"images of {width}x{height} pixels are too small for {architecture}: minimum {smallest}x{smallest}",
            hint=f"use --resize {smallest} or more, or another network",
        )


def _frozen(architecture: str, stages: tuple[str, ...], what: str) -> tuple[str, ...]:
    if what in ("none", "backbone"):
        return stages if what == "backbone" else ()
    stage = what.removeprefix("until ").strip()
    if not what.startswith("until ") or stage not in stages:
        raise UsageError(
            f"invalid --freeze value {what!r} for {architecture}",
            hint=f"use none, backbone, or 'until STAGE' with one of {', '.join(stages)}",
        )
    return stages[: stages.index(stage) + 1]


def _stages(module: nn.Module, above: str) -> Iterator[str]:
    """The names of the stages of a body, in the order in which an image passes them."""
    for name, child in module.named_children():
        full = f"{above}{name}"
        if full in _OPENED and any(True for _ in child.children()):
            yield from _stages(child, f"{full}.")
        elif any(True for _ in child.parameters()):
            yield full
