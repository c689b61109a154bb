"""How a classifier is trained: every choice in one frozen document. No torch here."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, TypeAlias, get_args

from carpet_data.errors import UsageError

__all__ = ["LOSSES", "MIXES", "MONITORS", "OPTIMIZERS", "SAMPLINGS", "SCHEDULES", "Settings"]

Optimizer: TypeAlias = Literal["sgd", "adam", "adamw"]
Schedule: TypeAlias = Literal["constant", "cosine", "step"]
Sampling: TypeAlias = Literal["instance", "balanced", "sqrt"]
LossName: TypeAlias = Literal["cross-entropy", "effective-number", "logit-adjusted"]
Mix: TypeAlias = Literal["none", "mixup", "cutmix", "mask-cutmix"]
Monitor: TypeAlias = Literal["loss", "balanced-accuracy"]
PoolingName: TypeAlias = Literal["mean", "mean+max"]

OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)
LOSSES: tuple[LossName, ...] = get_args(LossName)
MIXES: tuple[Mix, ...] = get_args(Mix)
MONITORS: tuple[Monitor, ...] = get_args(Monitor)
POOLINGS: tuple[PoolingName, ...] = get_args(PoolingName)

_CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "sampling": SAMPLINGS,
    "loss": LOSSES,
    "mix": MIXES,
    "monitor": MONITORS,
    "pooling": POOLINGS,
}
_AT_LEAST: dict[str, float] = {
    "resize": 8,
    "epochs": 1,
    "steps": 1,
    "batch_size": 1,
    "views": 1,
    "patience": 1,
    "few_shot": 1,
    "seed": 0,
    "weight_decay": 0,
}
_WHOLE = frozenset({"resize", "epochs", "steps", "batch_size", "views", "patience", "few_shot", "seed"})
_OPTIONAL = frozenset({"steps", "views", "patience", "good_share", "synthetic_share"})
_SHARES = frozenset({"good_share", "synthetic_share"})
_NUMBERS = frozenset({"learning_rate", "weight_decay", "momentum", "label_smoothing", "mix_alpha", *_SHARES})
_FLAGS = frozenset({"standardise", "retrain_head", "lmr", "amp"})
_AUGMENTED_VIEWS = 8
_LARGEST_RATE = 1e30
"""Beyond it a step is no number of 32 bits any more, which torch says in words of its own."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a classifier is trained.

    Attributes:
        architecture: A network's name; "auto" for the first whose weights are here.
        weights: "auto", "none", a name, or a path.
        pooling: How the last map becomes features: "mean" or "mean+max".
        resize: Images are resized to resize × resize pixels.
        epochs: Passes over the train images.
        steps: Optimiser steps; overrides `epochs` where given, so that data sets of unequal size train equally long.
        learning_rate: At the start.
        optimizer: "sgd", "adam" (Kingma and Ba 2015) or "adamw" (Loshchilov and Hutter 2019).
        schedule: Of the learning rate, see `schedules`.
        weight_decay: Of the optimiser.
        momentum: Of sgd.
        freeze: "backbone" (only the head learns, on features computed once), "none", or "until STAGE".
        batch_size: Images a step.
        augment: "none", "light", "strong", or the file of a recipe of the method `augment`.
        views: With a frozen backbone: augmented versions of each image; None for 1 without augmentation, else 8.
        sampling: "instance" (each image once an epoch), "balanced" (classes equally often) or "sqrt", see `sampling`.
        good_share: Of the draws, with "balanced" or "sqrt" sampling; None to treat `good` as any class.
        synthetic_share: Of the draws of a defect class that has real and synthetic images, likewise; None for what the
            counts say.
        loss: "cross-entropy", "effective-number" or "logit-adjusted", see `losses`.
        label_smoothing: Share of the label spread over all classes (Szegedy et al. 2016), 0 … < 1.
        mix: "none", "mixup", "cutmix" or "mask-cutmix", see `mixing`.
        mix_alpha: Of the Beta distribution that mixup and CutMix draw from, above 0.
        standardise: With a frozen backbone: train the head on features of mean 0 and deviation 1, beginning from zero.
        retrain_head: cRT (Kang et al. 2020): the head is trained anew on class-balanced batches, the backbone frozen.
        lmr: As retrain_head, on features mixed by LMR (Perrett et al. 2023), see `lmr`.
        few_shot: A class of at most this many train images counts as few-shot for LMR.
        patience: Epochs without a better val figure after which training ends; None to train to the end.
        monitor: The val figure that chooses the best epoch: "loss" or "balanced-accuracy".
        seed: Of the head, the order, the augmentation and the mixing.
        device: "auto", "cpu", "cuda", …
        amp: Mixed precision; only on a GPU.
    """

    architecture: str = "auto"
    weights: str = "auto"
    pooling: PoolingName = "mean"
    resize: int = 224
    epochs: int = 100
    steps: int | None = None
    learning_rate: float = 0.001
    optimizer: Optimizer = "adam"
    schedule: Schedule = "constant"
    weight_decay: float = 0.0
    momentum: float = 0.9
    freeze: str = "backbone"
    batch_size: int = 32
    augment: str = "none"
    views: int | None = None
    sampling: Sampling = "instance"
    good_share: float | None = None
    synthetic_share: float | None = None
    loss: LossName = "cross-entropy"
    label_smoothing: float = 0.0
    mix: Mix = "none"
    mix_alpha: float = 1.0
    standardise: bool = False
    retrain_head: bool = False
    lmr: bool = False
    few_shot: int = 20
    patience: int | None = None
    monitor: Monitor = "loss"
    seed: int = 0
    device: str = "auto"
    amp: bool = True

    def __post_init__(self) -> None:
        """Refuse values that make no sense.

        Raises:
            UsageError: The first of them is named.
        """
        for each in fields(self):
            _check(each.name, getattr(self, each.name))
        if not self.frozen and self.batch_size < 2:
            raise UsageError(
                "a batch of one image has no statistics for batch normalisation",
                hint="use --batch-size 2 or more, or --freeze backbone",
            )
        shares = sorted(name for name in _SHARES if getattr(self, name) is not None)
        if shares and self.sampling == "instance":
            raise UsageError(
                f"{shares[0].replace('_', ' ')} says how often images are drawn, but each is drawn once an epoch",
                hint="use --sampling balanced (or sqrt) with it",
            )
        if self.frozen and self.mix in ("cutmix", "mask-cutmix"):
            raise UsageError(
                f"{self.mix} cuts images, but with a frozen backbone only features are trained on",
                hint="use --freeze none (or until STAGE), or --mix mixup, which mixes features too",
            )

    @property
    def frozen(self) -> bool:
        """Whether only the head learns."""
        return self.freeze == "backbone"

    @property
    def number_of_views(self) -> int:
        """How many views of each image a frozen backbone sees."""
        if self.augment == "none":
            return 1
        return _AUGMENTED_VIEWS if self.views is None else self.views

    def but(self, **changes: Any) -> Settings:
        """These settings with some changed."""
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """The settings as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Settings:
        """Settings from plain values; what is left out has its default.

        Raises:
            UsageError: A name is unknown, or a value makes no sense.
        """
        known = {each.name for each in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            import difflib

            near = difflib.get_close_matches(unknown[0], known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"use: {', '.join(sorted(known))}"
            raise UsageError(f"no setting is called {unknown[0]!r}", hint=hint)
        return cls(**values)

    def digest(self) -> str:
        """A hex digest of what decides the result; the device is left out, so that a run may move."""
        values = {name: value for name, value in self.to_json().items() if name != "device"}
        return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _check(name: str, value: Any) -> None:
    if value is None and name in _OPTIONAL:
        return
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise _wrong(name, value, f"use one of: {', '.join(_CHOICES[name])}")
    elif name in _FLAGS:
        if not isinstance(value, bool):
            raise _wrong(name, value, "use true or false")
    elif name in _WHOLE:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(name, value, "give a whole number")
    elif name in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise _wrong(name, value, "give a number")
    elif not isinstance(value, str) or not value:
        raise _wrong(name, value, "give a text")
    if name in _AT_LEAST and value < _AT_LEAST[name]:
        raise _wrong(name, value, f"give {_AT_LEAST[name]:g} or more")
    if name in ("learning_rate", "mix_alpha") and value <= 0:
        raise _wrong(name, value, "give a number above 0")
    if name == "learning_rate" and value > _LARGEST_RATE:
        raise _wrong(name, value, "give a small number, such as 0.001")
    if name in _SHARES and not 0 < value < 1:
        raise _wrong(name, value, "give a number between 0 and 1")
    if name in ("momentum", "label_smoothing") and not 0 <= value < 1:
        raise _wrong(name, value, "give a number from 0 to below 1")


def _wrong(name: str, value: Any, hint: str) -> UsageError:
    return UsageError(f"{name.replace('_', ' ')} cannot be {value!r}", hint=hint)
