"""What the dense head reaches on real data, every task, beside the whole-image classifier; writes tables.

    python benchmarks/dense.py carpet-1-shot screw-third --work WORK
    python benchmarks/dense.py --render

Real data are read from CARPET_DATA_TEST_DATA (default ../shared/data). The scale and the smoothing of the dense head
are chosen by cross-fitting on the training side of each partition, as `train --task dense` chooses them. Beside it are
a linear head on the image as it is and the whole-image classifier. A run that was stopped resumes; maps are kept in
the work folder.
Scores go to benchmarks/evidence/dense-PROTOCOL.json, from which --render writes the tables of benchmarks/EVIDENCE.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from evidence import DATA, HERE, PROTOCOLS, Protocol, opened, render, type_accuracy
from evidence_tables import table

import carpet_data
from carpet_data.core.progress import Step
from carpet_data.dataset import Dataset, Side, Split
from carpet_data.experiments import compare, journal
from carpet_data.experiments.comparison import Comparison
from carpet_data.experiments.conditions import BASELINE, Condition
from carpet_data.experiments.journal import CLASSIFIER, DENSE, Training
from carpet_data.experiments.learners.dense import pinned
from carpet_data.experiments.partitions import DatasetSplit, Partition, classes_of
from carpet_data.metrics import BALANCED_ACCURACY, MACRO_F1, paired_bootstrap
from carpet_data.training.dense.options import DenseOptions

LINEAR = "linear head"
FLOOR = DenseOptions(hidden=0, dropout=0.0, scale=1.0, strides=(8, 16), views=8, background=4.0, smoothing=0.7)
"""The floor that the dense head is to beat: a linear head on the image in its own size, no setting chosen."""
CHOSEN = DenseOptions()
"""What is open is chosen on the training images."""
TASKS = ("segment", "detect", "anomaly", "classify")
SEEDS = (0, 1, 2)


@dataclass(frozen=True, eq=False)
class Case:
    """A protocol of the dense head.

    Attributes:
        protocol: How real images are divided.
        sides: Changes the split, where the data set brings its own division.
    """

    protocol: Protocol
    sides: Callable[[Dataset, Split], Split] | None = None


def thirds(root: Path, folder: str) -> list[str]:
    """The first third of each defect class trains; images that look alike show different objects here."""
    carpet_data.prepare(DATA / folder, root, group_options=carpet_data.GroupOptions(near_duplicates=False))
    return list(carpet_data.split(root, "third", carpet_data.SplitOptions(protocol="first-third")).splits)


def steel(root: Path) -> list[str]:
    """NEU-seg; its own division is put in by `own_sides`."""
    carpet_data.prepare(
        DATA / "neu_seg",
        root,
        read_options=carpet_data.ReadOptions(mask_classes="1=inclusion,2=patches,3=scratches"),
        group_options=carpet_data.GroupOptions(near_duplicates=False),
    )
    return ["main"]


def own_sides(dataset: Dataset, split: Split) -> Split:
    """The division that NEU-seg is published with: its folders stand before the names."""
    sides: dict[str, Side] = {each.id: "test" if each.id.startswith("test_") else "train" for each in dataset}
    return replace(split, sides=sides)


def _of(name: str) -> Case:
    return Case(replace(PROTOCOLS[name], pools={}, methods=()))


CASES: dict[str, Case] = {
    "carpet-1-shot": _of("carpet-1-shot"),
    "carpet-2-shot": _of("carpet-2-shot"),
    "screw-third": Case(Protocol("screw, 512 px, first third", lambda root: thirds(root, "mvtec/screw_512"), {})),
    "grid-third": Case(Protocol("grid, 512 px, first third", lambda root: thirds(root, "mvtec/grid_half"), {})),
    "bottle-third": Case(Protocol("bottle, 450 px, first third", lambda root: thirds(root, "mvtec/bottle_half"), {})),
    "neu-seg": Case(Protocol("NEU-seg, its own division", steel, {}), own_sides),
    "mtd-longtail": _of("mtd-longtail"),
}


def show(step: Step) -> None:
    """Print now and then how far it is."""
    if step.done == step.total or step.done % 256 == 0:
        print(f"{step.what} {step.done} of {step.total}", flush=True)


def run(name: str, work: Path, *, seeds: Sequence[int] = SEEDS, most: int | None = None) -> None:
    """Run one protocol and keep its scores; `most` is the number of partitions, None for all."""
    case, started = CASES[name], time.perf_counter()
    dataset, splits = opened(case.protocol, work / name)
    if case.sides is not None:
        splits = [case.sides(dataset, each) for each in splits]
    partitions = [
        Partition(each.name, DatasetSplit(replace(dataset, splits={each.name: each}), each.name))
        for each in splits[:most]
    ]
    settings = case.protocol.settings
    linear = Condition(LINEAR, settings, dense=pinned(FLOOR))
    usual = Condition(BASELINE, settings, dense=pinned(CHOSEN))
    classes = classes_of(partitions)
    trainings = list[Training]()
    for folder, condition, learners in (("linear", linear, (DENSE,)), ("chosen", usual, (CLASSIFIER, DENSE))):
        # One journal each: a resumed run takes the settings that its journal says were chosen.
        kept = work / "trainings" / name / folder
        kept.mkdir(parents=True, exist_ok=True)
        trainings += compare.run(
            partitions,
            (condition,),
            seeds=seeds,
            classes=classes,
            baseline=condition.name,
            learners=learners,
            done=journal.read(kept),
            keep=partial(journal.append, kept),
            cache=work / "maps",
            progress=show,
        ).trainings
    values = {
        "title": case.protocol.title,
        "seeds": len(seeds),
        "minutes": round((time.perf_counter() - started) / 60, 1),
        "chosen": _chosen(trainings),
        **facts(Comparison(classes, (linear, usual), LINEAR, tuple(trainings))),
    }
    target = HERE / "evidence" / f"dense-{name}.json"
    target.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(table(values))


def _chosen(trainings: Sequence[Training]) -> dict[str, Any]:
    """Partition -> the settings chosen on its training side, and how."""
    mine = [each for each in trainings if each.learner == DENSE and each.condition == BASELINE]
    return {each.partition: {"settings": dict(each.chosen), "notes": list(each.notes)} for each in mine}


def facts(found: Comparison) -> dict[str, Any]:
    """Scores of every task, with intervals and paired tests."""
    tasks: dict[str, Any] = {}
    for task in TASKS:
        seen = found.of(DENSE, task).to_json()
        for row in seen["conditions"].values():
            del row["by_training"]
        tasks[task] = seen
    whole = replace(found.of(CLASSIFIER, "classify", found.conditions[1:]), baseline=BASELINE)
    beside = whole.to_json()
    for row in beside["conditions"].values():
        del row["by_training"]
    dense = found.of(DENSE, "classify")
    tests = []
    if min((count for count in whole.units.values() if count), default=0) > 1:
        before, after = whole.outcome(BASELINE), dense.outcome(BASELINE)
        tests = [paired_bootstrap(before, after, each).to_json() for each in (BALANCED_ACCURACY, MACRO_F1)]
    types = {
        name: type_accuracy(
            replace(found, trainings=tuple(t for t in found.trainings if t.learner == learner)), condition
        )
        for name, learner, condition in (
            ("whole image", CLASSIFIER, BASELINE),
            (LINEAR, DENSE, LINEAR),
            ("dense head", DENSE, BASELINE),
        )
    }
    return {"tasks": tasks, "whole_image": beside, "dense_against_whole_image": tests, "type_accuracy": types}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("protocols", nargs="*", choices=[*CASES, []], metavar="PROTOCOL", help=", ".join(CASES))
    parser.add_argument("--work", type=Path, default=Path("evidence-work"), help="data, maps; may be removed")
    parser.add_argument("--partitions", type=int, help="only the first so many")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="number of heads of each kind")
    parser.add_argument("--render", action="store_true", help="write the tables of benchmarks/EVIDENCE.md")
    given = parser.parse_args()
    for name in given.protocols:
        run(name, given.work, seeds=range(given.seeds), most=given.partitions)
    if given.render:
        render()


if __name__ == "__main__":
    main()
