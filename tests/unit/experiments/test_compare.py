"""Training every condition: reproducible, resumable, at equal steps, on features that are computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from carpet_data.errors import LeakError, UsageError
from carpet_data.experiments import compare
from carpet_data.experiments.conditions import BASELINE, BASELINE_TRAINING, METHODS, standard
from carpet_data.experiments.journal import Training
from carpet_data.experiments.learners import bank as bank_module
from carpet_data.experiments.learners.bank import FeatureBank
from carpet_data.experiments.partitions import Partition
from carpet_data.training import tables
from carpet_data.training.features import extract
from carpet_data.training.fit import prepare_network

TINY = BASELINE_TRAINING.but(
    architecture="resnet18", weights="none", resize=32, steps=20, batch_size=16, augment="light", views=2, device="cpu"
)


@pytest.fixture(autouse=True)
def few_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield None
    torch.set_num_threads(before)


def test_everything_is_trained_for_equally_many_steps_and_repeats_to_the_bit(carpet: Path) -> None:
    partition = Partition.of("main", carpet, "main")
    conditions = standard(TINY, methods=tuple(METHODS))
    found = compare.run([partition], conditions, seeds=(0, 1))
    assert [t.key for t in found.trainings] == [
        ("classifier", c.name, "main", seed) for c in conditions for seed in (0, 1)
    ]
    assert {t.steps for t in found.trainings} == {20}
    assert found.classes == ("good", "hole", "thread")
    test = {sample.id for sample in partition.folder.dataset.on_side("test", "main")}
    assert all({p.id for p in t.predictions} == test for t in found.trainings)
    by_key = {t.key: t for t in found.trainings}
    one, other = (by_key["classifier", BASELINE, "main", seed].predictions for seed in (0, 1))
    assert [p.probabilities for p in one] != [p.probabilities for p in other], "seeds make different heads"
    again = compare.run([partition], conditions, seeds=(0, 1))
    assert again.trainings == found.trainings


def test_a_stopped_run_goes_on_to_the_same_result(carpet: Path) -> None:
    partition = Partition.of("main", carpet, "main")
    kept: list[Training] = []

    def stop(training: Training) -> None:
        kept.append(training)
        if len(kept) == 3:
            raise KeyboardInterrupt

    whole = compare.run([partition], standard(TINY), seeds=(0, 1))
    with pytest.raises(KeyboardInterrupt):
        compare.run([partition], standard(TINY), seeds=(0, 1), keep=stop)
    new: list[Training] = []
    resumed = compare.run([partition], standard(TINY), seeds=(0, 1), done=kept, keep=new.append)
    assert len(new) == 5
    assert {t.key: t for t in resumed.trainings} == {t.key: t for t in whole.trainings}


def test_features_are_those_of_extract_and_each_image_is_computed_once(
    carpet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def counted(*arguments: object, **options: object) -> object:
        seen.extend(arguments[1].ids)  # type: ignore[attr-defined]
        return extract(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(bank_module, "extract", counted)
    partition = Partition.of("main", carpet, "main")
    compare.run([partition], standard(TINY), seeds=(0,))
    assert len(seen) == len(set(seen)), "no image twice"
    assert len(seen) == len(partition.folder.dataset)
    classes = ("good", "hole", "thread")
    network = prepare_network(TINY, classes)
    bank = FeatureBank(network, size=32, seed=0, device=torch.device("cpu"))
    samples = partition.folder.real()[:3]
    images = tables.load(partition.folder.dataset, samples, classes, size=32)
    straight = extract(network, images, views=2, strength="light", seed=0)
    table = bank.table([(partition.folder, samples)], classes, TINY)
    np.testing.assert_allclose(table.values, straight.values, rtol=1e-5, atol=1e-5)
    assert table.labels.tolist() == straight.labels.tolist()


def test_a_network_can_be_trained_whole(carpet: Path) -> None:
    settings = TINY.but(freeze="none", steps=2, batch_size=4)
    found = compare.run([Partition.of("main", carpet, "main")], standard(settings)[1:3], seeds=(0,))
    assert {t.steps for t in found.trainings} == {2}
    assert all(t.predictions for t in found.trainings)


def test_a_leak_is_refused_before_any_training(carpet: Path) -> None:
    sound = Partition.of("main", carpet, "main")
    sides = sound.folder.dataset.splits["main"].sides
    made = sound.folder.synthetic()[0].id
    assert isinstance(sides, dict)
    sides[made] = "test"
    with pytest.raises(LeakError, match=made):
        compare.run([sound], standard(TINY), seeds=(0,))


def test_what_could_not_be_compared_is_refused(carpet: Path) -> None:
    partition = Partition.of("main", carpet, "main")
    one, base = standard(TINY)[:2]
    with pytest.raises(UsageError, match="unknown condition"):
        compare.run([partition], [one], seeds=(0,))
    with pytest.raises(UsageError, match="duplicate condition"):
        compare.run([partition], [base, base], seeds=(0,))
    with pytest.raises(UsageError, match="the more images"):
        compare.run([partition], standard(TINY.but(steps=None)), seeds=(0,))
    with pytest.raises(UsageError, match="learning rate"):
        compare.run([partition], [base, *standard(TINY.but(learning_rate=0.1))[2:]], seeds=(0,))
    with pytest.raises(UsageError, match="seeds"):
        compare.run([partition], [base], seeds=(0, 0))
    with pytest.raises(UsageError, match="duplicate partition"):
        compare.run([partition, partition], [base], seeds=(0,))
