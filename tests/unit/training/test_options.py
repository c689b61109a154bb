"""TrainOptions refuse invalid values, and survive JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from carpet_data.errors import UsageError
from carpet_data.training.course import rate_factor
from carpet_data.training.options import TrainOptions


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "--epochs must be at least 1 (got 0)"),
        ({"epochs": 1.5}, "whole number"),
        ({"epochs": True}, "whole number"),
        ({"learning_rate": 0.0}, "--lr must be above 0"),
        ({"learning_rate": float("nan")}, "give a number"),
        ({"learning_rate": 1e38}, "at most 1000"),
        ({"good_share": 0.5}, "--sampling balanced"),
        ({"sampling": "balanced", "good_share": 1.0}, "must be below 1"),
        ({"optimizer": "adma"}, "adamw"),
        ({"label_smoothing": 1.0}, "below 1"),
        ({"mix": "cutmix"}, "features only"),
        ({"mix": "mask-cutmix"}, "--freeze none"),
        ({"freeze": "none", "batch_size": 1}, "batch normalization"),
        ({"freeze": ""}, "not empty"),
        ({"lmr": 1}, "true or false"),
        ({"seed": -1}, "at least 0"),
    ],
)
def test_invalid_values_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        TrainOptions(**changes)
    assert words in str(refused.value)


def test_options_survive_json_and_unknown_ones_are_named() -> None:
    settings = TrainOptions(freeze="none", mix="mask-cutmix", steps=7, patience=3)
    assert TrainOptions.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    with pytest.raises(UsageError, match="unknown option 'learning_rat'") as refused:
        TrainOptions.from_json({"learning_rat": 1})
    assert "'learning_rate'" in str(refused.value)


def test_the_digest_is_of_all_but_the_device() -> None:
    settings = TrainOptions()
    assert settings.digest() == TrainOptions(device="cpu").digest()
    assert len({settings.digest(), TrainOptions(seed=1).digest(), TrainOptions(lmr=True).digest()}) == 3


def test_views_follow_the_augmentation() -> None:
    assert [TrainOptions(augment=name).number_of_views for name in ("none", "light")] == [1, 8]
    assert TrainOptions(augment="strong", views=3).number_of_views == 3


def test_schedules_by_hand() -> None:
    assert [rate_factor("constant", step, 9) for step in (0, 8)] == [1.0, 1.0]
    assert [rate_factor("cosine", step, 4) for step in (0, 2)] == pytest.approx([1.0, 0.5])
    assert rate_factor("cosine", 3, 4) == pytest.approx(0.5 * (1 - 2**-0.5))
    assert [rate_factor("step", step, 9) for step in (0, 2, 3, 5, 6, 8)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_options_and_runs_need_no_torch() -> None:
    code = "import sys, carpet_data.training.options, carpet_data.store.runs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
