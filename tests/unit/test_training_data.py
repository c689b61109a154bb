"""The images of a training: what train, sweep and validate refuse alike."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from helpers.sources import write_source

from carpet_data.errors import DataError, UsageError
from carpet_data.experiments.sweep import sweep
from carpet_data.experiments.validate import validate
from carpet_data.preparation.options import SplitOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.preparation.split import split
from carpet_data.preparation.train_data import opened, samples_of
from carpet_data.training.train import train


def swept(root: Path, **more: Any) -> object:
    return sweep(root, "homework", **more)


VERBS = (train, swept, validate)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    prepare(write_source(folder / "a source"), folder / "set", SplitOptions(fractions=(0.6, 0.4)), workers=1)
    split(folder / "set", "three", SplitOptions(fractions=(0.5, 0.25, 0.25)))
    return folder / "set"


def test_the_split_that_is_named_else_main(prepared: Path) -> None:
    for name, wanted in ((None, "main"), ("three", "three")):
        dataset, found = opened(prepared, name)
        assert found == wanted
        sides = samples_of(dataset, found)
        assert {side: len(those) for side, those in sides.items()} == {
            side: len(dataset.splits[wanted].ids(side)) for side in ("train", "val", "test")
        }


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
def test_every_verb_says_what_to_do(verb: object, prepared: Path, tmp_path: Path) -> None:
    raw = prepared.parent / "a source"
    with pytest.raises(DataError, match="not a prepared data set") as refused:
        verb(raw)  # type: ignore[operator]
    command = shlex.join(["carpet-data", "prepare", str(raw), "-o", "a source-prepared"])
    assert refused.value.hint == f"prepare it first: {command}"
    with pytest.raises(DataError, match="no such folder"):
        verb(tmp_path / "nothing")  # type: ignore[operator]
    with pytest.raises(UsageError, match="unknown split 'none'"):
        verb(prepared, split="none")  # type: ignore[operator]


@pytest.mark.parametrize("verb", [train, swept], ids=lambda verb: verb.__name__)
def test_one_class_is_refused_before_an_image_is_decoded(verb: object, tmp_path: Path) -> None:
    root = tmp_path / "set"
    prepare(write_source(tmp_path / "one", {"test/hole": 5}), root, workers=1)
    for image in (root / "images" / "hole").iterdir():
        image.unlink()
    with pytest.raises(DataError, match=r"one class only \(hole\)"):
        verb(root)  # type: ignore[operator]
    assert not (root / "runs").exists()
