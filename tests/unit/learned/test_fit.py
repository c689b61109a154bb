"""A fit from train images to a finished model: what it keeps, how it goes on, and what it refuses."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from helpers import tiny_learner
from helpers.sources import write_source
from safetensors.torch import load_file

from carpet_data import store as layout
from carpet_data.errors import DataError, DeviceMemoryError, LeakError, LockedError, OutputError, UsageError
from carpet_data.learned import fit_plan, model_card
from carpet_data.learned.crops import CropDataset, GeneratedCrop
from carpet_data.learned.fit import fit
from carpet_data.learned.options import FitOptions
from carpet_data.networks import checkpoints
from carpet_data.preparation.drop import drop
from carpet_data.preparation.options import GroupOptions, SplitOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.store import lock
from carpet_data.synthesis.engine import model_store
from carpet_data.synthesis.recipe import files

pytestmark = pytest.mark.usefixtures("tiny")
SUPPORT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _no_features(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Copies are sought by pixels alone: loading a network would take most of the time of these tests."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-weights"))


def fitted_to(root: Path, folder: Path, *, seed: int = 0, **more: Any) -> model_store.Fitted:
    options = {name: more.pop(name) for name in ("overwrite", "checkpoint_s", "dry_run") if name in more}
    progress = more.pop("progress", None)
    options = FitOptions(seed=seed, device="cpu", **options)
    fitted = fit(root, tiny_learner.recipe(folder, **more), options, progress=progress).fitted
    assert fitted is not None
    return fitted


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / model_store.WEIGHTS / tiny_learner.WEIGHTS)


def test_everything_is_kept_and_agrees(root: Path, tmp_path: Path) -> None:
    fitted = fitted_to(root, tmp_path)
    dataset = layout.read(root)
    assert fitted == model_store.find(dataset, "main", files.load(tmp_path / "tiny.yaml"))
    there = sorted(path.name for path in fitted.folder.iterdir())
    assert there == [
        "README.md",
        "card.json",
        "history.json",
        "loss.png",
        *(f"samples-{step:06d}.png" for step in (6, 15, 30, 45, 60)),
        "weights",
    ]
    train = {sample.id: sample.class_name for sample in dataset.on_side("train", "main")}
    assert set(fitted.samples) == set(train)
    assert set(fitted.read) <= set(train)
    assert fitted.classes == ("hole", "thread")
    assert fitted.donors == {name: list(train.values()).count(name) for name in fitted.classes}
    history = json.loads((fitted.folder / "history.json").read_text())
    assert fitted.losses == {"denoise": pytest.approx(history[-1]["denoise"])}
    assert fitted.seconds == history[-1]["seconds"]
    assert (fitted.seed, fitted.steps, fitted.batch_size, fitted.precision) == (0, 60, 4, "full")
    assert fitted.memorisation["classes"]
    assert fitted.versions["torch"] == torch.__version__.partition("+")[0]


def test_the_card_tells_people(root: Path, tmp_path: Path) -> None:
    description = root / "dataset.json"
    values = json.loads(description.read_text())
    values["license"] = "CC BY-NC-SA 4.0 | see <LICENSE>"
    description.write_text(json.dumps(values))
    fitted = fitted_to(root, tmp_path, steps=3)
    text = (fitted.folder / model_card.NAME).read_text()
    assert "CC BY-NC-SA 4.0 \\| see \\<LICENSE\\>" in text
    assert fitted.weights_sha256 in text
    assert fitted.data in text
    assert f"hole {fitted.donors['hole']}, thread {fitted.donors['thread']}" in text
    assert "3 of 4 crops, seed 0" in text
    for name in ("loss.png", "samples-000003.png"):
        assert f"]({name})" in text
        assert cv2.imread(str(fitted.folder / name)) is not None
    unknown = replace(fitted, dataset={"name": "x", "license": ""})
    assert "unknown" in model_card.text(unknown, "")
    assert "Not measured" in model_card.text(unknown, "")


def test_a_learner_without_steps_is_kept_too(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Still(tiny_learner.TinyLearner):
        steps = property(lambda self: 0, lambda self, value: None)  # type: ignore[assignment]

    monkeypatch.setattr(tiny_learner, "TinyLearner", Still)
    fitted = fitted_to(root, tmp_path)
    assert (fitted.steps, fitted.losses, fitted.seconds) == (0, {}, 0.0)
    assert sorted(path.name for path in fitted.folder.iterdir()) == [
        "README.md",
        "card.json",
        "history.json",
        "weights",
    ]
    text = (fitted.folder / model_card.NAME).read_text()
    assert "loss" not in text.partition("## Values")[0]
    assert "](" not in text


def test_a_seed_gives_one_model_and_another_seed_another(root: Path, tmp_path: Path) -> None:
    first = fitted_to(root, tmp_path, steps=5)
    kept = weights(first.folder)
    again = fitted_to(root, tmp_path, steps=5, overwrite=True)
    assert again.weights_sha256 == first.weights_sha256
    other = fitted_to(root, tmp_path, steps=5, seed=1, overwrite=True)
    assert other.folder == first.folder
    assert not torch.equal(kept["weight"], weights(other.folder)["weight"])


def test_a_finished_fit_is_left_alone(root: Path, tmp_path: Path) -> None:
    first = fitted_to(root, tmp_path, steps=5)
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    assert fitted_to(root, tmp_path, steps=5) == first
    assert {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")} == before
    with pytest.raises(OutputError, match=r"trained with seed 0 \(got 1\)") as caught:
        fitted_to(root, tmp_path, steps=5, seed=1)
    assert "--overwrite" in (caught.value.hint or "")


_KILLED = """
import sys
from pathlib import Path
support, root, recipe, target, when, number = sys.argv[1:]
sys.path.insert(0, support)
from helpers import tiny_learner
tiny_learner.register()
import torch
torch.set_num_threads(1)
from helpers import killing
killing.arm(target, when, int(number))
from carpet_data.learned.fit import fit
from carpet_data.learned.options import FitOptions
fit(root, Path(recipe), FitOptions(device="cpu", checkpoint_s=0))
"""


def test_a_killed_fit_goes_on_to_the_same_weights(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = fitted_to(Path(shutil.copytree(root, tmp_path / "other")), tmp_path)
    recipe = tiny_learner.recipe(tmp_path)
    kill = ("carpet_data.learned.model_card:write_sheet", "before", "4")
    arguments = [sys.executable, "-c", _KILLED, str(SUPPORT), str(root), str(recipe), *kill]
    killed = subprocess.run(arguments, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with pytest.raises(DataError, match="not finished"):
        model_store.find(layout.read(root), "main", files.load(recipe))
    steps: list[int] = []

    def stop(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        # Stopped once more, when all but the card is there.
        patch.setattr(model_store, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            fitted_to(root, tmp_path, progress=lambda step: steps.append(step.done))
    assert steps == [45, 50, 60], "it went on from the checkpoint"
    with pytest.raises(DataError, match="not finished"):
        model_store.find(layout.read(root), "main", files.load(recipe))
    resumed = fitted_to(root, tmp_path, progress=lambda step: steps.append(step.done))
    assert steps == [45, 50, 60]
    assert resumed.weights_sha256 == straight.weights_sha256
    assert not [path for path in resumed.folder.rglob("*") if path.name.startswith(".")]
    assert not (resumed.folder / checkpoints.FILE).exists()


def test_an_unfinished_fit_of_another_seed_is_not_continued(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nan"):
        fitted_to(root, tmp_path, fault="nan", at=40, checkpoint_s=0)
    with pytest.raises(DataError, match="its seed is 0, now asked for 1"):
        fitted_to(root, tmp_path, fault="nan", at=40, seed=1)


def test_a_loss_that_is_no_number_leaves_the_last_good_checkpoint(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the loss denoise of step 45 is nan") as caught:
        fitted_to(root, tmp_path, fault="nan", at=40, checkpoint_s=0)
    folder = Path(caught.value.where or "")
    assert (folder / checkpoints.FILE).is_file()
    assert not (folder / model_store.CARD).exists()


@pytest.mark.parametrize(("fault", "error"), [("nan", DataError), ("memory", DeviceMemoryError)])
def test_a_fit_that_fails_at_once_leaves_nothing(
    root: Path, tmp_path: Path, fault: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        fitted_to(root, tmp_path, fault=fault)
    assert not list((root / "models").iterdir())


def test_memory_that_is_full_while_the_network_is_built(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(tiny_learner, "TinyLearner", full)
    with pytest.raises(DeviceMemoryError) as caught:
        fitted_to(root, tmp_path)
    assert "batch_size (2)" in (caught.value.hint or "")


def test_a_dropped_image_asks_for_a_new_fit_beside_the_old(root: Path, tmp_path: Path) -> None:
    old = fitted_to(root, tmp_path, steps=3)
    drop(root, [f"id={next(sample for sample in old.read if 'good' in sample)}"])
    with pytest.raises(DataError, match="stale"):
        model_store.find(layout.read(root), "main", files.load(tmp_path / "tiny.yaml"))
    new = fitted_to(root, tmp_path, steps=3)
    assert new.folder != old.folder
    assert len(new.samples) == len(old.samples) - 1
    assert {fitted.folder for fitted in model_store.listing(root)} == {old.folder, new.folder}


def test_damaged_weights_are_refused_until_overwritten(root: Path, tmp_path: Path) -> None:
    fitted = fitted_to(root, tmp_path, steps=3)
    path = fitted.weights / tiny_learner.WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(DataError, match="damaged"):
        fitted_to(root, tmp_path, steps=3)
    (fitted.folder / "left.txt").write_text("of an older version")
    assert fitted_to(root, tmp_path, steps=3, overwrite=True).weights_sha256 == fitted.weights_sha256
    assert not (fitted.folder / "left.txt").exists()


def test_a_new_fit_that_cannot_begin_costs_no_finished_model(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fitted_to(root, tmp_path, steps=3)

    def refused(*arguments: Any) -> None:
        raise DataError("there is no such pipeline")

    monkeypatch.setattr(tiny_learner, "TinyLearner", refused)
    with pytest.raises(DataError, match="no such pipeline"):
        fitted_to(root, tmp_path, steps=3, overwrite=True)
    assert model_store.find(layout.read(root), "main", files.load(tmp_path / "tiny.yaml")) == first


def small(folder: Path, counts: dict[str, int], fractions: tuple[float, float] = (0.5, 0.5)) -> Path:
    write_source(folder / "source", counts)
    prepare(
        folder / "source",
        folder / "set",
        SplitOptions(fractions=fractions),
        GroupOptions(near_duplicates=False),
        workers=1,
    )
    return folder / "set"


def test_too_few_donors_are_counted_and_an_alternative_named(tmp_path: Path) -> None:
    root = small(tmp_path, {"train/good": 4, "test/hole": 2, "test/thread": 2})
    with pytest.raises(DataError, match=r"tiny needs 2 of a class \(hole 1, thread 1\)") as caught:
        fitted_to(root, tmp_path)
    assert "donor-paste" in (caught.value.hint or "")
    assert not (root / "models").exists()


def test_a_class_with_too_few_donors_is_left_out_and_named(tmp_path: Path) -> None:
    fitted = fitted_to(small(tmp_path, {"train/good": 4, "test/hole": 6, "test/thread": 2}), tmp_path, steps=3)
    assert fitted.classes == ("hole",)
    assert fitted.donors == {"hole": 3, "thread": 1}
    assert fitted.notes == ("thread is skipped: it has 1 donor in the training images, tiny needs 2, donor-paste one",)
    assert json.loads((fitted.weights / tiny_learner.FACTS).read_text()) == {"classes": ["hole"]}
    assert f"- {fitted.notes[0]}" in (fitted.folder / model_card.NAME).read_text()


def test_a_train_side_without_defects_or_without_anything(tmp_path: Path) -> None:
    good = small(tmp_path / "good", {"train/good": 6})
    with pytest.raises(DataError, match="no training image of the split 'main' has a masked defect"):
        fitted_to(good, tmp_path)
    lines = (good / "splits" / "main.jsonl").read_text().replace('"train"', '"test"')
    (good / "splits" / "main.jsonl").write_text(lines)
    with pytest.raises(DataError, match="the split 'main' has no real training image"):
        fitted_to(good, tmp_path)


def test_an_image_that_is_held_out_never_teaches(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = layout.read(root).splits["main"].ids("test")[0]
    original = CropDataset.of

    def leaking(*arguments: Any, **more: Any) -> CropDataset:
        data = original(*arguments, **more)
        return replace(data, read=(*data.read, stranger))

    monkeypatch.setattr(CropDataset, "of", leaking)
    with pytest.raises(LeakError, match=stranger):
        fitted_to(root, tmp_path)


def test_held_out_pixels_change_nothing(root: Path, tmp_path: Path) -> None:
    fitted = fitted_to(root, tmp_path, steps=5)
    dataset = layout.read(root)
    for sample in dataset.on_side("test", "main"):
        for path in (sample.image_path, sample.mask_path):
            if path is not None:
                (root / path).unlink()
    assert fitted_to(root, tmp_path, steps=5, overwrite=True).weights_sha256 == fitted.weights_sha256


def test_one_writer_at_a_time(root: Path, tmp_path: Path) -> None:
    recipe = files.load(tiny_learner.recipe(tmp_path))
    folder = model_store.folder_of(layout.read(root), "main", recipe)
    folder.mkdir(parents=True)
    with lock.locked(folder, "fit"), pytest.raises(LockedError, match="'fit'"):
        fitted_to(root, tmp_path)
    assert folder.is_dir()


def test_a_place_that_cannot_be_written(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "models").write_text("a file")
    with pytest.raises(OutputError, match="a file is where a folder should be") as caught:
        fitted_to(root, tmp_path)
    assert "copy of the data set" in (caught.value.hint or "")
    (root / "models").unlink()

    def refuse(*arguments: Any, **more: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(root))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OutputError, match=r"permission denied"):
        fit(root, tmp_path / "tiny.yaml", FitOptions(device="cpu"))


def test_a_recipe_that_learns_nothing(root: Path) -> None:
    with pytest.raises(UsageError, match="needs no fit"):
        fit(root, "donor-paste")


def test_a_plan_writes_nothing(root: Path, tmp_path: Path) -> None:
    recipe = files.load(tiny_learner.recipe(tmp_path, fault="nan", at=40))
    dataset = layout.read(root)
    planned = fit_plan.plan(dataset, "main", recipe)
    assert planned.state == "new"
    assert not (root / "models").exists()
    with pytest.raises(DataError):
        fitted_to(root, tmp_path, fault="nan", at=40, checkpoint_s=0)
    assert fit_plan.plan(dataset, "main", recipe).state == "unfinished"


def test_weights_may_be_read_by_whoever_may_read_the_rest(root: Path, tmp_path: Path) -> None:
    fitted = fitted_to(root, tmp_path, steps=3)
    modes = {path.stat().st_mode & 0o777 for path in fitted.folder.rglob("*") if path.is_file()}
    assert len(modes) == 1


def test_a_sheet_shows_real_crops_and_samples(noise_images: Path) -> None:
    data = CropDataset.of(layout.read(noise_images), "main", files.load("donor-paste"), crop_px=32, context=1.6)
    mask = np.zeros((32, 32), np.float32)
    mask[8:24, 8:24] = 1
    drawn = [GeneratedCrop("thread", np.full((32, 32, 3), 90, np.uint8), mask) for _ in range(2)]
    found = model_card.draw_sheet(data, drawn, "title")
    columns = np.flatnonzero((found == 90).all(axis=2).sum(axis=0) > 100)
    assert columns.size >= 2 * 100, "both samples are there"
    yellow = (found == (255, 220, 0)).all(axis=2)
    assert yellow[:, columns].any(), "with their outline"
    example = data.crop(next(e for e in data.examples if e.class_name == "hole"))[0]
    assert (found == example[0, 0]).all(axis=2).sum() >= 16, "and the real crops, each pixel a square"
    unmasked = GeneratedCrop("hole", drawn[0].image, np.zeros((32, 32), np.float32))
    empty = model_card.draw_sheet(data, [unmasked], "title")
    inside = empty[:, columns[0] : columns[0] + 128]
    assert not (inside == (255, 220, 0)).all(axis=2).any(), "no mask, no outline"
