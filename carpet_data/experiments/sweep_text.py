"""The table of a sweep as Markdown and CSV: the columns of a lab book, with the interval of the test accuracy."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from carpet_data.experiments.sweep_records import LineResult
from carpet_data.training.options import TrainOptions

__all__ = ["csv_text", "label", "markdown"]

_NONE = "–"
_SHOWN = frozenset({"resize", "epochs", "learning_rate", "architecture", "weights", "seed", "device"})
"""TrainOptions that have a column of their own, and those that are the same in every row."""
_HEADS = (
    "resize",
    "epochs",
    "learning rate",
    "train loss",
    "train accuracy %",
    "val loss",
    "val accuracy %",
    "test accuracy %",
    "95 % interval",
    "model",
    "weights",
)


def markdown(lines: Sequence[LineResult]) -> str:
    """The table as Markdown, its columns aligned; accuracies in percent, what was not measured as a dash."""
    others = _varied(lines)
    rows = [(*_HEADS, *(name.replace("_", " ") for name in others)), *(_cells(line, others) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    text_columns = len(_HEADS) - 2
    shown = ["| " + " | ".join(_aligned(row, widths, text_columns)) + " |" for row in rows]
    rule = ["-" * width + ("" if column >= text_columns else ":") for column, width in enumerate(widths)]
    shown.insert(1, "|" + "|".join(f" {dash}" if dash.endswith(":") else f" {dash} " for dash in rule) + "|")
    return "\n".join(shown) + "\n"


def csv_text(lines: Sequence[LineResult]) -> str:
    """The table as CSV; accuracies as shares, what was not measured is empty, `status` is what became of the row."""
    others = _varied(lines)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    metrics = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
    of_test = ("test_accuracy", "test_accuracy_low", "test_accuracy_high")
    own = ("model", "weights", *others, "seeds", "status")
    writer.writerow(("resize", "epochs", "learning_rate", *metrics, *of_test, *own))
    for line in lines:
        interval = line.test_interval
        values: list[Any] = [line.settings.resize, _epochs(line), line.settings.learning_rate]
        values += [_digits(line.mean(metric)) for metric in metrics]
        values += [_digits(line.test_accuracy)]
        values += ["", ""] if interval is None else [_digits(interval.low), _digits(interval.high)]
        values += [line.architecture, line.weights, *(getattr(line.settings, name) for name in others)]
        values += [len(line.records), _status(line)]
        writer.writerow(values)
    return stream.getvalue()


def label(line: LineResult, others: Sequence[LineResult]) -> str:
    """A line's name in a plot of these lines: `128 px, 150 epochs, resnet50 IMAGENET1K_V2`."""
    parts = [f"{line.settings.resize} px", f"{_epochs(line)} epochs"]
    if len({other.settings.learning_rate for other in others}) > 1:
        parts.append(f"lr {line.settings.learning_rate:g}")
    several = len({other.weights for other in others if other.architecture == line.architecture}) > 1
    parts.append(f"{line.architecture} {line.weights}" if several else line.architecture)
    parts += [f"{name.replace('_', ' ')} {getattr(line.settings, name)}" for name in _varied(others)]
    return ", ".join(parts)


def _varied(lines: Sequence[LineResult]) -> list[str]:
    """The other settings in which the lines differ."""
    return [
        name
        for name in TrainOptions().to_json()
        if name not in _SHOWN and len({getattr(line.settings, name) for line in lines}) > 1
    ]


def _cells(line: LineResult, others: Sequence[str]) -> tuple[str, ...]:
    interval = line.test_interval
    return (
        str(line.settings.resize),
        str(_epochs(line)),
        f"{line.settings.learning_rate:g}",
        _fixed(line.mean("train_loss")),
        _percent(line.mean("train_accuracy")),
        _fixed(line.mean("val_loss")),
        _percent(line.mean("val_accuracy")),
        _percent(line.test_accuracy),
        _NONE if interval is None else f"{100 * interval.low:.1f} to {100 * interval.high:.1f}",
        line.architecture,
        _weights(line),
        *(str(getattr(line.settings, name)).replace("|", r"\|") for name in others),
    )


def _epochs(line: LineResult) -> int:
    """The epochs of a row; where `steps` overrule them, those that the steps came to."""
    if line.settings.steps is not None and line.records:
        return line.records[0].epochs
    return line.settings.epochs


def _weights(line: LineResult) -> str:
    shown = line.missing or (f"{line.weights} (fallback)" if line.fallback else line.weights)
    return shown.replace("|", r"\|")


def _status(line: LineResult) -> str:
    if line.missing:
        return line.missing
    return "fallback" if line.fallback else "done"


def _aligned(row: Sequence[str], widths: Sequence[int], text_columns: int) -> list[str]:
    return [
        cell.ljust(width) if column >= text_columns else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def _fixed(value: float | None) -> str:
    return _NONE if value is None else f"{value:.2f}"


def _percent(share: float | None) -> str:
    return _NONE if share is None else f"{100 * share:.2f}"


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
