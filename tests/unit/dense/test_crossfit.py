"""Folds of the training images."""

from __future__ import annotations

from collections import Counter

from carpet_data.dataset import Sample
from carpet_data.training.dense.crossfit import folds_of


def _sample(name: str, kind: str, group: str | None = None, **more: object) -> Sample:
    return Sample(name, f"{name}.png", kind, 8, 8, group=group, **more)  # type: ignore[arg-type]


def test_groups_stay_together_and_every_real_image_is_held_out_once() -> None:
    samples = [_sample(f"{kind}{n}", kind, f"{kind}{n // 2}") for kind in ("good", "hole", "cut") for n in range(8)]
    folds = folds_of(samples, 4, seed=0)
    assert Counter(row for fold in folds for row in fold.held_out) == Counter(range(24))
    for fold in folds:
        held = {samples[row].group for row in fold.held_out}
        assert not held & {sample.group for sample, used in zip(samples, fold.train, strict=True) if used}
        assert {samples[row].class_name for row in fold.held_out} == {"good", "hole", "cut"}


def test_one_image_of_each_class() -> None:
    samples = [_sample(name, name) for name in ("hole", "cut", "thread")]
    folds = folds_of(samples, 5, seed=0)
    assert [len(fold.held_out) for fold in folds] == [1, 1, 1]
    assert all(fold.train.sum() == 2 for fold in folds)


def test_synthetic_images_leave_with_what_they_were_made_from() -> None:
    real = [_sample(name, "hole" if "h" in name else "good") for name in ("h1", "h2", "g1", "g2")]
    made = _sample("s", "hole", origin="synthetic", provenance={"host": "g1", "donors": ["h1"]})
    for fold in folds_of([*real, made], 2, seed=0):
        held = {real[row].id for row in fold.held_out}
        assert bool(fold.train[4]) == (not held & {"g1", "h1"})
        assert 4 not in fold.held_out


def test_one_group_cannot_be_divided() -> None:
    assert folds_of([_sample("a", "hole", "x"), _sample("b", "good", "x")], 5, seed=0) == ()
