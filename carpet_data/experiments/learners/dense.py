"""The dense head: trained on the masks, it says of an image its class, its pixels, its defects and its anomaly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core import executor
from carpet_data.core.progress import Progress
from carpet_data.dataset import GOOD, Sample
from carpet_data.errors import UsageError
from carpet_data.experiments.conditions import Condition
from carpet_data.experiments.journal import DENSE, Training
from carpet_data.experiments.learners.contract import Trained
from carpet_data.experiments.partitions import Partition
from carpet_data.metrics.image_evidence import ImageEvidence
from carpet_data.networks import Weights, build, choose, devices
from carpet_data.store.files import write_bytes
from carpet_data.store.names import component
from carpet_data.store.runs import Prediction
from carpet_data.training.contract import ImagePrediction
from carpet_data.training.dense.bank import MapBank
from carpet_data.training.dense.choose import choose as choose_settings
from carpet_data.training.dense.dense_head import DenseHead
from carpet_data.training.dense.fit import fit_dense
from carpet_data.training.dense.options import CHOSEN, DenseOptions
from carpet_data.training.evidence import KeptEvidence
from carpet_data.training.truth import Truth, truth_of

__all__ = ["Dense", "pinned"]

_DEFAULT = "efficientnet_lite0"
"""Its weights come with the extra `train`."""
_OPEN = frozenset(CHOSEN) - {"smoothing"}
"""Settings that are chosen; the smoothing is chosen with the calibration of each condition."""
_HEAT_SIDE = 512
"""Longest side in pixels of a heat map that is kept."""
_MOST_HEAT = 1000
"""Heat maps that are kept of a condition."""
_MOST_THREADS = 4
"""Heads that are trained at a time; each holds some hundred MiB of cells."""


def pinned(options: DenseOptions, *, download: bool = True) -> DenseOptions:
    """The options with the network and the weights that "auto" means here and now.

    Raises:
        UsageError: The network, or the name of the weights, is unknown.
        WeightsError: The weights cannot be had.
    """
    weights = _weights(options, download=download)
    return options.but(architecture=weights.architecture, weights=weights.wanted)


def _restored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the journal keeps them."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _weights(options: DenseOptions, *, download: bool = True) -> Weights:
    architecture = _DEFAULT if options.architecture == "auto" else options.architecture
    return choose(architecture, options.weights, download=download)


def _bank(options: DenseOptions, cache: Path | None, workers: int | None, progress: Progress | None) -> MapBank:
    network = build(_weights(options), classes=1, seed=0)
    return MapBank(network, devices.resolve(options.device), cache, workers=workers, progress=progress)


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """The dense head under the conditions of an experiment.

    The maps of every image and view are computed once for all conditions, seeds and partitions. What the user leaves
    open is chosen once per partition on its real training images, and is the same for every condition. The head is
    calibrated on held-out training images for each condition, once for all seeds. Test images are predicted once per
    head.

    Attributes:
        conditions: Those with options for the dense head.
        classes: Of the experiment.
        heat: condition -> a folder for its heat maps.
        chosen: Partition -> the options of its baseline, with a value for each that was open, and notes on them.
        truths: Test image -> what is true of it.
    """

    conditions: tuple[Condition, ...]
    classes: tuple[str, ...]
    baseline: str
    bank: MapBank
    heat: Mapping[str, Path]
    progress: Progress | None
    chosen: dict[str, tuple[DenseOptions, tuple[str, ...]]] = field(default_factory=dict)
    truths: dict[tuple[str, str | None], Truth] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the journal calls it."""
        return DENSE

    @property
    def head_classes(self) -> tuple[str, ...]:
        """The classes of the head: `good` first, in any case, since most cells show no defect."""
        return (GOOD, *(name for name in self.classes if name != GOOD))

    @classmethod
    def of(
        cls,
        conditions: Sequence[Condition],
        classes: Sequence[str],
        baseline: str,
        done: Sequence[Training] = (),
        *,
        cache: Path | None = None,
        heat: Mapping[str, Path] | None = None,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> Dense:
        """The dense head with the options of these conditions; `done` are the training runs of an interrupted run.

        Raises:
            UsageError: No condition has options for it, or they differ in the network.
            WeightsError: The weights are not available.
        """
        taking = tuple(each for each in conditions if each.dense is not None)
        of_baseline = next((each.dense for each in taking if each.name == baseline), None)
        if of_baseline is None:
            raise UsageError(f"no options of the dense head for {baseline}", hint="give `standard` the argument dense")
        for each in taking:
            if each.dense is not None and each.dense.but(views=of_baseline.views) != of_baseline:
                raise UsageError(
                    f"the dense head of {each.name} has other options than that of {baseline}",
                    hint="let the conditions differ only in what is compared",
                )
        bank = _bank(of_baseline, cache, workers, progress)
        known: dict[str, tuple[DenseOptions, tuple[str, ...]]] = {}
        for run in done:
            notes = tuple(note for note in run.notes if note.startswith(f"{run.partition}: "))
            known[run.partition] = of_baseline.but(**_restored(run.chosen)), notes
        return cls(taking, tuple(classes), baseline, bank, heat or {}, progress, known)

    def ready(self, partition: Partition) -> None:
        """Choose what is open."""
        if partition.name in self.chosen:
            return
        asked = next(each.dense for each in self.conditions if each.name == self.baseline)
        assert asked is not None, "only such conditions take part"
        real = partition.folder.real()
        choice = choose_settings(self.bank, real, self.head_classes, asked, progress=self.progress)
        notes = tuple(f"{partition.name}: {note}" for note in choice.notes)
        self.chosen[partition.name] = choice.options, notes

    def train(self, partition: Partition, condition: Condition, seeds: Sequence[int]) -> Iterator[Trained]:
        """Train once per seed, and test."""
        base, notes = self.chosen[partition.name]
        assert condition.dense is not None, "only such conditions take part"
        options = base if condition.dense.views is None else base.but(views=condition.dense.views)
        chosen = {name: value for name, value in base.to_json().items() if name in _OPEN}
        samples = [sample for _, those in partition.train(condition) for sample in those]
        with _pool(self.bank, len(seeds)) as pool:
            # Its calibration serves all seeds, whichever of them an interrupted run has left.
            first = pool.submit(self._fitted, samples, options, None)
            others = {
                seed: pool.submit(self._fitted, samples, options.but(seed=seed), first)
                for seed in seeds
                if seed != options.seed
            }
            runs = [
                pool.submit(self._tested, others.get(seed, first), partition, condition, seed, heat=seed == seeds[0])
                for seed in seeds
            ]
            for run in runs:
                head, rows, evidence = run.result()
                yield Trained(rows, evidence, options.steps, (*notes, *head.notes), chosen)

    def _tested(
        self, fitted: Future[DenseHead], partition: Partition, condition: Condition, seed: int, *, heat: bool
    ) -> tuple[DenseHead, tuple[Prediction, ...], tuple[ImageEvidence, ...]]:
        """What a head says of the test images."""
        head = fitted.result()
        kept, rows = KeptEvidence(self.head_classes), []
        with devices.one_thread(self.bank.device):
            for sample in partition.held_out("test"):
                found = head.of_sample(self.bank, sample)
                kept.add(self._truth(sample), found)
                rows.append(self._row(found, sample, condition.name, partition.name, seed))
                if heat and condition.name in self.heat and found.heat is not None:
                    _keep_heat(self.heat[condition.name], sample.id, found.heat)
            return head, tuple(rows), kept.images()

    def forget(self, partition: Partition) -> None:
        """Nothing: what the bank keeps is bounded, and the oldest maps go first."""

    def _fitted(self, samples: Sequence[Sample], options: DenseOptions, like: Future[DenseHead] | None) -> DenseHead:
        with devices.one_thread(self.bank.device):
            return fit_dense(self.bank, samples, self.head_classes, options, like=like)

    def _truth(self, sample: Sample) -> Truth:
        key = (sample.id, sample.image_sha256)
        if key not in self.truths:
            self.truths[key] = truth_of(sample, self.head_classes)
        return self.truths[key]

    def _row(self, found: ImagePrediction, sample: Sample, condition: str, partition: str, seed: int) -> Prediction:
        """The image class as run folders keep it, over the classes of the experiment."""
        assert found.probabilities is not None
        chances = np.array([found.probabilities[name] for name in self.classes], np.float64)
        chances /= max(float(chances.sum()), 1e-12)
        truth = self.classes.index(sample.class_name)
        predicted = found.class_name if found.class_name in self.classes else self.classes[int(chances.argmax())]
        return Prediction(
            id=sample.id,
            condition=condition,
            partition=partition,
            seed=seed,
            side="test",
            truth=sample.class_name,
            predicted=predicted,
            probabilities=tuple(round(float(each), 6) for each in chances),
            loss=round(float(-np.log(max(float(chances[truth]), 1e-12))), 6),
        )


@contextmanager
def _pool(bank: MapBank, seeds: int) -> Iterator[ThreadPoolExecutor]:
    """Threads for the heads of a condition, which compute on one core each; one for a GPU.

    Each computes the same whatever the others do, so the results do not depend on their number.
    """
    cores = executor.default_workers() if bank.workers is None else bank.workers
    pool = ThreadPoolExecutor(min(cores, seeds, _MOST_THREADS) if bank.device.type == "cpu" else 1)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _keep_heat(folder: Path, sample_id: str, heat: NDArray[np.float32]) -> None:
    """The heat map of an image as a gray picture, of the first head that tested it."""
    path = folder / f"{component(sample_id)}.png"
    if path.exists() or (folder.is_dir() and sum(1 for _ in folder.iterdir()) >= _MOST_HEAT):
        return
    gray = np.round(np.clip(heat, 0, 1) * 255).astype(np.uint8)
    share = _HEAT_SIDE / max(gray.shape)
    if share < 1:
        size = max(1, round(gray.shape[1] * share)), max(1, round(gray.shape[0] * share))
        gray = np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(path, cv2.imencode(".png", gray)[1].tobytes())
