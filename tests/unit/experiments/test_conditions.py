"""The conditions differ in what is compared and in nothing else."""

from __future__ import annotations

import pytest

from carpet_data.errors import UsageError
from carpet_data.experiments.conditions import BASELINE, BASELINE_TRAINING, METHODS, REAL_ONLY, standard


def test_synthetic_images_are_the_only_difference_to_the_baseline() -> None:
    found = {condition.name: condition for condition in standard()}
    assert list(found) == [REAL_ONLY, BASELINE, "synthetic-only", "real + synthetic"]
    baseline, both = found[BASELINE], found["real + synthetic"]
    assert both.settings == baseline.settings == BASELINE_TRAINING
    assert (baseline.pool, both.pool) == (None, "synthetic")
    assert baseline.real_defects
    assert both.real_defects
    assert not found["synthetic-only"].real_defects
    assert found["synthetic-only"].settings == BASELINE_TRAINING


def test_real_only_has_neither_augmentation_nor_balancing() -> None:
    plain = standard()[0].settings
    assert (plain.augment, plain.sampling, plain.number_of_views) == ("none", "instance", 1)
    given = {
        name: getattr(BASELINE_TRAINING, name)
        for name in ("augment", "views", "sampling", "good_share", "synthetic_share")
    }
    assert plain.but(**given) == BASELINE_TRAINING


def test_every_recipe_and_method_gets_its_rows() -> None:
    names = [condition.name for condition in standard(pools=("a", "b"), methods=tuple(METHODS))]
    assert names[2 : 2 + len(METHODS)] == [f"real + {name}" for name in METHODS]
    assert names[2 + len(METHODS) :] == ["a-only", "real + a", "b-only", "real + b"]


def test_methods_change_what_their_papers_change() -> None:
    found = {condition.name: condition.settings for condition in standard(methods=tuple(METHODS))}
    assert found["real + logit-adjusted"].sampling == "instance"
    assert found["real + effective-number"].sampling == "instance"
    assert found["real + mixup"].sampling == "balanced"
    assert found["real + lmr"].lmr
    assert found["real + crt"].retrain_head


def test_an_unknown_method_and_a_name_given_twice_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown method 'smote'"):
        standard(methods=("smote",))
    with pytest.raises(UsageError, match="duplicate condition"):
        standard(pools=("a",), methods=("crt", "crt"))
