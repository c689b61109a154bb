"""Tables of a sweep: what they may contain, and the messages for an invalid one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from carpet_data.errors import CarpetDataError, DataError, UsageError
from carpet_data.experiments import sweep_table
from carpet_data.synthesis.recipe import files

HOMEWORK = """
32 50 resnet18 V1, 64 50 resnet18 V1, 64 100 resnet18 V1, 64 100 resnet50 V1, 128 100 resnet50 V1, 128 100 resnet50 V2,
256 100 resnet50 V2, 128 150 resnet50 V2, 64 150 resnet50 V2, 256 150 resnet50 V2, 128 300 resnet50 V2,
32 300 resnet50 V2, 256 300 resnet50 V2
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_homework_has_its_thirteen_rows() -> None:
    table = sweep_table.load("homework")
    expected = [tuple(row.split()) for row in HOMEWORK.replace("\n", " ").split(",")]
    found = [
        (str(s.resize), str(s.epochs), s.architecture, s.weights.removeprefix("IMAGENET1K_"))
        for s in (row.settings for row in table.rows)
    ]
    assert found == expected
    assert {row.settings.learning_rate for row in table.rows} == {0.001}
    assert all(row.settings.frozen for row in table.rows)
    assert [row.number for row in table.rows] == list(range(1, 14))
    assert table.fallback == "efficientnet_lite0"


def test_tables_are_no_recipes() -> None:
    assert "homework" in sweep_table.shipped()
    assert not set(sweep_table.shipped()) & set(files.shipped())


def test_rows_and_a_grid(tmp_path: Path) -> None:
    table = sweep_table.load(
        write(
            tmp_path,
            "schema: 1\nsettings: {learning_rate: 1e-2, epochs: 3}\n"
            "rows:\n  - {resize: 32}\n  - {resize: 40, epochs: 9}\n"
            "grid:\n  resize: [48, 64]\n  loss: [cross-entropy, logit-adjusted]\n",
        )
    )
    found = [(row.settings.resize, row.settings.epochs, row.settings.loss) for row in table.rows]
    assert found[:2] == [(32, 3, "cross-entropy"), (40, 9, "cross-entropy")]
    assert found[2:] == [(size, 3, loss) for size in (48, 64) for loss in ("cross-entropy", "logit-adjusted")]
    assert {row.settings.learning_rate for row in table.rows} == {0.01}
    assert table.fallback is None
    assert [row.where.rpartition(" ")[2] for row in table.rows] == ["4", "5", "6", "6", "6", "6"]


def test_freeze_is_replaced() -> None:
    table = sweep_table.load("homework", freeze="until layer3")
    assert {row.settings.freeze for row in table.rows} == {"until layer3"}


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("schema: 1\nrow: []", "unknown key 'row'", "did you mean 'rows'?"),
        ("schema: 1\nrows:\n  - {resizee: 64}", "unknown setting 'resizee'", "did you mean 'resize'?"),
        ("schema: 1\nrows:\n  - {lr: 0.1}", "unknown setting 'lr'", "did you mean 'learning_rate'?"),
        (
            "schema: 1\nsettings: {model: resnet18}\nrows: [{}]",
            "unknown setting 'model'",
            "did you mean 'architecture'?",
        ),
        ("schema: 1\ngrid: {epoch: [1]}", "unknown setting 'epoch'", "did you mean 'epochs'?"),
        ("schema: 1\nrows:\n  - {seed: 1}", "seed cannot be set per row", "use --seed and --seeds"),
        ("schema: 1\nrows:\n  - {device: cpu}", "device cannot be set per row", "use --device"),
        (
            "schema: 1\nrows:\n  - {resize: 64}\n  - {resize: '64'}",
            "row 2: invalid --resize value '64'",
            "whole number",
        ),
        ("schema: 1\nrows:\n  - {optimizer: lion}", "row 1: invalid --optimizer value 'lion'", "use one of: sgd"),
        ("schema: 1\nrows:\n  - {mix: cutmix}", "row 1: cutmix needs images", "--freeze none"),
        ("schema: 1\nrows: {resize: 64}", "rows is not a list", "- {…}"),
        ("schema: 1\nrows: [64]", "invalid settings", "resize: 64"),
        ("schema: 1\ngrid: {resize: 64}", "grid: resize is not a list of values", "`resize: [first, second]`"),
        ("schema: 1\ngrid: {resize: []}", "grid: resize is not a list of values", "`resize: [first, second]`"),
        ("schema: 1", "the table has no rows", "`rows:` or `grid:`"),
        ("rows: [{}]", "unsupported schema None", "schema: 1"),
        ("schema: 2\nrows: [{}]", "unsupported schema 2", "schema: 1"),
        ("schema: 1\nfallback: true\nrows: [{}]", "invalid fallback", "name a network"),
        (
            "schema: 1\ngrid: {seed: [1]}",
            "seed cannot be set per row",
            "--seeds",
        ),
        (
            f"schema: 1\ngrid: {{resize: {list(range(8, 48))}, epochs: {list(range(1, 40))}}}",
            "more than 1000 rows",
            "split it",
        ),
    ],
)
def test_a_wrong_table_is_told_where_and_how(text: str, what: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        sweep_table.load(write(tmp_path, text))
    assert what in caught.value.what
    assert hint in (caught.value.hint or "")
    assert "mine.yaml" in (caught.value.where or "")


def test_what_is_no_yaml_or_not_there(tmp_path: Path) -> None:
    for text in ("", "rows: [", "- 1", "a: &x 1"):
        with pytest.raises(DataError) as caught:
            sweep_table.load(write(tmp_path, text))
        assert "method" not in str(caught.value)
    with pytest.raises(UsageError, match="table file not found"):
        sweep_table.load(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match=re.escape("did you mean 'homework'?")):
        sweep_table.load("homewrok")


def test_the_line_of_a_wrong_value_is_named(tmp_path: Path) -> None:
    with pytest.raises(CarpetDataError) as caught:
        sweep_table.load(
            write(tmp_path, "schema: 1\nrows:\n  - resize: 64\n    epochs: 2\n  - resize: 64\n    epoch: 2\n")
        )
    assert caught.value.where is not None
    assert caught.value.where.endswith("mine.yaml, line 6")
