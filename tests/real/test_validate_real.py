"""Validation on real carpet: rotations of one image a class, synthesized from the train side of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import carpet_data
from carpet_data import store
from carpet_data.experiments.conditions import BASELINE, BASELINE_TRAINING
from carpet_data.experiments.options import ValidateOptions
from carpet_data.preparation.options import SplitOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.store import runs
from carpet_data.training.dense.options import DenseOptions

pytestmark = pytest.mark.real


def test_rotations_of_real_carpet(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    root = tmp_path / "prepared"
    prepare(real_data("mvtec/carpet"), root, SplitOptions(protocol="rotations"), workers=2)
    settings = BASELINE_TRAINING.but(
        architecture="resnet18", weights="none", resize=64, views=2, steps=20, device="cpu", augment="light"
    )
    splits = sorted(name for name in store.read(root).splits if name.startswith("rotation"))
    options = ValidateOptions(splits=tuple(splits), recipes=("donor-paste",), to=3, seeds=1)
    dense = DenseOptions(scale=0.25, strides=(8,), views=1, steps=60, folds=2, background=1.0)
    done = carpet_data.validate(root, None, options, settings, dense=dense, workers=2)
    assert done.metrics is not None
    assert done.metrics.partitions == tuple(splits)
    assert done.run is not None
    tested = {p.id for p in runs.predictions(done.run) if p.condition == BASELINE}
    assert len([name for name in tested if not name.startswith("good")]) == 15, "every defect image is tested"
    assert min(count for name, count in done.metrics.test_units.items() if name != "good") >= 2
    assert not [answer for answers in done.checks.values() for answer in answers if answer.result == "flagged"]
    segment = done.metrics
    assert (segment.learner, segment.task, segment.measure) == ("dense", "segment", "pixel AP")
    score = segment.conditions[BASELINE].first
    assert score.value is not None
    assert score.interval is not None
    assert score.value > 0.3
    assert [found.title for found in done.comparisons if found.learner == "classifier"]
    assert done.report is not None
    assert done.report.is_file()
