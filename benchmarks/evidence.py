"""Does synthesis help a classifier? The protocols of docs/evidence.md on real data; writes their tables.

    python benchmarks/evidence.py mtd-longtail --work /tmp/evidence
    python benchmarks/evidence.py --render

Real data are read from CARPET_DATA_TEST_DATA (default ../shared/data). A run that was stopped goes on; features are
kept in the work folder. Figures go to benchmarks/evidence/PROTOCOL.json, from which --render writes the tables of
docs/evidence.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import carpet_data
from carpet_data import layout
from carpet_data.experiments import compare, trainings, workspaces
from carpet_data.experiments.comparison import Comparison
from carpet_data.experiments.conditions import DEFAULTS, METHODS, standard
from carpet_data.experiments.partitions import Folder, Partition
from carpet_data.experiments.verdict import judge
from carpet_data.findings import counted
from carpet_data.metrics import wilson
from carpet_data.samples import GOOD, Dataset, Side, Split
from carpet_data.training.settings import Settings

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "evidence.md"
DATA = Path(os.environ.get("CARPET_DATA_TEST_DATA", HERE.parent.parent / "shared" / "data"))
SEEDS = (0, 1, 2, 3, 4)

Pools = Mapping[str, Sequence[tuple[str, int]]]
"""Name -> recipes in turn, each with the number of train images it brings every defect class to."""

MIXED = "donor-paste + resynthesis"


@dataclass(frozen=True)
class Protocol:
    """One way to divide real images, and what is compared on it.

    Attributes:
        prepare: Makes the prepared folder and returns the names of the splits that are its partitions.
        pools: Synthetic images to compare.
        methods: Remedies without synthetic images.
        settings: Of the baseline.
        title: Of its table.
        like: The protocol whose folders are used again: the same partitions and images.
        good_teaches: Put the good images on the train side: there are too few to test by, and hosts are needed.
    """

    title: str
    prepare: Callable[[Path], list[str]]
    pools: Pools
    methods: tuple[str, ...] = ()
    settings: Settings = field(default=DEFAULTS)
    good_teaches: bool = False
    like: str | None = None


def tiles(root: Path, stem: str, **split: Any) -> list[str]:
    """The magnetic tiles, grouped by runs of frame numbers."""
    carpet_data.prepare(DATA / "mtd", root, group_runs=r"num_(\d+)", gap=100)
    return list(carpet_data.split(root, stem, **split).splits)


def screws(root: Path) -> list[str]:
    carpet_data.prepare(DATA / "mvtec" / "screw_512", root)
    return list(carpet_data.split(root, "third", protocol="first-third").splits)


def carpets(root: Path, protocol: str) -> list[str]:
    carpet_data.prepare(DATA / "mvtec" / "carpet", root)
    return list(carpet_data.split(root, "turn", protocol=protocol).splits)  # type: ignore[arg-type]


# Partitions of these seeds were not looked at while recipes and settings were chosen (see "What was tried").
FRESH = 12
BOTH: Pools = {MIXED: (("donor-paste", 60), ("resynthesis", 100))}
PASTE: Pools = {"donor-paste": (("donor-paste", 100),)}
OF_ONE: Pools = {"donor-paste": (("donor-paste", 30),), "resynthesis": (("resynthesis", 30),)}

PROTOCOLS: dict[str, Protocol] = {
    "mtd-longtail": Protocol(
        "mtd-longtail, one third of the groups teaches",
        lambda root: tiles(root, "third", fractions=(1 / 3, 2 / 3), repeats=5, seed=FRESH),
        {**PASTE, **BOTH},
        methods=tuple(METHODS),
    ),
    "mtd-half-good": Protocol(
        "mtd-longtail, the same partitions and images, half of what is drawn is good",
        lambda root: tiles(root, "third", fractions=(1 / 3, 2 / 3), repeats=5, seed=FRESH),
        {**PASTE, **BOTH},
        settings=DEFAULTS.but(good_share=0.5),
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
    "carpet-1-shot": Protocol(
        "carpet-fewshot, one image a class teaches",
        lambda root: carpets(root, "rotations"),
        OF_ONE,
        good_teaches=True,
    ),
    "carpet-2-shot": Protocol(
        "carpet-fewshot, one image a class is left out",
        lambda root: carpets(root, "leave-one-out"),
        OF_ONE,
        good_teaches=True,
    ),
}


def as_divided(dataset: Dataset, name: str, *, good_teaches: bool) -> Split:
    """A split of the data set, with good images moved to its train side if asked."""
    split = dataset.splits[name]
    if not good_teaches:
        return split
    moved: dict[str, Side] = {sample.id: "train" for sample in dataset.of_class(GOOD)}
    return replace(split, sides={**split.sides, **moved})


def partitions(dataset: Dataset, splits: Sequence[Split], pools: Pools, work: Path) -> Iterator[Partition]:
    """The partitions with their synthetic images, each made when its turn comes."""
    for number, split in enumerate(splits):
        name = split.name
        found: dict[str, Folder] = {}
        for pool, recipes in pools.items():
            root = work / "pools" / name / pool.replace(" ", "")
            workspaces.create(root, dataset, split)
            for recipe, to in recipes:
                carpet_data.rebalance(root, to, recipe=recipe, seed=number)
            found[pool] = Folder.of(root, workspaces.SPLIT)
        yield Partition(name, Folder(replace(dataset, splits={name: split}), name), found)


def run(name: str, work: Path) -> None:
    """Run one protocol and keep its figures."""
    protocol = PROTOCOLS[name]
    place, journal = work / (protocol.like or name), work / "trainings" / name
    journal.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    root, listing = place / "data", place / "splits.json"
    if not listing.is_file():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        listing.write_text(json.dumps(protocol.prepare(root)))
    last = ""

    def said(what: str, done: int, total: int | None) -> None:
        nonlocal last
        text = f"{what} {done} of {total}, {time.perf_counter() - started:.0f} s"
        if what != last or done == total or done % 256 == 0:
            print(text, flush=True)
        last = what

    conditions = standard(protocol.settings, pools=tuple(protocol.pools), methods=protocol.methods)
    dataset = layout.read(root)
    names = json.loads(listing.read_text())
    splits = [as_divided(dataset, each, good_teaches=protocol.good_teaches) for each in names]
    classes = tuple(sorted(dataset.classes, key=lambda each: (each != GOOD, each)))
    found = compare.run(
        partitions(dataset, splits, protocol.pools, place),
        conditions,
        seeds=SEEDS,
        classes=classes,
        done=trainings.read(journal),
        keep=lambda training: trainings.append(journal, training),
        cache=work / "features",
        said=said,
    )
    seconds = time.perf_counter() - started
    target = HERE / "evidence" / f"{name}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(facts(protocol, found, seconds), indent=1, ensure_ascii=False) + "\n")
    print(table(json.loads(target.read_text())))


def type_accuracy(found: Comparison, condition: str) -> dict[str, Any]:
    """How often a test defect gets its own type, `good` no answer: the figure that the field publishes.

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
        "pools": {name: [list(step) for step in steps] for name, steps in protocol.pools.items()},
        "seeds": len(SEEDS),
        "minutes": round(seconds / 60, 1),
        "type_accuracy": {condition.name: type_accuracy(found, condition.name) for condition in found.conditions},
        "verdicts": [verdict.to_json() for verdict in judge(found, tuple(f"real + {pool}" for pool in protocol.pools))],
        **values,
    }


