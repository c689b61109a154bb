"""Does synthesis help a classifier? The protocols of benchmarks/EVIDENCE.md on real data; writes their tables.

    python benchmarks/evidence.py mtd-longtail --work WORK
    python benchmarks/evidence.py mtd-generators --work WORK --prepare-pools --fit-steps 800
    python benchmarks/evidence.py --render

Real data are read from CARPET_DATA_TEST_DATA (default ../shared/data). A run that was stopped resumes; features are
kept in the work folder. With --prepare-pools all synthetic images are made first, several pools at a time and each in
one thread: learned recipes are fitted there, for each partition anew. Figures go to benchmarks/evidence/PROTOCOL.json,
from which --render writes the tables of benchmarks/EVIDENCE.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import evidence_pools
import numpy as np
from evidence_pools import Pool
from evidence_tables import table

import carpet_data
from carpet_data import store
from carpet_data.core.progress import Step
from carpet_data.dataset import GOOD, Dataset, Side, Split
from carpet_data.experiments import compare, comparison, workspaces
from carpet_data.experiments.comparison import Comparison
from carpet_data.experiments.conditions import BASELINE_TRAINING, METHODS, standard
from carpet_data.experiments.partitions import DatasetSplit, Partition
from carpet_data.experiments.verdict import judge
from carpet_data.metrics import wilson
from carpet_data.training.options import TrainOptions

HERE = Path(__file__).resolve().parent
PAGE = HERE / "EVIDENCE.md"
DATA = Path(os.environ.get("CARPET_DATA_TEST_DATA", HERE.parent.parent / "shared" / "data"))
SEEDS = (0, 1, 2, 3, 4)

Pools = Mapping[str, Sequence[tuple[str, int]]]
"""Name -> recipes in turn, each with the number of train images it brings every defect class to."""

MIXED = "donor-paste + resynthesis"


@dataclass(frozen=True)
class Protocol:
    """One way to divide real images, and what is compared on it.

    Attributes:
        title: Of its table.
        prepare: Makes the prepared folder and returns the names of the splits that are its partitions.
        pools: Synthetic images to compare.
        methods: Remedies without synthetic images.
        settings: Of the baseline.
        good_trains: Put the good images on the train side: there are too few to test by, and hosts are needed.
        quality: Score the synthetic images of each pool, and look for copies.
        like: The protocol whose folders are used again: the same partitions and images.
    """

    title: str
    prepare: Callable[[Path], list[str]]
    pools: Pools
    methods: tuple[str, ...] = ()
    settings: TrainOptions = field(default=BASELINE_TRAINING)
    good_trains: bool = False
    quality: bool = False
    like: str | None = None


def tiles(root: Path, stem: str, **split: Any) -> list[str]:
    """The magnetic tiles, grouped by runs of frame numbers."""
    carpet_data.prepare(DATA / "mtd", root, group_options=carpet_data.GroupOptions(group_runs=r"num_(\d+)", gap=100))
    return list(carpet_data.split(root, stem, carpet_data.SplitOptions(**split)).splits)


def screws(root: Path) -> list[str]:
    carpet_data.prepare(DATA / "mvtec" / "screw_512", root)
    return list(carpet_data.split(root, "third", carpet_data.SplitOptions(protocol="first-third")).splits)


def carpets(root: Path, protocol: str) -> list[str]:
    carpet_data.prepare(DATA / "mvtec" / "carpet", root)
    return list(carpet_data.split(root, "turn", carpet_data.SplitOptions(protocol=protocol)).splits)  # type: ignore[arg-type]


def halves(root: Path, folder: str, **read: Any) -> list[str]:
    """Three random halves: as many test images of each class as training images."""
    carpet_data.prepare(DATA / folder, root, read_options=carpet_data.ReadOptions(**read))
    return list(carpet_data.split(root, "half", carpet_data.SplitOptions(fractions=(0.5, 0.5), repeats=3)).splits)


# Partitions of these seeds were not looked at while recipes and settings were chosen (see "What was tried").
FRESH = 12
BOTH: Pools = {MIXED: (("donor-paste", 60), ("resynthesis", 100))}
PASTE: Pools = {"donor-paste": (("donor-paste", 100),)}
OF_ONE: Pools = {"donor-paste": (("donor-paste", 30),), "resynthesis": (("resynthesis", 30),)}


def equal(to: int, *names: str) -> Pools:
    """Every recipe alone, each to the same number of train images a class."""
    return {name: ((name, to),) for name in names}


PLAIN, LEARNED = ("augment", "donor-paste", "resynthesis"), ("gan", "ddpm-inpaint")

PROTOCOLS: dict[str, Protocol] = {
    "mtd-longtail": Protocol(
        "mtd-longtail, one third of the groups for training",
        lambda root: tiles(root, "third", fractions=(1 / 3, 2 / 3), repeats=5, seed=FRESH),
        {**PASTE, **BOTH},
        methods=tuple(METHODS),
    ),
    "mtd-half-good": Protocol(
        "mtd-longtail, the same partitions and images, half of what is drawn is good",
        lambda root: tiles(root, "third", fractions=(1 / 3, 2 / 3), repeats=5, seed=FRESH),
        {**PASTE, **BOTH},
        settings=BASELINE_TRAINING.but(good_share=0.5),
        like="mtd-longtail",
    ),
    "mtd-two-thirds": Protocol(
        "mtd-longtail, two thirds of the groups teach",
        lambda root: tiles(root, "two-thirds", fractions=(2 / 3, 1 / 3), repeats=5, seed=FRESH),
        PASTE,
    ),
    **{
        f"mtd-{k}-shot": Protocol(
            f"mtd-longtail, {k} {'group' if k == 1 else 'groups'} of each defect class",
            lambda root, k=k: tiles(root, "shot", k_shot=k, repeats=5, seed=FRESH),  # type: ignore[misc]
            PASTE,
        )
        for k in (1, 3, 5)
    },
    "screw-third": Protocol("screw-third", screws, {**PASTE, **BOTH}),
    "grid-half": Protocol(
        "grid, three random halves", lambda root: halves(root, "mvtec/grid_half"), equal(50, "donor-paste")
    ),
    "bottle-half": Protocol(
        "bottle, three random halves", lambda root: halves(root, "mvtec/bottle_half"), equal(50, "donor-paste")
    ),
    "neu-half": Protocol(
        "NEU-seg, three random halves by group",
        lambda root: halves(root, "neu_seg", mask_classes="1=inclusion,2=patches,3=scratches"),
        equal(50, "donor-paste"),
    ),
    "carpet-1-shot": Protocol(
        "carpet-fewshot, one training image per class",
        lambda root: carpets(root, "rotations"),
        OF_ONE,
        good_trains=True,
    ),
    "carpet-2-shot": Protocol(
        "carpet-fewshot, one image a class is left out",
        lambda root: carpets(root, "leave-one-out"),
        OF_ONE,
        good_trains=True,
    ),
    "mtd-generators": Protocol(
        "mtd-longtail, one third of the groups for training: learned recipes",
        lambda root: tiles(root, "third", fractions=(1 / 3, 2 / 3), repeats=5, seed=FRESH),
        equal(40, *PLAIN, *LEARNED),
        quality=True,
    ),
    "carpet-generators-2-shot": Protocol(
        "carpet-fewshot, one image a class is left out: learned recipes",
        lambda root: carpets(root, "leave-one-out"),
        equal(30, *PLAIN, *LEARNED),
        good_trains=True,
        quality=True,
    ),
}


def as_divided(dataset: Dataset, name: str, *, good_trains: bool) -> Split:
    """A split of the data set, with good images moved to its train side if asked."""
    split = dataset.splits[name]
    if not good_trains:
        return split
    moved: dict[str, Side] = {sample.id: "train" for sample in dataset.of_class(GOOD)}
    return replace(split, sides={**split.sides, **moved})


def pools_of(protocol: Protocol, splits: Sequence[Split], work: Path, device: str) -> dict[str, list[Pool]]:
    """The pools of each partition, none made yet."""
    return {
        split.name: [
            Pool(
                name,
                split.name,
                work / "pools" / split.name / name.replace(" ", ""),
                tuple(tuple(step) for step in steps),  # type: ignore[misc]
                number,
                device,
                protocol.quality,
            )
            for name, steps in protocol.pools.items()
        ]
        for number, split in enumerate(splits)
    }


def partitions(dataset: Dataset, splits: Sequence[Split], pools: Mapping[str, Sequence[Pool]]) -> Iterator[Partition]:
    """The partitions with their synthetic images, each made when its turn comes."""
    for split in splits:
        found: dict[str, DatasetSplit] = {}
        for pool in pools[split.name]:
            evidence_pools.make(pool, dataset, split)
            found[pool.name] = DatasetSplit.of(pool.root, workspaces.SPLIT)
        yield Partition(split.name, DatasetSplit(replace(dataset, splits={split.name: split}), split.name), found)


def shortened(protocol: Protocol, work: Path, fit_steps: int) -> Protocol:
    """A protocol whose learned recipes are fitted by another number of steps."""
    pools = {
        pool: tuple((evidence_pools.derived(work, name, fit_steps), to) for name, to in steps)
        for pool, steps in protocol.pools.items()
    }
    return replace(protocol, pools=pools)


def opened(protocol: Protocol, place: Path) -> tuple[Dataset, list[Split]]:
    """The prepared data set of a protocol, made unless it is there, and its partitions."""
    root, listing = place / "data", place / "splits.json"
    if not listing.is_file():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        listing.write_text(json.dumps(protocol.prepare(root)))
    dataset = store.read(root)
    names = json.loads(listing.read_text())
    return dataset, [as_divided(dataset, each, good_trains=protocol.good_trains) for each in names]


def journal_of(name: str, work: Path, pools: Mapping[str, Sequence[Pool]], *, learned: bool) -> Path:
    """Where trainings are kept; recipes that are still being worked on must not find those of their earlier images."""
    if not learned:
        return work / "trainings" / name
    identities = json.dumps([pool.identities for pool in next(iter(pools.values()))])
    return work / "trainings" / f"{name}-{hashlib.sha256(identities.encode()).hexdigest()[:8]}"


def run(
    name: str,
    work: Path,
    *,
    device: str = "auto",
    fit_steps: int | None = None,
    prepare: bool = False,
    train: bool = True,
    processes: int = 2,
    most: int | None = None,
) -> None:
    """Run one protocol and keep its metrics.

    Args:
        name: Of the protocol.
        work: Where data, pools and trainings are kept.
        device: Where learned recipes compute.
        fit_steps: Of every learned recipe; None for what the recipes say.
        prepare: Make all pools first, several at a time.
        train: Go on to the trainings.
        processes: Pools at a time.
        most: Take the first so many partitions alone; None for all.
    """
    protocol = PROTOCOLS[name] if fit_steps is None else shortened(PROTOCOLS[name], work, fit_steps)
    place = work / (protocol.like or name)
    started = time.perf_counter()
    dataset, splits = opened(protocol, place)
    splits = splits[:most]
    pools = pools_of(protocol, splits, place, device)
    if prepare:
        evidence_pools.prepare([(pool, dataset, split) for split in splits for pool in pools[split.name]], processes)
    if not train:
        return
    journal = journal_of(name, work, pools, learned=protocol.quality)
    journal.mkdir(parents=True, exist_ok=True)
    last = ""

    def show(step: Step) -> None:
        nonlocal last
        if step.what != last or step.done == step.total or step.done % 256 == 0:
            print(f"{step.what} {step.done} of {step.total}, {time.perf_counter() - started:.0f} s", flush=True)
        last = step.what

    conditions = standard(protocol.settings, pools=tuple(protocol.pools), methods=protocol.methods)
    classes = tuple(sorted(dataset.classes, key=lambda each: (each != GOOD, each)))
    found = compare.run(
        partitions(dataset, splits, pools),
        conditions,
        seeds=SEEDS,
        classes=classes,
        done=comparison.read(journal),
        keep=lambda training: comparison.append(journal, training),
        cache=work / "features",
        progress=show,
    )
    seconds = time.perf_counter() - started
    values = facts(protocol, found, seconds)
    if protocol.quality:
        records = [evidence_pools.made(pool) for each in pools.values() for pool in each]
        values["fit_steps"] = fit_steps
        values["quality"] = evidence_pools.summary([record for record in records if record is not None])
    target = HERE / "evidence" / f"{name}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(table(json.loads(target.read_text(encoding="utf-8"))))


def type_accuracy(found: Comparison, condition: str) -> dict[str, Any]:
    """How often a test defect gets its own type, `good` no answer: the metric that the field publishes.

    The probabilities of the seeds are averaged, so that each test image counts once a partition.
    """
    good = found.classes.index(GOOD) if GOOD in found.classes else None
    sums: dict[tuple[str, str], Any] = {}
    truth: dict[tuple[str, str], str] = {}
    for training in found.trainings:
        if training.condition != condition:
            continue
        for row in training.predictions:
            if row.truth == GOOD:
                continue
            values = np.array(row.probabilities)
            if good is not None:
                values[good] = -1.0
            key = (training.partition, row.id)
            sums[key] = sums.get(key, 0.0) + values
            truth[key] = row.truth
    right = sum(found.classes[int(values.argmax())] == truth[key] for key, values in sums.items())
    interval = wilson(right, len(sums))
    return {"right": right, "images": len(sums), "low": interval.low, "high": interval.high}


def facts(protocol: Protocol, found: Comparison, seconds: float) -> dict[str, Any]:
    """What the tables and the reader need, without the predictions."""
    values = found.to_json()
    for row in values["conditions"].values():
        del row["by_training"]
    return {
        "title": protocol.title,
        "settings": protocol.settings.to_json(),
        "pools": {name: [[Path(each).stem, to] for each, to in steps] for name, steps in protocol.pools.items()},
        "seeds": len(SEEDS),
        "minutes": round(seconds / 60, 1),
        "type_accuracy": {condition.name: type_accuracy(found, condition.name) for condition in found.conditions},
        "verdicts": [verdict.to_json() for verdict in judge(found, tuple(f"real + {pool}" for pool in protocol.pools))],
        **values,
    }


def render() -> None:
    """Write the tables into the page, between their marks."""
    text = PAGE.read_text(encoding="utf-8")
    for path in sorted((HERE / "evidence").glob("*.json")):
        begin, end = f"<!-- table: {path.stem} -->", f"<!-- end: {path.stem} -->"
        if begin not in text:
            raise SystemExit(f"benchmarks/EVIDENCE.md has no mark {begin}")
        head, rest = text.split(begin)
        text = f"{head}{begin}\n\n{table(json.loads(path.read_text(encoding='utf-8')))}\n\n{end}{rest.split(end)[1]}"
    PAGE.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("protocols", nargs="*", choices=[*PROTOCOLS, []], metavar="PROTOCOL", help=", ".join(PROTOCOLS))
    parser.add_argument(
        "--work", type=Path, default=Path("evidence-work"), help="data, features, images; may be removed"
    )
    parser.add_argument("--render", action="store_true", help="write the tables of benchmarks/EVIDENCE.md")
    parser.add_argument("--prepare-pools", action="store_true", help="make all synthetic images first, side by side")
    parser.add_argument("--pools-only", action="store_true", help="the same, and stop there")
    parser.add_argument("--processes", type=int, default=2, help="pools that are made at a time")
    parser.add_argument("--partitions", type=int, help="only the first so many")
    parser.add_argument("--fit-steps", type=int, help="of every learned recipe, instead of what it says")
    parser.add_argument("--device", default="auto", help="where learned recipes compute")
    given = parser.parse_args()
    for name in given.protocols:
        run(
            name,
            given.work,
            device=given.device,
            fit_steps=given.fit_steps,
            prepare=given.prepare_pools or given.pools_only,
            train=not given.pools_only,
            processes=given.processes,
            most=given.partitions,
        )
    if given.render:
        render()


if __name__ == "__main__":
    main()
