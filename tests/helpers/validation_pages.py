"""Pages of validations, with names and figures that are hard to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from carpet_data.reporting.pages import Check, Condition, Estimate, PairedTest, Partition, Point, ValidationPage

BASELINE = "real only, strong augmentation + balanced sampling"
NAMES = ("real only", BASELINE, "synthetic only", "real + synthetic")
SIX = ("good", "blowhole", "break", "crack", "fray", "uneven")
MANY = ("good", *(f"class_{n:02d}_with_a_really_long_name" if n % 3 else f"Öffnung größer {n}" for n in range(29)))


def history(epochs: int = 12, conditions: Sequence[str] = ()) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "epoch": epoch,
            "train_loss": 2 / epoch + 0.1 * number,
            "train_accuracy": 1 - 0.8 / epoch,
            "val_loss": 2.2 / epoch + 0.1 * number,
            "val_accuracy": 0.9 - 0.7 / epoch - 0.05 * number,
            **({"condition": name, "partition": str(partition)} if name else {}),
        }
        for number, name in enumerate(conditions or ("",))
        for partition in range(2 if name else 1)
        for epoch in range(1, epochs + 1)
    )


def conditions(classes: Sequence[str] = SIX) -> tuple[Condition, ...]:
    random = np.random.default_rng(0)
    found = []
    for number, name in enumerate(NAMES):
        middle = 0.45 + 0.06 * number
        table = random.integers(0, 4, (len(classes), len(classes)))
        table[np.diag_indices(len(classes))] = random.integers(20, 900, len(classes))
        recalls = {
            each: Estimate(value := float(random.uniform(0.2, 0.8)), value - 0.1, value + 0.1) for each in classes
        }
        points = tuple(
            Point(f"partition {p}", seed, middle + float(random.normal(0, 0.03))) for p in range(3) for seed in range(2)
        )
        found.append(
            Condition(
                name,
                Estimate(middle, middle - 0.05, middle + 0.04),
                Estimate(middle - 0.02, middle - 0.07, middle + 0.02),
                recalls,
                steps=1200,
                real_images=312,
                synthetic_images=540 if number > 1 else 0,
                points=points,
                confusion=tuple(tuple(int(count) for count in row) for row in table),
                baseline=name == BASELINE,
            )
        )
    return tuple(found)


def page(classes: Sequence[str] = SIX, **more: Any) -> ValidationPage:
    values: dict[str, Any] = {
        "name": "tiles <b>of</b> 孔",
        "split": "main",
        "fingerprint": "ab12cd34" * 8,
        "verdict": "helps",
        "sentence": "Real + synthetic reaches 0.63, the baseline 0.51: +0.12 (+0.05 to +0.18).",
        "p_value": 0.0042,
        "classes": tuple(classes),
        "conditions": conditions(classes),
        "tests": (
            PairedTest(
                NAMES[3],
                BASELINE,
                "paired bootstrap over groups",
                "balanced accuracy",
                Estimate(0.12, 0.05, 0.18),
                0.0042,
                True,
            ),
            PairedTest(NAMES[3], BASELINE, "McNemar, exact", "accuracy", Estimate(None), 0.0003),
        ),
        "partitions": tuple(
            Partition(f"partition {p}", 840 + p, {name: 0.45 + 0.06 * n for n, name in enumerate(NAMES)})
            for p in range(3)
        ),
        "checks": (
            Check("Can real and synthetic be told apart by their borders?", "flagged", "Yes: AUROC 0.97."),
            Check("Labels shuffled", "passed", "Balanced accuracy 0.17; chance is 0.17."),
        ),
        "leak": "No donor, host or group of a training image lies in val or test.",
        "notes": ("The weights of resnet18 are not here.",),
        "settings": {"architecture": "efficientnet_lite0", "resize": 128, "learning_rate": 0.001, "a|b": "<x>"},
        "versions": {"python": "3.12", "carpet-data": "0.1.0"},
        "license": "free for research",
        "seconds": 412.3,
        "history": history(conditions=NAMES),
    }
    return ValidationPage(**{**values, **more})
