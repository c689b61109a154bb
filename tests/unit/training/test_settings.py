"""Settings refuse what makes no sense, and survive JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from carpet_data.errors import UsageError
from carpet_data.training.schedules import factor
from carpet_data.training.settings import Settings


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "epochs cannot be 0"),
        ({"epochs": 1.5}, "whole number"),
        ({"epochs": True}, "whole number"),
        ({"learning_rate": 0.0}, "above 0"),
        ({"learning_rate": float("nan")}, "give a number"),
        ({"learning_rate": 1e38}, "small number"),
        ({"good_share": 0.5}, "balanced"),
        ({"sampling": "balanced", "good_share": 1.0}, "between 0 and 1"),
        ({"optimizer": "adma"}, "adamw"),
        ({"label_smoothing": 1.0}, "below 1"),
        ({"mix": "cutmix"}, "only features"),
        ({"mix": "mask-cutmix"}, "--freeze none"),
        ({"freeze": "none", "batch_size": 1}, "batch normalisation"),
        ({"freeze": ""}, "give a text"),
        ({"lmr": 1}, "true or false"),
        ({"seed": -1}, "0 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        Settings(**changes)
    assert words in str(refused.value)


def test_settings_survive_json_and_unknown_ones_are_named() -> None:
    settings = Settings(freeze="none", mix="mask-cutmix", steps=7, patience=3)
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    with pytest.raises(UsageError, match="no setting is called 'learning_rat'") as refused:
        Settings.from_json({"learning_rat": 1})
    assert "'learning_rate'" in str(refused.value)


def test_the_digest_is_of_all_but_the_device() -> None:
    settings = Settings()
    assert settings.digest() == Settings(device="cpu").digest()
    assert len({settings.digest(), Settings(seed=1).digest(), Settings(lmr=True).digest()}) == 3


def test_views_follow_the_augmentation() -> None:
    assert [Settings(augment=name).number_of_views for name in ("none", "light")] == [1, 8]
    assert Settings(augment="strong", views=3).number_of_views == 3


def test_schedules_by_hand() -> None:
    assert [factor("constant", step, 9) for step in (0, 8)] == [1.0, 1.0]
    assert [factor("cosine", step, 4) for step in (0, 2)] == pytest.approx([1.0, 0.5])
    assert factor("cosine", 3, 4) == pytest.approx(0.5 * (1 - 2**-0.5))
    assert [factor("step", step, 9) for step in (0, 2, 3, 5, 6, 8)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_settings_and_runs_need_no_torch() -> None:
    code = "import sys, carpet_data.training.settings, carpet_data.store.runs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
