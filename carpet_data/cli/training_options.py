"""The options that say how a classifier is trained, and the progress of a training."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from carpet_data.cli.common import seed_option
from carpet_data.training.settings import LOSSES, MIXES, MONITORS, OPTIMIZERS, POOLINGS, SAMPLINGS, SCHEDULES, Settings

if TYPE_CHECKING:
    pass

F = TypeVar("F", bound=Callable[..., Any])

_DEFAULTS = Settings()


def _choice(flag: str, name: str, values: tuple[str, ...], help: str) -> Callable[[F], F]:
    return click.option(
        flag, name, type=click.Choice(values), default=getattr(_DEFAULTS, name), show_default=True, help=help
    )


def _number(flag: str, name: str, kind: Any, help: str) -> Callable[[F], F]:
    return click.option(flag, name, type=kind, default=getattr(_DEFAULTS, name), show_default=True, help=help)


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--arch",
        "architecture",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="A classifier of torchvision, or efficientnet_lite0; auto takes what has weights here.",
    ),
    click.option(
        "--weights",
        default="auto",
        show_default=True,
        metavar="NAME|PATH",
        help="auto (what is here), none (random), torchvision's name, a file, or the folder of a trained model.",
    ),
    _choice("--pooling", "pooling", POOLINGS, "How the last map becomes features."),
    _number("--resize", "resize", click.IntRange(min=8), "Images are resized to this many pixels square."),
    _number("--epochs", "epochs", click.IntRange(min=1), "Passes over the train images."),
    click.option("--steps", type=click.IntRange(min=1), default=None, help="Optimiser steps, in place of --epochs."),
    _number("--lr", "learning_rate", float, "Learning rate at the start."),
    _choice("--optimizer", "optimizer", OPTIMIZERS, "What takes the steps."),
    _choice("--schedule", "schedule", SCHEDULES, "How the learning rate falls."),
    _number("--weight-decay", "weight_decay", float, "Of the optimizer."),
    _number("--momentum", "momentum", float, "Of sgd."),
    click.option(
        "--freeze",
        default=_DEFAULTS.freeze,
        show_default=True,
        metavar="WHAT",
        help="backbone (only the head learns: seconds), none, or 'until STAGE', such as 'until layer3'.",
    ),
    _number("--batch-size", "batch_size", click.IntRange(min=1), "Images a step."),
    click.option(
        "--augment",
        default=_DEFAULTS.augment,
        show_default=True,
        metavar="RECIPE",
        help="none, light, strong, or a recipe of the method augment.",
    ),
    click.option(
        "--views",
        type=click.IntRange(min=1),
        default=None,
        help="Augmented versions of each image with a frozen backbone.  [default: 1, with --augment 8]",
    ),
    _choice("--sampling", "sampling", SAMPLINGS, "Which images a batch draws: as they are, classes alike, by √n."),
    click.option(
        "--good-share",
        type=float,
        default=None,
        help="Share of good images in what is drawn, with --sampling balanced or sqrt.  [default: as any class]",
    ),
    click.option(
        "--synthetic-share",
        type=float,
        default=None,
        help="Share of synthetic images in what is drawn of a defect class, likewise.  [default: as many as there are]",
    ),
    _choice("--loss", "loss", LOSSES, "What is minimised."),
    _number("--label-smoothing", "label_smoothing", float, "Share of a label spread over all classes."),
    _choice("--mix", "mix", MIXES, "Mix pairs of images; mask-cutmix pastes whole defects."),
    _number("--mix-alpha", "mix_alpha", float, "Of the Beta distribution of mixup and CutMix."),
    click.option("--standardise", is_flag=True, help="With a frozen backbone: features of mean 0, deviation 1."),
    click.option("--crt", "retrain_head", is_flag=True, help="Train the head anew on class-balanced batches (cRT)."),
    click.option("--lmr", is_flag=True, help="The same on features mixed by Long-Tail Mixed Reconstruction."),
    _number("--few-shot", "few_shot", click.IntRange(min=1), "For LMR: most train images of a few-shot class."),
    click.option(
        "--patience",
        type=click.IntRange(min=1),
        default=None,
        help="Stop after this many epochs without a better val figure.  [default: never]",
    ),
    _choice("--monitor", "monitor", MONITORS, "The val figure that chooses the epoch."),
    seed_option,
    click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:1, mps."),
    click.option("--amp/--no-amp", default=True, show_default=True, help="Mixed precision on a GPU."),
)
SETTING_NAMES = tuple(_DEFAULTS.to_json())


def training_options(command: F) -> F:
    """How to train: passed to the command under the names of `Settings`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_settings(values: dict[str, Any]) -> Settings:
    """The Settings among a command's parameters; they are removed from `values`.

    Raises:
        UsageError: They exclude each other.
    """
    return Settings(**{name: values.pop(name) for name in SETTING_NAMES})
