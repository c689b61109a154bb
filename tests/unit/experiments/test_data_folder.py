"""A Dataset stands for its folder in every function that works on one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.carpets import prepared_carpet

import carpet_data as cd
from carpet_data.errors import CarpetDataError, UsageError

QUICK = cd.TrainOptions(architecture="resnet18", weights="none", resize=32, epochs=1, device="cpu")

Call = Callable[[Any, Path], Any]


def trained(data: Any, out: Path) -> Any:
    return cd.train(data, out, QUICK, overwrite=True, worst=0, heatmaps=0, workers=1).metrics["test"]


CALLS: dict[str, Call] = {
    "synthesize": lambda data, _: cd.synthesize(data, "hole", 2, dry_run=True),
    "rebalance": lambda data, _: cd.rebalance(data, 9, dry_run=True),
    "fit": lambda data, _: cd.fit(data, "ddpm-inpaint", dry_run=True),
    "train": lambda data, out: cd.train(
        data, out / "run", QUICK, overwrite=True, worst=0, heatmaps=0, workers=1
    ).metrics["test"],
    "sweep": lambda data, out: cd.sweep(data, "homework", out / "sweep", split="other"),
    "validate": lambda data, _: cd.validate(data, training=QUICK.but(steps=5), dry_run=True),
    "score": lambda data, _: cd.score(data, backbone="none", workers=1),
    "drop": lambda data, _: cd.drop(data, ["class=hole"], dry_run=True),
    "groups": lambda data, _: cd.groups(data),
    "split": lambda data, _: cd.split(data, "other", fractions=(0.5, 0.5), dry_run=True),
    "doctor": lambda data, _: cd.doctor(data, workers=1),
    "curate": lambda data, _: cd.curate(data, cd.Choices(frozenset(), {}), dry_run=True),
    "report": lambda data, out: cd.report(data, out / "page.html", overwrite=True, workers=1),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_carpet(tmp_path_factory.mktemp("carpet"), to=6)


def outcome(call: Call, data: Any, out: Path) -> Any:
    """What a call gives: its result as JSON, or its error."""
    try:
        result = call(data, out)
    except CarpetDataError as error:
        return type(error), str(error)
    return result.to_json() if hasattr(result, "to_json") else result


@pytest.mark.parametrize("name", CALLS)
def test_a_dataset_is_its_folder(root: Path, tmp_path: Path, name: str) -> None:
    by_path = outcome(CALLS[name], root, tmp_path)
    assert name in ("sweep", "split") or not isinstance(by_path, tuple), by_path
    assert outcome(CALLS[name], cd.read(root), tmp_path) == by_path


@pytest.mark.parametrize("name", ["fit", "train", "sweep", "validate"])
def test_a_raw_dataset_is_refused_like_its_path(root: Path, tmp_path: Path, name: str) -> None:
    raw = root.parent / "raw"
    refused = outcome(CALLS[name], raw, tmp_path)
    assert refused[0] is cd.DataError
    assert outcome(CALLS[name], cd.read(raw), tmp_path) == refused


def test_a_validation_without_a_number_of_steps(root: Path) -> None:
    with pytest.raises(UsageError, match="real-only has no number of steps"):
        cd.validate(root, training=QUICK, dry_run=True)


@pytest.mark.parametrize("name", CALLS)
def test_a_filtered_dataset_is_not_its_folder(root: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="a filtered data set cannot stand for its whole folder"):
        CALLS[name](cd.read(root).of_class("hole"), tmp_path)
