"""How a classifier is trained: every choice in one frozen document. No torch here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal, TypeAlias

from carpet_data.core.device_names import check_device
from carpet_data.core.options import Options, option
from carpet_data.errors import UsageError

__all__ = ["LossName", "Mix", "Monitor", "PoolingName", "Sampling", "Schedule", "TrainOptions"]

Schedule: TypeAlias = Literal["constant", "cosine", "step"]
Sampling: TypeAlias = Literal["instance", "balanced", "sqrt"]
LossName: TypeAlias = Literal["cross-entropy", "effective-number", "logit-adjusted"]
Mix: TypeAlias = Literal["none", "mixup", "cutmix", "mask-cutmix"]
Monitor: TypeAlias = Literal["loss", "balanced-accuracy"]
PoolingName: TypeAlias = Literal["mean", "mean+max"]

_AUGMENTED_VIEWS = 8


@dataclass(frozen=True, slots=True)
class TrainOptions(Options):
    """How a classifier is trained.

    Sources: Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019), label smoothing (Szegedy et al. 2016), cRT
    (Kang et al. 2020), LMR (Perrett et al. 2023); see `losses`, `mixing` and `sampling` for the others.

    Examples:
        >>> TrainOptions(augment="strong").number_of_views
        8
    """

    architecture: str = option(
        "auto",
        "Network: auto (resnet18), a classifier of torchvision, efficientnet_lite0 to 2, timm:NAME, or a plug-in.",
        flag="--arch",
        metavar="NAME",
    )
    weights: str = option(
        "auto",
        "Weights: auto (available locally, else downloaded), none (random), a name of torchvision, a file, or the "
        "folder of a trained model.",
        metavar="NAME|PATH",
    )
    pooling: PoolingName = option("mean", "Pooling of the last feature map.")
    resize: int = option(224, "Side in pixels of the square that images are resized to.", minimum=8)
    epochs: int = option(100, "Number of passes over the training images.", minimum=1)
    steps: int | None = option(
        None,
        "Number of optimizer steps, instead of --epochs, to train equally long on data sets of any size.",
        minimum=1,
    )
    learning_rate: float = option(0.001, "Initial learning rate.", flag="--lr", above=0, maximum=1000)
    optimizer: Literal["sgd", "adam", "adamw"] = option("adam", "Optimizer.")
    schedule: Schedule = option("constant", "Learning rate schedule.")
    weight_decay: float = option(0.0, "Weight decay.", minimum=0)
    momentum: float = option(0.9, "Momentum of SGD.", minimum=0, below=1)
    freeze: str = option(
        "backbone",
        "Frozen part: backbone (only the head trains, in seconds), none, or 'until STAGE', such as 'until layer3'.",
        metavar="WHAT",
    )
    batch_size: int = option(32, "Number of images per step.", minimum=1)
    augment: str = option(
        "none", "Augmentation: none, light, strong, or a recipe of the method augment.", metavar="RECIPE"
    )
    views: int | None = option(
        None,
        "Number of augmented versions of each image with a frozen backbone.",
        unset="1, with --augment 8",
        minimum=1,
    )
    sampling: Sampling = option("instance", "Sampling: each image once, class-balanced, or square-root balanced.")
    good_share: float | None = option(
        None,
        "Share of good images in an epoch, with --sampling balanced or sqrt.",
        unset="as for any class",
        above=0,
        below=1,
    )
    synthetic_share: float | None = option(
        None,
        "Share of synthetic images within each defect class in an epoch, with --sampling balanced or sqrt.",
        unset="their share of the class",
        above=0,
        below=1,
    )
    loss: LossName = option("cross-entropy", "Loss function.")
    label_smoothing: float = option(
        0.0, "Label smoothing: share of each label that is spread over all classes.", minimum=0, below=1
    )
    mix: Mix = option("none", "Mixing of image pairs; mask-cutmix pastes whole defects.")
    mix_alpha: float = option(1.0, "Alpha of the Beta distribution for mixup and CutMix.", above=0)
    standardize: bool = option(
        False,
        "Standardization of a frozen backbone's features to mean 0 and standard deviation 1; the head starts at zero.",
    )
    retrain_head: bool = option(
        False, "Second stage that retrains the head on class-balanced batches (cRT).", flag="--crt"
    )
    lmr: bool = option(False, "Second stage as with --crt, on features mixed by Long-Tail Mixed Reconstruction (LMR).")
    few_shot: int = option(20, "Maximum number of training images of a few-shot class, with --lmr.", minimum=1)
    patience: int | None = option(
        None,
        "Number of epochs without a better validation metric after which training stops.",
        unset="never stop early",
        minimum=1,
    )
    monitor: Monitor = option("loss", "Validation metric that selects the epoch.")
    seed: int = option(0, "Random seed of the head, the order, the augmentation and the mixing.", minimum=0)
    device: str = option("auto", "Device: auto, cpu, cuda, cuda:1 or mps.", metavar="NAME")
    amp: bool = option(True, "Mixed precision on a GPU.")

    def __post_init__(self) -> None:
        """Refuse values that are invalid, alone or together.

        Raises:
            UsageError: The first of them is named.
        """
        Options.__post_init__(self)
        check_device(self.device)
        if not self.frozen and self.batch_size < 2:
            raise UsageError(
                "batch normalization needs more than one image per batch",
                hint="use --batch-size 2 or more, or --freeze backbone",
            )
        if self.sampling == "instance":
            for name in ("good_share", "synthetic_share"):
                if getattr(self, name) is not None:
                    raise UsageError(
                        f"--{name.replace('_', '-')} has no effect with --sampling instance, which draws each image "
                        "once per epoch",
                        hint="use --sampling balanced (or sqrt) with it",
                    )
        if self.frozen and self.mix in ("cutmix", "mask-cutmix"):
            raise UsageError(
                f"{self.mix} needs images, but a frozen backbone trains on features only",
                hint="use --freeze none (or until STAGE), or --mix mixup, which mixes features too",
            )

    @property
    def frozen(self) -> bool:
        """Whether only the head trains."""
        return self.freeze == "backbone"

    @property
    def number_of_views(self) -> int:
        """Number of views of each image that a frozen backbone computes features of."""
        if self.augment == "none":
            return 1
        return _AUGMENTED_VIEWS if self.views is None else self.views

    def digest(self) -> str:
        """A hex digest of what decides the result; the device is not part of it, so that a run may move."""
        values = {name: value for name, value in self.to_json().items() if name != "device"}
        return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
