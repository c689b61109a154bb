"""`carpet-data validate`: the whole way on a small carpet, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from helpers.carpets import COUNTS, copied, planted, rewritten
from helpers.command import Called

import carpet_data
from carpet_data import store
from carpet_data.core.progress import Step
from carpet_data.errors import UsageError
from carpet_data.experiments.conditions import BASELINE, BASELINE_TRAINING
from carpet_data.experiments.options import ValidateOptions
from carpet_data.preparation.options import SplitOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.reporting.pages import load
from carpet_data.store import runs
from carpet_data.weave.sample import sample

SMALL = ("--arch", "resnet18", "--weights", "none", "--resize", 32, "--views", 2, "--steps", 20, "--seeds", 2)
SMALL = (*SMALL, "--device", "cpu", "--workers", 1)
QUICK = ("--task", "classify", *SMALL)
CONDITIONS = ["real-only", BASELINE, "synthetic-only", "real + synthetic"]
Run = Callable[..., Called]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Several threads wait for each other on images so small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def carpet(synthesized_carpet: Path, tmp_path: Path) -> Path:
    return copied(synthesized_carpet, tmp_path / "carpet")


def test_a_run_folder_with_report_metrics_and_predictions(carpet: Path, tmp_path: Path, run: Run) -> None:
    called = run("validate", carpet, *QUICK)
    assert called.code == 0, called.err
    folder = carpet / "runs" / "validate-001"
    assert f"report {folder / 'report.html'}" in called.out
    assert all(name in called.out for name in CONDITIONS)
    about = runs.read(folder)
    assert about.finished
    assert about.settings["conditions"] == CONDITIONS
    found = runs.predictions(folder)
    test = {s.id for s in store.read(carpet).on_side("test", "main")}
    assert {(p.condition, p.partition, p.seed, p.side) for p in found} == {
        (name, "main", seed, "test") for name in CONDITIONS for seed in (0, 1)
    }
    assert {p.id for p in found} == test
    assert len(found) == len(test) * len(CONDITIONS) * 2
    metrics = runs.metrics(folder)
    assert metrics["comparisons"][0]["conditions"][BASELINE]["steps"] == 20
    assert metrics["verdicts"][0]["verdict"] in ("helps", "no evidence", "hurts")
    page = load(folder)
    assert page.verdict == metrics["verdicts"][0]["verdict"]
    assert page.comparison.baseline == BASELINE
    assert page.settings["architecture"] == about.settings["architecture"] == "resnet18"
    assert "network resnet18, random weights" in called.out
    assert {"report.md", "plots"} <= {path.name for path in folder.iterdir()}
    assert sorted(path.name for path in folder.iterdir() if "partial" in path.name or path.name == "work") == []
    again = run("validate", carpet, *QUICK, "--json", "-o", tmp_path / "again").json
    assert again["comparisons"] == metrics["comparisons"], "the same bits again"
    assert again["plan"][3]["synthetic_images"] > 0
    assert run("validate", carpet, *QUICK, "--json", "-o", tmp_path / "again").json["error"] == "OutputError"


def test_a_dry_run_writes_nothing(carpet: Path, run: Run) -> None:
    called = run("validate", carpet, *QUICK, "--dry-run", "--partitions", 3, "--to", 12, "--methods", "lmr")
    assert called.code == 0, called.err
    assert "dry run: 30 training runs on" in called.out
    lines = [line.split() for line in called.out.splitlines()]
    assert ["partition", "0", "…", "partition", "2:"] in lines
    assert sum("real-only" in line for line in lines) == 1, "equal partitions are listed once"
    assert not (carpet / "runs").exists()


def test_partitions_synthesize_anew_in_workspaces(carpet: Path, run: Run) -> None:
    before = sorted(path for path in carpet.rglob("*") if path.is_file())
    called = run("validate", carpet, *QUICK, "--partitions", 2, "--to", 8, "--methods", "crt", "--json")
    assert called.code == 0, called.err
    values = called.json
    assert values["comparisons"][0]["partitions"] == ["partition 0", "partition 1"]
    assert values["comparisons"][0]["contrasts"][0]["corrected_t"] is not None
    assert {row["synthetic_images"] for row in values["plan"] if row["condition"] == "real + synthetic"} <= {5, 6, 7}
    folder = Path(values["run"])
    assert not (folder / "work").exists()
    after = sorted(p for p in carpet.rglob("*") if p.is_file() and "runs" not in p.relative_to(carpet).parts)
    assert after == before


def test_recipes_are_compared_on_the_same_split(carpet: Path, run: Run) -> None:
    called = run("validate", carpet, *QUICK, "--recipes", "donor-paste,nsa", "--to", 8, "--keep-work", "--json")
    assert called.code == 0, called.err
    values = called.json
    assert [verdict["condition"] for verdict in values["verdicts"]] == ["real + donor-paste", "real + nsa"]
    assert {verdict["adjusted_over"] for verdict in values["verdicts"]} == {2}
    work = Path(values["run"]) / "work" / "main"
    for name in ("donor-paste", "nsa"):
        made = store.read(work / name)
        assert {s.provenance["method"] for s in made if s.provenance is not None} == {name}
        assert list(store.verify(made.root)) == []


def test_existing_splits_are_partitions(tmp_path: Path, run: Run) -> None:
    sample(tmp_path / "raw", size=96, counts=COUNTS, workers=1)
    prepare(tmp_path / "raw", tmp_path / "folds", SplitOptions(k_fold=3), workers=1)
    options = ("--splits", "fold0,fold1", "--recipes", "donor-paste", "--to", 8, "--seeds", 1)
    called = run("validate", tmp_path / "folds", *QUICK, *options, "--json")
    assert called.code == 0, called.err
    assert called.json["comparisons"][0]["partitions"] == ["fold0", "fold1"]


def test_a_stopped_run_goes_on(carpet: Path, tmp_path: Path) -> None:
    settings = BASELINE_TRAINING.but(
        architecture="resnet18", weights="none", resize=32, views=2, steps=20, device="cpu", augment="light"
    )

    def stop(step: Step) -> None:
        if step.what.startswith("training, partition 1") and step.done == 2:
            raise KeyboardInterrupt

    options = ValidateOptions(task="classify", partitions=2, to=8, seeds=1)
    whole = carpet_data.validate(carpet, tmp_path / "whole", options, settings, workers=1)
    with pytest.raises(KeyboardInterrupt):
        carpet_data.validate(carpet, None, options, settings, workers=1, progress=stop)
    other = carpet_data.validate(carpet, None, options, settings.but(architecture="resnet34"), workers=1)
    assert not other.resumed, "never with another network"
    resumed = carpet_data.validate(str(carpet), None, options, settings, workers=1)
    assert resumed.resumed
    assert resumed.run == carpet / "runs" / "validate-001"
    assert resumed.metrics is not None
    assert resumed.metrics == whole.metrics
    assert resumed.checks == whole.checks
    assert resumed.report is not None
    assert resumed.report.is_file()


def test_options_by_name_and_unknown_ones_with_the_nearest(carpet: Path) -> None:
    network = {"architecture": "resnet34", "weights": "none"}
    named = carpet_data.validate(
        carpet, task="classify", partitions=2, seeds=1, to=8, steps=20, **network, dry_run=True
    )
    settings = BASELINE_TRAINING.but(steps=20, architecture="resnet34", weights="none")
    options = ValidateOptions(task="classify", partitions=2, seeds=1, to=8)
    assert named == carpet_data.validate(carpet, None, options, settings, dry_run=True)
    assert (named.seeds, named.steps, named.architecture) == (1, 20, "resnet34")
    for unknown, nearest in (("partition", "partitions"), ("batchsize", "batch_size")):
        with pytest.raises(UsageError, match=f"unknown option '{unknown}'") as caught:
            carpet_data.validate(carpet, dry_run=True, **{unknown: 2})
        assert nearest in str(caught.value.hint)


def test_a_planted_mark_is_flagged_and_lifts_nothing(carpet: Path, run: Run) -> None:
    # With a mark on every synthetic image a classifier may learn the mark; on real test images there is none.
    planted(carpet)
    called = run("validate", carpet, *QUICK, "--steps", 100)
    assert called.code == 0, called.err
    assert "shortcut in synthetic: outside the defects" in called.out
    assert "top left" in called.out
    page = load(carpet / "runs" / "validate-001")
    assert page.verdict != "helps"
    assert [check.result for check in page.checks["synthetic"][:2]] == ["flagged", "flagged"]
    assert "top left" in (carpet / "runs" / "validate-001" / "report.html").read_text(encoding="utf-8")


def test_a_leaking_manifest_is_refused(carpet: Path, run: Run) -> None:
    dataset = store.read(carpet)
    donor = next(s.provenance["donors"][0] for s in dataset if s.provenance is not None)
    rewritten(carpet, "splits/main.jsonl", lambda row: row | {"side": "test"} if row.get("id") == donor else row)
    called = run("validate", carpet, *QUICK)
    assert called.code == 1
    assert donor in called.err
    assert "leak" in called.err
    assert not (carpet / "runs").exists()


def test_bad_input_is_named_with_its_hint(carpet: Path, tmp_path: Path, run: Run) -> None:
    def fails(*arguments: object, code: int = 1) -> str:
        called = run("validate", *arguments, *QUICK)
        assert called.code == code, called.err
        assert "Traceback" not in called.err
        return called.err

    sample(tmp_path / "raw", size=96, counts=COUNTS, workers=1)
    assert "carpet-data prepare" in fails(tmp_path / "raw")
    prepare(tmp_path / "raw", tmp_path / "plain", SplitOptions(fractions=(0.5, 0.5)), workers=1)
    assert "carpet-data rebalance" in fails(tmp_path / "plain")
    assert "unknown split 'fold9'" in fails(carpet, "--split", "fold9", code=2)
    assert "unknown method 'smote'" in fails(carpet, "--methods", "smote", code=2)
    assert "unknown recipe" in fails(carpet, "--recipes", "donor-past", code=2)
    assert "give one of the two" in fails(carpet, "--splits", "main", "--partitions", 2, code=2)
    assert "leave --to out" in fails(carpet, "--to", 30, code=2)
    assert "unknown augmentation" in fails(carpet, "--augment", "stronger", code=2)
    test = {s.id for s in store.read(tmp_path / "plain").on_side("test", "main")}
    path = tmp_path / "plain" / "splits" / "main.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(x for x in lines if json.loads(x).get("id") not in test), encoding="utf-8")
    assert "no image on the test side" in fails(tmp_path / "plain", "--recipes", "donor-paste")


DENSE = (*SMALL, "--dense-steps", 20, "--dense-views", 1, "--dense-folds", 2)


def test_the_dense_head_gives_four_verdicts_and_the_classifier_stays_beside_it(carpet: Path, run: Run) -> None:
    called = run("validate", carpet, *DENSE, "--seeds", 1, "--json")
    assert called.code == 0, called.err
    values = called.json
    views = [("dense", task) for task in ("segment", "classify", "detect", "anomaly")] + [("classifier", "classify")]
    assert [(found["learner"], found["task"]) for found in values["comparisons"]] == views
    assert [(verdict["learner"], verdict["task"]) for verdict in values["verdicts"]] == views
    assert all(list(found["conditions"]) == CONDITIONS for found in values["comparisons"])
    segment = values["comparisons"][0]["conditions"][BASELINE]
    assert segment["scores"]["pixel AP"]["value"] > 0.2
    assert segment["steps"] == 20
    folder = Path(values["run"])
    page = load(folder)
    assert page.comparison.measure == "pixel AP"
    assert page.pictures
    assert all((folder / picture.file).stat().st_size > 1000 for picture in page.pictures)
    assert len(list((folder / "heatmaps").glob("*.png"))) == len(store.read(carpet).on_side("test", "main"))
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert html.count("data:image/jpeg") == len(page.pictures)
    assert all(title in html for title in ("Segmentation, dense head", "Image class, whole-image classifier"))
    names = {prediction.condition for prediction in runs.predictions(folder)}
    assert names == {*CONDITIONS, *(f"whole-image classifier: {name}" for name in CONDITIONS)}


def test_what_the_masks_do_not_allow_is_said(carpet: Path, run: Run) -> None:
    def unmasked(row: dict[str, object]) -> dict[str, object]:
        gone = () if row.get("origin") == "synthetic" else ("mask", "mask_sha256")
        return {name: value for name, value in row.items() if name not in gone}

    rewritten(carpet, "manifest.jsonl", unmasked)
    called = run("validate", carpet, *DENSE, "--dry-run")
    assert called.code == 0, called.err
    assert "no defect image for training has a mask, so only the whole-image classifier is trained" in called.out
    called = run("validate", carpet, *DENSE, "--task", "segment", "--dry-run")
    assert called.code == 1
    assert "no verdict on segment is possible" in called.err
    assert "use another --task" in called.err
