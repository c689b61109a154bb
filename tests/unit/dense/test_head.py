"""The head of a cell."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from carpet_data.errors import DataError
from carpet_data.training.dense import head as head_module
from carpet_data.training.dense.cells import CellTable
from carpet_data.training.dense.head import fit_cells
from carpet_data.training.dense.options import DenseOptions

CPU = torch.device("cpu")


def _table(count: int = 300, *, seed: int = 0, made: int = 0) -> CellTable:
    """Three classes that differ in one of five features each; the last `made` cells are synthetic."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    features = rng.normal(5, 1, (count, 5))
    features[np.arange(count), labels] += 4
    return CellTable(
        torch.from_numpy(features.astype(np.float16)),
        torch.from_numpy(labels),
        torch.ones(count),
        torch.arange(count) < count - made,
        torch.arange(count) // 10,
    )


@pytest.mark.parametrize("hidden", [0, 8])
def test_it_learns_the_classes(hidden: int) -> None:
    table = _table()
    options = DenseOptions(steps=150, hidden=hidden, background=1.0, learning_rate=0.03).settled()
    head = fit_cells(table, 3, options, seed=0, device=CPU)
    new = _table(200, seed=1)
    logits = head.logits(np.ascontiguousarray(new.features.numpy().T[:, None]))
    assert logits.shape == (3, 1, 200)
    assert (logits[:, 0].argmax(0) == new.labels.numpy()).mean() > 0.9


def test_the_same_seed_gives_the_same_head() -> None:
    options = DenseOptions(steps=20).settled()
    first, again = (fit_cells(_table(), 3, options, seed=3, device=CPU) for _ in range(2))
    other = fit_cells(_table(), 3, options, seed=4, device=CPU)
    assert torch.equal(first.heads[0].layers[0][0], again.heads[0].layers[0][0])
    assert not torch.equal(first.heads[0].layers[0][0], other.heads[0].layers[0][0])


def test_each_head_is_trained_as_if_alone() -> None:
    table, options = _table(), DenseOptions(steps=30, dropout=0.0).settled()
    both = fit_cells(table, 3, options, seed=0, device=CPU, widths=(2, 5))
    for head, width in zip(both.heads, (2, 5), strict=True):
        (alone,) = fit_cells(table, 3, options, seed=0, device=CPU, widths=(width,)).heads
        assert head.channels == width
        torch.testing.assert_close(head.layers[0][0], alone.layers[0][0], rtol=1e-4, atol=1e-5)


def test_training_in_bfloat16_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    options = DenseOptions(steps=60).settled()
    new = _table(200, seed=1)
    found = []
    for half in (False, True):
        monkeypatch.setattr(head_module, "_fast_bfloat16", lambda _, half=half: half)
        trained = fit_cells(_table(), 3, options, seed=0, device=CPU)
        assert trained.heads[0].layers[0][0].dtype == torch.float32
        found.append(trained.logits(np.ascontiguousarray(new.features.numpy().T[:, None])))
    assert not np.array_equal(*found)
    np.testing.assert_allclose(*(np.exp(each) / np.exp(each).sum(axis=0) for each in found), atol=0.05)


def test_synthetic_cells_of_no_weight_change_nothing() -> None:
    table = _table(made=100)
    strange = table.features.clone()
    strange[200:] += 50
    options = DenseOptions(steps=20, synthetic_weight=0.0).settled()
    with_them = fit_cells(
        CellTable(strange, table.labels, table.weights, table.real, table.image), 3, options, seed=0, device=CPU
    )
    rows = table.real
    real = CellTable(table.features[rows], table.labels[rows], table.weights[rows], table.real[rows], table.image[rows])
    without = fit_cells(real, 3, options, seed=0, device=CPU)
    np.testing.assert_allclose(with_them.heads[0].layers[0][0], without.heads[0].layers[0][0], atol=1e-5)


def test_cells_that_are_left_out_change_nothing() -> None:
    table, options = _table(), DenseOptions(steps=20).settled()
    rows = torch.arange(len(table)) < 200
    changed = table.features.clone()
    changed[200:] = 99
    first = fit_cells(table, 3, options, seed=0, device=CPU, rows=rows)
    other = fit_cells(
        CellTable(changed, table.labels, table.weights, table.real, table.image),
        3,
        options,
        seed=0,
        device=CPU,
        rows=rows,
    )
    assert torch.equal(first.heads[0].layers[0][0], other.heads[0].layers[0][0])


def test_a_class_without_cells_is_not_predicted() -> None:
    table = _table()
    head = fit_cells(table, 4, DenseOptions(steps=100).settled(), seed=0, device=CPU)
    logits = head.logits(np.ascontiguousarray(table.features.numpy().T[:, None]))
    assert not (logits[:, 0].argmax(0) == 3).any()


@pytest.mark.parametrize(("missing", "said"), [(0, "no background"), (1, "no defect")])
def test_cells_of_one_kind_only(missing: int, said: str) -> None:
    table = _table()
    rows = table.labels > 0 if missing == 0 else table.labels == 0
    with pytest.raises(DataError, match=said):
        fit_cells(table, 3, DenseOptions(steps=2).settled(), seed=0, device=CPU, rows=rows)


def test_a_training_that_diverges_says_so() -> None:
    table = _table()
    table.features[5] = float("inf")
    with pytest.raises(DataError, match="diverged"):
        fit_cells(table, 3, DenseOptions(steps=5).settled(), seed=0, device=CPU)