def table(values: dict[str, Any]) -> str:
    """The Markdown of one protocol."""
    contrasts = {contrast["condition"]: contrast for contrast in values["contrasts"]}
    scored = values["test_units"].get(GOOD, 0) > 0
    lines: list[str | None] = [
        f"### {values['title']}",
        "",
        f"{counted(len(values['partitions']), 'partition')}, {values['seeds']} seeds, {values['minutes']} minutes. "
        f"Groups of test images: {', '.join(f'{name} {count}' for name, count in values['test_units'].items())}.",
        "",
        "| condition | real + synthetic images | balanced accuracy | macro F1 | recall of good | type accuracy "
        "| difference to the baseline | p |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in values["conditions"].items():
        contrast = contrasts.get(name)
        paired = None if contrast is None else contrast["paired_bootstrap"]
        kind = values["type_accuracy"][name]
        share = kind["right"] / kind["images"] if kind["images"] else 0.0
        lines.append(
            f"| {name} | {row['real_images']} + {row['synthetic_images']} | {_figure(row['balanced_accuracy'])} "
            f"| {_figure(row['macro_f1'])} | {_figure(row['recalls'][GOOD]) if scored else '–'} "
            f"| {share:.3f} ({kind['low']:.3f} to {kind['high']:.3f}) | "
            + (
                "baseline | |"
                if contrast is None
                else f"{contrast['difference']:+.3f}{_between(paired)} | {_p(paired)} |"
            )
        )
    recalls = [name for name in values["classes"] if values["test_units"].get(name, 0)]
    lines += ["", "| recall of | " + " | ".join(recalls) + " |", "|---|" + "---|" * len(recalls)]
    for name, row in values["conditions"].items():
        lines.append(f"| {name} | " + " | ".join(f"{row['recalls'][each]['value']:.2f}" for each in recalls) + " |")
    if len(values["partitions"]) > 1 and not values["pooled"]:
        shown = [*values["partitions"]]
        lines += ["", "| balanced accuracy in | " + " | ".join(shown) + " |", "|---|" + "---|" * len(shown)]
        for name, row in values["conditions"].items():
            lines.append(f"| {name} | " + " | ".join(f"{row['by_partition'][each]:.3f}" for each in shown) + " |")
    lines += ["", *(f"- **{verdict['verdict']}**: {verdict['sentence']}" for verdict in values["verdicts"])]
    lines += [_over_partitions(contrasts[verdict["condition"]]) for verdict in values["verdicts"]]
    lines += [f"- {warning}" for warning in values["warnings"]]
    return "\n".join(line for line in lines if line is not None).rstrip()


def _over_partitions(contrast: dict[str, Any]) -> str | None:
    """The same comparison by macro F1, and with partitions, not test images, as what varies."""
    spread, f1 = contrast["corrected_t"], contrast["paired_bootstrap_macro_f1"]
    if spread is None:
        return None
    better = sum(value > 0 for value in contrast["by_partition"].values())
    return (
        f"- {contrast['condition']} over partitions: better in {better} of {len(contrast['by_partition'])}, "
        f"corrected resampled t-test (Nadeau and Bengio 2003) p = {_number(spread['p_value'])}; "
        f"macro F1 {f1['difference']:+.3f}{_between(f1)}, p = {_p(f1)}"
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _figure(values: dict[str, Any]) -> str:
    interval = values["interval"]
    if values["value"] is None:
        return "–"
    return f"{values['value']:.3f}" + (
        "" if interval is None else f" ({interval['low']:.3f} to {interval['high']:.3f})"
    )


def _between(paired: dict[str, Any] | None) -> str:
    return "" if paired is None else f" ({paired['interval']['low']:+.3f} to {paired['interval']['high']:+.3f})"


def _p(paired: dict[str, Any] | None) -> str:
    return "–" if paired is None else f"{paired['p_value']:.4f}"


def render() -> None:
    """Write the tables into the page, between their marks."""
    text = PAGE.read_text(encoding="utf-8")
    for path in sorted((HERE / "evidence").glob("*.json")):
        begin, end = f"<!-- table: {path.stem} -->", f"<!-- end: {path.stem} -->"
        if begin not in text:
            raise SystemExit(f"docs/evidence.md has no mark {begin}")
        head, rest = text.split(begin)
        text = f"{head}{begin}\n\n{table(json.loads(path.read_text(encoding='utf-8')))}\n\n{end}{rest.split(end)[1]}"
    PAGE.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("protocols", nargs="*", choices=[*PROTOCOLS, []], metavar="PROTOCOL", help=", ".join(PROTOCOLS))
    parser.add_argument(
        "--work", type=Path, default=Path("evidence-work"), help="data, features, images; may be removed"
    )
    parser.add_argument("--render", action="store_true", help="write the tables of docs/evidence.md")
    given = parser.parse_args()
    for name in given.protocols:
        run(name, given.work)
    if given.render:
        render()


if __name__ == "__main__":
    main()
