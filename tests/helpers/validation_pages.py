"""Pages of validations, with names and figures that are hard to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from carpet_data.metrics import Estimate, Interval, PairedResult, SignFlip
from carpet_data.reporting.pages import (
    Check,
    ComparisonMetrics,
    ConditionMetrics,
    Contrast,
    ValidationPage,
    Verdict,
)

BASELINE = "real only, strong augmentation + balanced sampling"
NAMES = ("real only", BASELINE, "synthetic only", "real + synthetic")
SIX = ("good", "blowhole", "break", "crack", "fray", "uneven")
MANY = ("good", *(f"class_{n:02d}_with_a_really_long_name" if n % 3 else f"Öffnung größer {n}" for n in range(29)))


def history(epochs: int = 12) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "epoch": epoch,
            "train_loss": 2 / epoch,
            "train_accuracy": 1 - 0.8 / epoch,
            "val_loss": 2.2 / epoch,
            "val_accuracy": 0.9 - 0.7 / epoch,
        }
        for epoch in range(1, epochs + 1)
    )


def estimate(value: float, below: float = 0.1, above: float = 0.1) -> Estimate:
    return Estimate(value, Interval(value - below, value + above, 0.95))


def conditions(classes: Sequence[str] = SIX) -> dict[str, ConditionMetrics]:
    random = np.random.default_rng(0)
    found = {}
    for number, name in enumerate(NAMES):
        middle = 0.45 + 0.06 * number
        table = random.integers(0, 4, (len(classes), len(classes)))
        table[np.diag_indices(len(classes))] = random.integers(20, 900, len(classes))
        found[name] = ConditionMetrics(
            scores={
                "balanced accuracy": estimate(middle, 0.05, 0.04),
                "macro F1": estimate(middle - 0.02, 0.05, 0.04),
            },
            by_class={each: estimate(float(random.uniform(0.2, 0.8))) for each in classes},
            by_partition={f"partition {p}": middle + 0.01 * p for p in range(3)},
            by_training=tuple(
                (f"partition {p}", seed, middle + float(random.normal(0, 0.03))) for p in range(3) for seed in range(2)
            ),
            confusion=tuple(tuple(int(count) for count in row) for row in table),
            real_images=312,
            synthetic_images=540 if number > 1 else 0,
            steps=1200,
        )
    return found


def compared(classes: Sequence[str] = SIX, **more: Any) -> ComparisonMetrics:
    values: dict[str, Any] = {
        "classes": tuple(classes),
        "baseline": BASELINE,
        "partitions": tuple(f"partition {p}" for p in range(3)),
        "pooled": False,
        "test_images": {f"partition {p}": 840 + p for p in range(3)},
        "test_units": dict.fromkeys(classes, 12),
        "conditions": conditions(classes),
        "contrasts": (
            Contrast(
                NAMES[3],
                BASELINE,
                0.12,
                (
                    PairedResult("balanced accuracy", 0.12, Interval(0.05, 0.18, 0.95), 0.0021, 10_000, 12),
                    PairedResult("macro F1", 0.11, Interval(0.04, 0.17, 0.95), 0.0003, 10_000, 12),
                ),
                sign_flip=SignFlip(0.12, 0.25, 0.25, exact=True),
                by_partition={f"partition {p}": 0.12 for p in range(3)},
            ),
            Contrast(NAMES[0], BASELINE, -0.06),
        ),
    }
    return ComparisonMetrics(**{**values, **more})


def page(classes: Sequence[str] = SIX, **more: Any) -> ValidationPage:
    sentence = "real + synthetic helps: balanced accuracy 0.63, the baseline 0.51: +0.12 (+0.05 to +0.18)."
    values: dict[str, Any] = {
        "name": "tiles <b>of</b> 孔",
        "split": "main",
        "fingerprint": "ab12cd34" * 8,
        "comparisons": (compared(classes),),
        "verdicts": (Verdict(NAMES[3], "helps", sentence, 0.0042, 2),),
        "checks": {
            "synthetic": (
                Check("Can real and synthetic be told apart by their borders?", "flagged", "yes: AUROC 0.97"),
                Check("Labels shuffled", "passed", "balanced accuracy 0.17; chance is 0.17"),
            )
        },
        "leak": "No donor, host or group of a training image lies in val or test.",
        "notes": ("the weights of resnet18 are not available locally",),
        "settings": {"architecture": "efficientnet_lite0", "resize": 128, "learning_rate": 0.001, "a|b": "<x>"},
        "versions": {"python": "3.12", "carpet-data": "0.1.0"},
        "license": "free for research",
        "seconds": 412.3,
    }
    return ValidationPage(**{**values, **more})
