"""The dense head in an experiment: reproducible, resumable, never shown a held-out image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from carpet_data.errors import DataError, LeakError, UsageError
from carpet_data.experiments import compare
from carpet_data.experiments.conditions import BASELINE, BASELINE_TRAINING, REAL_ONLY, standard
from carpet_data.experiments.journal import DENSE, Training
from carpet_data.experiments.learners import dense as learner_module
from carpet_data.experiments.partitions import Partition
from carpet_data.training.dense.choose import Choice
from carpet_data.training.dense.fit import fit_dense
from carpet_data.training.dense.options import DenseOptions

HEAD = DenseOptions(
    architecture="resnet18", weights="none", strides=(8,), scale=0.5, steps=5, views=2, folds=2, device="cpu"
)
CONDITIONS = standard(BASELINE_TRAINING.but(resize=32), dense=HEAD)


@pytest.fixture(autouse=True)
def few_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield None
    torch.set_num_threads(before)


def test_a_stopped_run_goes_on_to_the_same_result(carpet: Path, tmp_path: Path) -> None:
    partition = Partition.of("main", carpet, "main")
    kept: list[Training] = []

    def stop(training: Training) -> None:
        kept.append(training)
        if len(kept) == 3:
            raise KeyboardInterrupt

    heat = {BASELINE: tmp_path / "heat"}
    whole = compare.run([partition], CONDITIONS, seeds=(0, 1), learners=(DENSE,), heat=heat)
    with pytest.raises(KeyboardInterrupt):
        compare.run([partition], CONDITIONS, seeds=(0, 1), learners=(DENSE,), keep=stop)
    new: list[Training] = []
    resumed = compare.run([partition], CONDITIONS, seeds=(0, 1), learners=(DENSE,), done=kept, keep=new.append)
    assert len(new) == 5
    assert {t.key: t for t in resumed.trainings} == {t.key: t for t in whole.trainings}
    test = {sample.id for sample in partition.held_out("test")}
    for training in whole.trainings:
        assert {row.id for row in training.predictions} == test
        assert training.evidence is not None
        assert len(training.evidence) == len(test)
        assert training.steps == 5
    one, other = (
        next(t for t in whole.trainings if t.condition == BASELINE and t.seed == seed).predictions for seed in (0, 1)
    )
    assert [row.id for row in one] == [row.id for row in other]
    assert len(list((tmp_path / "heat").glob("*.png"))) == len(test)


def test_results_do_not_depend_on_the_number_of_workers(carpet: Path, tmp_path: Path) -> None:
    partition = Partition.of("main", carpet, "main")
    runs = []
    for workers in (1, 3):
        heat = {BASELINE: tmp_path / str(workers)}
        found = compare.run(
            [partition], CONDITIONS[1:2], seeds=(1, 0, 2), learners=(DENSE,), heat=heat, workers=workers
        )
        pictures = {path.name: path.read_bytes() for path in heat[BASELINE].iterdir()}
        runs.append((found.trainings, pictures))
    assert runs[0] == runs[1]
    assert [training.seed for training in runs[0][0]] == [1, 0, 2]
    assert torch.get_num_threads() == 1


def test_an_error_of_one_head_ends_the_run(carpet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*arguments: object, like: object = None, **options: object) -> object:
        if like is None:
            raise DataError("the training of the dense head diverged")
        return fit_dense(*arguments, like=like, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(learner_module, "fit_dense", failing)
    with pytest.raises(DataError, match="diverged"):
        compare.run([Partition.of("main", carpet, "main")], CONDITIONS, seeds=(0, 1, 2), learners=(DENSE,), workers=2)


def test_no_held_out_image_reaches_training(carpet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partition = Partition.of("main", carpet, "main")
    held_out = {s.id for side in ("val", "test") for s in partition.folder.dataset.on_side(side, "main")}  # type: ignore[arg-type]
    groups = {s.group for s in partition.folder.dataset if s.id in held_out and s.group is not None}
    shown: list[set[str]] = []

    def watched(bank: object, samples: Sequence[object], *arguments: object, **options: object) -> object:
        shown.append({sample.id for sample in samples})  # type: ignore[attr-defined]
        assert not any(sample.group in groups for sample in samples)  # type: ignore[attr-defined]
        return fit_dense(bank, samples, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(learner_module, "fit_dense", watched)
    compare.run([partition], CONDITIONS, seeds=(0,), learners=(DENSE,))
    assert len(shown) == 4
    assert not any(ids & held_out for ids in shown)
    made = {sample.id for sample in partition.folder.synthetic()}
    assert [bool(ids & made) for ids in shown] == [False, False, True, True]
    assert made <= shown[3]


def test_a_leak_is_refused_before_any_training(carpet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partition = Partition.of("main", carpet, "main")
    sides = partition.folder.dataset.splits["main"].sides
    assert isinstance(sides, dict)
    sides[partition.folder.synthetic()[0].id] = "test"
    monkeypatch.setattr(learner_module, "fit_dense", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(LeakError):
        compare.run([partition], CONDITIONS, seeds=(0,), learners=(DENSE,))


def test_only_what_is_compared_may_differ(carpet: Path) -> None:
    partition = Partition.of("main", carpet, "main")
    assert [each.dense.views for each in CONDITIONS if each.dense is not None] == [1, 2, 2, 2]
    unlike = [*CONDITIONS[:3], standard(dense=HEAD.but(steps=9))[3]]
    settings = [each.settings for each in CONDITIONS]
    unlike = [
        type(each)(each.name, s, each.real_defects, each.pool, dense=each.dense)
        for each, s in zip(unlike, settings, strict=True)
    ]
    with pytest.raises(UsageError, match="has other options than"):
        compare.run([partition], unlike, seeds=(0,), learners=(DENSE,))
    with pytest.raises(UsageError, match="no options of the dense head"):
        compare.run([partition], standard(), seeds=(0,), learners=(DENSE,))
    with pytest.raises(UsageError, match="unknown learner"):
        compare.run([partition], CONDITIONS, seeds=(0,), learners=("forest",))
    with pytest.raises(UsageError, match="nothing to train"):
        compare.run([partition], CONDITIONS, seeds=(0,), learners=())
    assert CONDITIONS[0].name == REAL_ONLY
    assert CONDITIONS[0].described(DENSE) == "real images, as they are"
    assert CONDITIONS[2].described(DENSE) == "real good images, synthetic images, flipped and turned"
    assert CONDITIONS[3].described(DENSE) == "real images and synthetic images, flipped and turned"


def test_what_is_open_is_chosen_once_on_real_training_images(carpet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partition = Partition.of("main", carpet, "main")
    real = {sample.id for sample in partition.folder.real()}
    asked: list[set[str]] = []

    def choosing(_bank: object, samples: Sequence[object], _: object, options: DenseOptions, **__: object) -> Choice:
        asked.append({sample.id for sample in samples})  # type: ignore[attr-defined]
        return Choice(options.but(scale=0.25), (), ("scale 0.25",))

    monkeypatch.setattr(learner_module, "choose_settings", choosing)
    fitted: list[DenseOptions] = []

    def fitting(bank: object, samples: object, classes: object, options: DenseOptions, **more: object) -> object:
        fitted.append(options)
        return fit_dense(bank, samples, classes, options, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(learner_module, "fit_dense", fitting)
    found = compare.run([partition], CONDITIONS[1:2], seeds=(0,), learners=(DENSE,))
    assert asked == [real]
    assert [(each.scale, each.views) for each in fitted] == [(0.25, 2)]
    (training,) = found.trainings
    assert training.chosen["scale"] == 0.25
    assert "main: scale 0.25" in training.notes
    # An interrupted run goes on with what was chosen.
    compare.run([partition], CONDITIONS[1:2], seeds=(0, 1), learners=(DENSE,), done=found.trainings)
    assert len(asked) == 1
    assert {each.scale for each in fitted} == {0.25}
