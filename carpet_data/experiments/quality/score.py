"""Score synthetic defects against real ones."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carpet_data.core import executor
from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import GOOD, DataFolder, Dataset, Sample, folder_of
from carpet_data.errors import CarpetDataError, DataError, UsageError
from carpet_data.experiments.options import DEFAULT_BACKBONE, ScoreOptions
from carpet_data.experiments.quality import distances as scoring
from carpet_data.experiments.quality.distances import Scale
from carpet_data.experiments.quality.score_result import ScoredGroup, ScoreResult
from carpet_data.experiments.quality.texture_statistics import Crop, Job, measure
from carpet_data.formats import read

if TYPE_CHECKING:
    from carpet_data.experiments.quality.stage_features import StageFeatures

__all__ = ["score"]


def score(
    root: DataFolder,
    options: ScoreOptions | None = None,
    *,
    progress: Progress | None = None,
    **changes: Any,
) -> ScoreResult:
    """Compare the synthetic defects of a data set with its real ones; nothing is changed.

    Args:
        root: A prepared folder, or its Dataset.
        options: Split, real images, network and workers; None for the defaults. `against="all"` compares with val and
            test images too: for a last look, never for choosing a recipe.
        progress: Called with each step.
        **changes: Fields of `ScoreOptions`, such as `backbone="none"`.

    Raises:
        DataError: There are no synthetic images, or the folder cannot be read.
        UsageError: An unknown split, network or option.
        MissingExtraError: A network is asked for, but the extra `train` is not installed.
    """
    options = ScoreOptions.of(options, changes)
    dataset = read(folder_of(root))
    split = dataset.split_name(options.split)
    network = _network(options)
    synthetic, real = _sides(dataset, split, options.against)
    defects = [sample for sample in synthetic if sample.class_name != GOOD]
    if not defects:
        side = "" if split is None else f" on the train side of {split!r}"
        hint = "make some first: carpet-data synthesize"
        raise DataError(f"no synthetic defect to score{side}", where=dataset.root, hint=hint)
    masked = [*defects, *(sample for sample in real if sample.annotation is not None)]
    jobs = [Job(dataset.root, each, dataset.connectivity, network is not None) for each in masked]
    crops, skipped = _measured(jobs, options.workers, progress)
    every_real = [crop for sample in real for crop in crops.get(sample.id, ())]
    classes = sorted({sample.class_name for sample in defects})
    of_class = {name: tuple(crop for crop in every_real if crop.class_name == name) for name in classes}
    scale = scoring.scale_of(every_real or [crop for sample in defects for crop in crops.get(sample.id, ())])
    return ScoreResult(
        root=dataset.root,
        name=dataset.name,
        split=split,
        against=options.against,
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
) -> ScoredGroup:
    made = tuple(crop for sample in samples for crop in crops.get(sample.id, ()) if crop.class_name == class_name)
    feature_distance = None
    if network is not None and made and real:
        feature_distance = scoring.kernel_distance(network(made), network(real))
    return ScoredGroup(
        class_name,
        recipe,
        len(samples),
        scoring.acceptance(samples),
        scoring.distances(made, real, scale),
        feature_distance,
        made,
    )


def _measured(
    jobs: Sequence[Job], workers: int | None, progress: Progress | None
) -> tuple[dict[str, tuple[Crop, ...]], list[CarpetDataError]]:
    """Sample id -> its defects, and what could not be measured."""
    crops: dict[str, tuple[Crop, ...]] = {}
    skipped: list[CarpetDataError] = []
    measured = executor.run(measure, jobs, workers=workers, chunk=8)
    for done, (job, found) in enumerate(zip(jobs, measured, strict=True), start=1):
        if isinstance(found, CarpetDataError):
            skipped.append(found)
        else:
            crops[job.sample.id] = found
        if progress is not None:
            progress(Step(done, len(jobs), "scoring"))
    return crops, skipped


def _sides(dataset: Dataset, split: str | None, against: str) -> tuple[list[Sample], list[Sample]]:
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


def _network(options: ScoreOptions) -> StageFeatures | None:
    if options.backbone == "none" or (options.backbone is None and not _default_is_local()):
        return None
    from carpet_data import networks
    from carpet_data.experiments.quality.stage_features import StageFeatures

    name = options.backbone or DEFAULT_BACKBONE
    found = networks.find_weights(name, str(options.weights or "auto"), download=False)
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
    return any(cache.glob(f"{DEFAULT_BACKBONE}-*.pth"))
