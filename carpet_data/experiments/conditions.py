"""Conditions: what a classifier is trained on and how, all else being equal. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from carpet_data.errors import UsageError
from carpet_data.training.dense.options import DenseOptions
from carpet_data.training.options import TrainOptions

__all__ = [
    "BASELINE",
    "BASELINE_DENSE",
    "BASELINE_TRAINING",
    "METHODS",
    "REAL_ONLY",
    "SYNTHETIC",
    "Condition",
    "method_condition",
    "standard",
]

BASELINE_TRAINING = TrainOptions(
    optimizer="adamw",
    learning_rate=0.001,
    weight_decay=0.1,
    standardize=True,
    batch_size=64,
    augment="strong",
    views=4,
    resize=320,
    sampling="balanced",
    synthetic_share=0.5,
    schedule="cosine",
    steps=400,
    monitor="balanced-accuracy",
)
"""How every condition is trained by default; augmentation and sampling are the baseline's."""

BASELINE_DENSE = DenseOptions()
"""How the dense head is trained by default: as `train` does."""

REAL_ONLY = "real-only"
BASELINE = "real + augmentation + balancing"
SYNTHETIC = "synthetic"
"""The name of a data set's own synthetic images."""

_AS_THEY_ARE: Mapping[str, Any] = {"sampling": "instance", "good_share": None, "synthetic_share": None}

METHODS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "effective-number": (
        "loss weighted by the effective number of images (Cui et al. 2019)",
        {"loss": "effective-number", **_AS_THEY_ARE},
    ),
    "logit-adjusted": (
        "logits adjusted by the classes' frequencies (Menon et al. 2021)",
        {"loss": "logit-adjusted", **_AS_THEY_ARE},
    ),
    "mixup": ("mixup (Zhang et al. 2018) on balanced batches", {"mix": "mixup"}),
    "crt": ("head retrained on balanced batches (cRT, Kang et al. 2020)", {"retrain_head": True}),
    "lmr": ("Long-Tail Mixed Reconstruction (Perrett et al. 2023)", {"lmr": True}),
}
"""Methods for a long tail without synthetic images: name -> (description, changed settings).

The losses correct for the class frequencies themselves, so they see the images as they are; correcting by sampling too
would do it twice.
"""


@dataclass(frozen=True, slots=True)
class Condition:
    """One way to train.

    Attributes:
        name: Unique in an experiment.
        settings: Of the training; the seed is that of each repeat.
        real_defects: Whether it trains on real defect images; on real good images it always does.
        pool: The synthetic images it trains on, by the name that the partitions give them; None for none.
        only: Partition -> ids of the samples to train on; all in a partition that is not named. For protocols that
            vary the number of images.
        description: One sentence.
        dense: How the dense head is trained on the same images; None where it takes no part.
    """

    name: str
    settings: TrainOptions = BASELINE_TRAINING
    real_defects: bool = True
    pool: str | None = None
    only: Mapping[str, frozenset[str]] = field(default_factory=dict)
    description: str = ""
    dense: DenseOptions | None = None

    def described(self, learner: str) -> str:
        """The condition in one sentence, as it is for a kind of model."""
        if learner != "dense" or self.dense is None:
            return self.description
        made = f"{'' if self.real_defects else 'real good images, '}synthetic images" if self.pool else ""
        images = "real images" if self.real_defects else ""
        shown = " and ".join(each for each in (images, made) if each)
        return f"{shown}, as they are" if self.dense.views == 1 else f"{shown}, flipped and turned"


def standard(
    settings: TrainOptions = BASELINE_TRAINING,
    *,
    pools: Sequence[str] = (SYNTHETIC,),
    methods: Sequence[str] = (),
    dense: DenseOptions | None = None,
) -> tuple[Condition, ...]:
    """The conditions that are always compared: real-only, the baseline, and two for each set of synthetic images.

    Between the baseline, which has these settings, and `real + POOL` the synthetic images are the only difference.
    Each of `methods`, names of METHODS, is an additional condition on real images, of the whole-image classifier only.
    With `dense` every other condition says how the dense head is trained, too: the baseline so, real-only without
    flips and turns.

    Raises:
        UsageError: An unknown method, or a duplicate name.
    """
    plain = settings.but(augment="none", views=None, **_AS_THEY_ARE)
    found = [
        Condition(
            REAL_ONLY,
            plain,
            description="real images as they are, no augmentation, no balancing",
            dense=None if dense is None else dense.but(views=1),
        ),
        Condition(
            BASELINE,
            settings,
            dense=dense,
            description=f"real images, augmentation {settings.augment}, {settings.sampling} sampling",
        ),
        *(method_condition(name, settings) for name in methods),
    ]
    for pool in pools:
        found += _of_pool(pool, settings, dense)
    names = [condition.name for condition in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"duplicate condition {twice[0]!r}", hint="name each recipe and method once")
    return tuple(found)


def _of_pool(pool: str, settings: TrainOptions, dense: DenseOptions | None) -> tuple[Condition, Condition]:
    """The two conditions of a set of synthetic images: alone, and with the real ones."""
    only = "synthetic defects, real good images; otherwise as the baseline"
    both = "as the baseline, with the synthetic images"
    return (
        Condition(f"{pool}-only", settings, real_defects=False, pool=pool, dense=dense, description=only),
        Condition(f"real + {pool}", settings, pool=pool, dense=dense, description=both),
    )


def method_condition(name: str, settings: TrainOptions = BASELINE_TRAINING) -> Condition:
    """The condition of a long-tail method that needs no synthetic images.

    Raises:
        UsageError: The name is not one of METHODS.
    """
    if name not in METHODS:
        raise UsageError(f"unknown method {name!r}", hint=f"use one of: {', '.join(METHODS)}")
    description, changes = METHODS[name]
    return Condition(f"real + {name}", settings.but(**changes), description=f"real images; {description}")
