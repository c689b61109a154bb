"""The table of a sweep: its columns, its dashes, its intervals."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from carpet_data.experiments.sweep_records import LineResult, Record
from carpet_data.experiments.sweep_text import csv_text, label, markdown
from carpet_data.training.options import TrainOptions


def record(right: int, **changes: Any) -> Record:
    values = {
        "seed": 0,
        "epochs": 150,
        "train_loss": 0.8,
        "train_accuracy": 0.7821,
        "val_loss": 1.364,
        "val_accuracy": 0.5,
        "test_loss": 1.0,
        "right": right,
        "test_images": 24,
        "seconds": 1.0,
        "history": (),
        "predictions": (),
    }
    return Record(**{**values, **changes})


def line(*records: Record, missing: str = "", weights: str = "IMAGENET1K_V2", **changes: Any) -> LineResult:
    settings = TrainOptions(**{"architecture": "resnet50", "weights": weights, "resize": 128, "epochs": 150, **changes})
    return LineResult("row 1", settings, "resnet50", weights, missing, False, records)


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines()]


def test_the_best_row_of_the_homework() -> None:
    head, _, row = cells(markdown([line(record(16))]))
    assert head == [
        *("resize", "epochs", "learning rate", "train loss", "train accuracy %", "val loss", "val accuracy %"),
        *("test accuracy %", "95 % interval", "model", "weights"),
    ]
    assert row == [
        *("128", "150", "0.001", "0.80", "78.21", "1.36", "50.00", "66.67", "46.7 to 82.0", "resnet50"),
        "IMAGENET1K_V2",
    ]


def test_what_was_not_measured_is_a_dash() -> None:
    without_val = line(record(16, val_loss=None, val_accuracy=None))
    absent = line(missing="weights IMAGENET1K_V2 not available locally: not run")
    rows = cells(markdown([without_val, absent]))[2:]
    assert rows[0][5:7] == ["–", "–"]
    assert rows[1][3:9] == ["–"] * 6
    assert rows[1][10] == "weights IMAGENET1K_V2 not available locally: not run"
    table = list(csv.DictReader(io.StringIO(csv_text([without_val, absent]))))
    assert table[0]["val_accuracy"] == ""
    assert (table[0]["test_accuracy"], table[0]["test_accuracy_low"]) == ("0.666667", "0.467063")
    assert table[0]["status"] == "done"
    assert table[1]["test_accuracy"] == table[1]["test_accuracy_high"] == ""
    assert table[1]["status"] == "weights IMAGENET1K_V2 not available locally: not run"


def test_seeds_are_averaged_and_add_no_images() -> None:
    one, three = line(record(16)), line(record(12), record(16), record(20, train_loss=1.4))
    assert three.test_accuracy == one.test_accuracy
    assert three.test_interval == one.test_interval
    assert three.mean("train_loss") == pytest.approx(1.0)
    assert line(record(16), record(16, val_loss=None)).mean("val_loss") is None


def test_columns_for_what_else_varies() -> None:
    lines = [line(record(16)), line(record(12), loss="logit-adjusted", steps=300)]
    head, _, first, second = cells(markdown(lines))
    assert head[11:] == ["steps", "loss"]
    assert first[11:] == ["None", "cross-entropy"]
    assert second[11:] == ["300", "logit-adjusted"]
    assert label(lines[1], lines) == "128 px, 150 epochs, resnet50, steps 300, loss logit-adjusted"


def test_labels_name_weights_only_where_there_are_several() -> None:
    first, second = line(record(1)), line(record(1), weights="IMAGENET1K_V1", learning_rate=0.01)
    assert label(first, [first]) == "128 px, 150 epochs, resnet50"
    assert label(second, [first, second]) == "128 px, 150 epochs, lr 0.01, resnet50 IMAGENET1K_V1"


def test_a_bar_in_a_name_breaks_no_table() -> None:
    found = markdown([line(record(16), weights="a|b.pth")])
    assert r"a\|b.pth" in found


def test_json() -> None:
    values = line(record(16)).to_json()
    assert values["test_accuracy_interval"]["low"] == pytest.approx(0.467, abs=1e-3)
    assert values["missing"] is None
    assert "predictions" not in values["trainings"][0]
