"""Score synthetic defects against real ones."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from carpet_data.core import executor
from carpet_data.core.progress import Progress, Step
from carpet_data.core.results import Result
from carpet_data.dataset import GOOD, Dataset, Sample
from carpet_data.errors import CarpetDataError, DataError, UsageError
from carpet_data.experiments.quality import distances as scoring
from carpet_data.experiments.quality.distances import Acceptance, Distances, Scale
from carpet_data.experiments.quality.texture_statistics import Crop, Job, Measured, measure
from carpet_data.formats import read

if TYPE_CHECKING:
    from carpet_data.experiments.quality.stage_features import StageFeatures

__all__ = ["Group", "ScoreResult", "score"]

Against = Literal["train", "all"]

_DEFAULT = "resnet18"


@dataclass(frozen=True, slots=True, eq=False)
class Group(Result):
    """The synthetic images of one class that one recipe made.

    Attributes:
        class_name: The class.
        recipe: Method and the first eight digits of the recipe's hash.
        images: Number of images.
        acceptance: The draws they took.
        distances: From the real images of the class.
        feature_distance: By the network: unbiased squared MMD with the cubic kernel of KID; None without one.
        crops: Their defects, for plots; not part of the JSON.
    """

    class_name: str
    recipe: str
    images: int
    acceptance: Acceptance
    distances: Distances
    feature_distance: float | None
    crops: tuple[Crop, ...] = field(repr=False, default=())

    def to_json(self) -> dict[str, Any]:
        """The scores as plain values, the distances among them."""
        return {
            "class": self.class_name,
            "recipe": self.recipe,
            "images": self.images,
            "acceptance": self.acceptance.to_json(),
            **self.distances.to_json(),
            "feature_distance": self.feature_distance,
        }


@dataclass(frozen=True, slots=True, eq=False)
class ScoreResult(Result):
    """The scores of a data set.

    Attributes:
        root: The folder.
        name: The data set's name.
        split: The split whose sides were used; None for a data set without splits.
        against: The real images that were compared with: of the train side, or all.
        backbone: The network's name; None without one.
        groups: Sorted by class, then recipe.
        nulls: Number of synthetic images without a defect, which have nothing to compare.
        real: class -> its real crops, for plots; not part of the JSON.
        skipped: What could not be measured.
    """

    root: Path
    name: str
    split: str | None
    against: Against
    backbone: str | None
    groups: tuple[Group, ...]
    nulls: int
    real: Mapping[str, tuple[Crop, ...]]
    skipped: tuple[CarpetDataError, ...] = ()

    @property
    def made(self) -> dict[str, dict[str, tuple[Crop, ...]]]:
        """class -> recipe -> its synthetic crops, for plots."""
        result: dict[str, dict[str, tuple[Crop, ...]]] = {}
        for group in self.groups:
            result.setdefault(group.class_name, {})[group.recipe] = group.crops
        return result

    def to_json(self) -> dict[str, Any]:
        """The scores as plain values."""
        values = Result.to_json(replace(self, real={}))
        del values["real"]
        return values


def score(
    root: str | os.PathLike[str],
    *,
    split: str | None = None,
    against: Against = "train",
    backbone: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ScoreResult:
    """Compare the synthetic defects of a data set with its real ones; nothing is changed.

    Args:
        root: A prepared folder.
        split: The split whose train side is compared; None for "main".
        against: "train" compares with the real images of the train side, those that a recipe may have seen; "all" also
            with val and test: for a last look, never for choosing a recipe.
        backbone: A network whose features are compared; None for ResNet-18 if torch's cache has its weights; "none"
            for none. Nothing is downloaded.
        weights: Its weights file; None for those available locally.
        workers: Number of processes; None for one per core.
        progress: Called with each step.

    Raises:
        DataError: There are no synthetic images, or the folder cannot be read.
        UsageError: An unknown split or network.
        MissingExtraError: A network is asked for, but the extra `train` is not installed.
    """
    dataset = read(Path(root))
    split = dataset.split_name(split)
    network = _network(backbone, None if weights is None else Path(weights))
    synthetic, real = _sides(dataset, split, against)
    defects = [sample for sample in synthetic if sample.class_name != GOOD]
    if not defects:
        side = "" if split is None else f" on the train side of {split!r}"
        hint = "make some first: carpet-data synthesize"
        raise DataError(f"no synthetic defect to score{side}", where=dataset.root, hint=hint)
    masked = [*defects, *(sample for sample in real if sample.annotation is not None)]
    jobs = [Job(dataset.root, each, dataset.connectivity, network is not None) for each in masked]
    crops, skipped = _measured(jobs, workers, progress)
    every_real = [crop for sample in real for crop in crops.get(sample.id, ())]
    classes = sorted({sample.class_name for sample in defects})
    of_class = {name: tuple(crop for crop in every_real if crop.class_name == name) for name in classes}
    scale = scoring.scale_of(every_real or [crop for sample in defects for crop in crops.get(sample.id, ())])
    return ScoreResult(
        root=dataset.root,
        name=dataset.name,
        split=split,
        against=against,
        backbone=None if network is None else network.name,
        groups=tuple(
            _group(class_name, recipe, samples, crops, of_class[class_name], scale, network)
            for (class_name, recipe), samples in sorted(_grouped(defects).items())
        ),
        nulls=len(synthetic) - len(defects),
        real=of_class,
        skipped=tuple(skipped),
    )


def _group(
    class_name: str,
    recipe: str,
    samples: Sequence[Sample],
    crops: Mapping[str, tuple[Crop, ...]],
    real: tuple[Crop, ...],
    scale: Scale,
    network: StageFeatures | None,
) -> Group:
    made = tuple(crop for sample in samples for crop in crops.get(sample.id, ()) if crop.class_name == class_name)
    return Group(
        class_name,
        recipe,
        len(samples),
        scoring.acceptance(samples),
        scoring.distances(made, real, scale),
        _feature_distance(network, made, real),
        made,
    )


def _measured(
    jobs: Sequence[Job], workers: int | None, progress: Progress | None
) -> tuple[dict[str, tuple[Crop, ...]], list[CarpetDataError]]:
    """Sample id -> its defects, and what could not be measured."""
    crops: dict[str, tuple[Crop, ...]] = {}
    skipped: list[CarpetDataError] = []
    for done, found in enumerate(executor.run(measure, jobs, workers=workers, chunk=8), start=1):
        if isinstance(found, Measured):
            crops[found.id] = found.crops
        else:
            skipped.append(found)
        if progress is not None:
            progress(Step(done, len(jobs), "scoring"))
    return crops, skipped


def _sides(dataset: Dataset, split: str | None, against: Against) -> tuple[list[Sample], list[Sample]]:
    train = dataset if split is None else dataset.on_side("train", split)
    synthetic = [sample for sample in train if sample.origin == "synthetic"]
    pool = train if against == "train" else dataset.samples
    return synthetic, [sample for sample in pool if sample.origin == "real" and sample.class_name != GOOD]


def _grouped(samples: Sequence[Sample]) -> dict[tuple[str, str], list[Sample]]:
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        provenance = sample.provenance or {}
        recipe = f"{provenance.get('method', 'unknown')} {str(provenance.get('recipe', ''))[:8]}".strip()
        groups.setdefault((sample.class_name, recipe), []).append(sample)
    return groups


def _network(backbone: str | None, weights: Path | None) -> StageFeatures | None:
    if backbone is None and weights is not None:
        raise UsageError("--weights without --backbone", hint=f"add --backbone, such as --backbone {_DEFAULT}")
    if backbone == "none" or (backbone is None and not _default_is_local()):
        return None
    from carpet_data import networks
    from carpet_data.experiments.quality.stage_features import StageFeatures

    name = _DEFAULT if backbone is None else backbone
    found = networks.find_weights(name, "auto" if weights is None else str(weights), download=False)
    if found.path is None:
        raise UsageError(
            f"no weights for {name} available locally", hint="give the file with --weights; nothing is downloaded"
        )
    return StageFeatures(networks.build(found, classes=1, seed=0))


def _default_is_local() -> bool:
    """Whether torch's cache has weights of the default network: importing torch for nothing would take seconds."""
    if importlib.util.find_spec("torchvision") is None:
        return False
    above = os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")
    cache = Path(os.environ.get("TORCH_HOME", Path(above) / "torch")) / "hub" / "checkpoints"
    return any(cache.glob(f"{_DEFAULT}-*.pth"))


def _feature_distance(features: StageFeatures | None, made: Sequence[Crop], real: Sequence[Crop]) -> float | None:
    if features is None or len(made) < 2 or len(real) < 2:
        return None
    return scoring.kernel_distance(features(made), features(real))
