"""The dense head from images to predictions, and back from its folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.networks import network
from safetensors.numpy import load_file, save_file

from carpet_data.dataset import Dataset, Sample
from carpet_data.errors import DataError, UsageError, WeightsError
from carpet_data.formats.reading import read
from carpet_data.store.files import sha256
from carpet_data.training.contract import load_predictor
from carpet_data.training.dense.bank import MapBank
from carpet_data.training.dense.dense_head import DenseHead
from carpet_data.training.dense.fit import fit_dense
from carpet_data.training.dense.head import CellHeads
from carpet_data.training.dense.model import DenseModel, save_dense
from carpet_data.training.dense.options import DenseOptions

from .conftest import write_squares

CLASSES = ("good", "dark", "red")
OPTIONS = DenseOptions(scale=1.0, views=2, steps=60, batch_cells=256, folds=2)


@pytest.fixture(scope="module")
def head(squares: Dataset, bank: MapBank) -> DenseHead:
    return fit_dense(bank, squares.samples, CLASSES, OPTIONS)


@pytest.fixture(scope="module")
def model(head: DenseHead, bank: MapBank) -> DenseModel:
    return DenseModel(bank.network, head, device="cpu")


def _red(squares: Dataset) -> Sample:
    return next(sample for sample in squares if sample.class_name == "red")


def test_it_finds_class_place_and_type(squares: Dataset, model: DenseModel) -> None:
    for sample in squares:
        (found,) = model.predict([sample.image()])
        assert found.class_name == sample.class_name
        assert (found.anomaly >= 0.5) == (sample.class_name != "good")
        assert found.probabilities is not None
        assert tuple(found.probabilities) == CLASSES
        assert sum(found.probabilities.values()) == pytest.approx(1)
        assert found.heat is not None
        assert found.labels is not None
        assert found.heat.shape == found.labels.shape == (64, 64)
        assert found.heat.dtype == np.float32
        if sample.class_name == "good":
            continue
        mask = sample.mask()
        called = found.labels == CLASSES.index(sample.class_name)
        assert (called & mask).sum() / (called | mask).sum() > 0.5
        first = found.detections[0]
        assert first.class_name == sample.class_name
        assert first.mask is not None
        x, y, width, height = first.bbox
        assert first.mask.shape == (height, width)
        assert (found.labels[y : y + height, x : x + width][first.mask] > 0).all()


def test_the_bank_and_the_model_agree(squares: Dataset, model: DenseModel, bank: MapBank) -> None:
    sample = _red(squares)
    (of_image,) = model.predict([sample.image()])
    of_bank = model.head.of_sample(bank, sample)
    np.testing.assert_array_equal(of_image.heat, of_bank.heat)
    assert of_image.anomaly == of_bank.anomaly


def test_two_heads_on_the_same_maps_unless_strides_are_given(squares: Dataset, bank: MapBank, head: DenseHead) -> None:
    assert head.cells is not None
    fine, everything = head.cells.heads
    assert head.resolution.strides == (8, 16, 32)
    assert fine.channels < everything.channels == head.cells.channels == bank.channels(head.resolution)
    fine_only = bank.maker((8, 16))
    assert fine.channels == fine_only.channels
    maps = bank.map(_red(squares), head.resolution)
    alone = [CellHeads((each,)).logits(maps[: each.channels]) for each in (fine, everything)]
    np.testing.assert_allclose(head.cells.logits(maps), np.mean(alone, axis=0), atol=1e-4)
    given = fit_dense(bank, squares.samples, CLASSES, OPTIONS.but(strides=(8, 16), steps=2))
    assert given.cells is not None
    assert [each.channels for each in given.cells.heads] == [fine_only.channels]


def test_a_network_without_stride_32_has_one_head(squares: Dataset) -> None:
    bank = MapBank(network("squeezenet1_1"), torch.device("cpu"))
    head = fit_dense(bank, squares.samples, CLASSES, OPTIONS.but(steps=2))
    assert head.resolution.strides == (8, 16)
    assert head.cells is not None
    assert len(head.cells.heads) == 1


def test_maps_that_are_not_kept_are_computed_once(squares: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = MapBank(network(), torch.device("cpu"), memory_bytes=0)
    resolution = bank.resolution(OPTIONS)
    seen: list[int] = []
    maker = bank.maker(resolution.strides)
    real = maker.of
    monkeypatch.setattr(maker, "of", lambda images: (seen.append(len(images)), real(images))[1])
    found = {(row, view) for row, view, _ in bank.each(squares.samples[:3], resolution, (2, 1, 2))}
    assert found == {(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)}
    assert sum(seen) == 5


def test_the_order_of_the_samples_does_not_matter(squares: Dataset, bank: MapBank, head: DenseHead) -> None:
    again = fit_dense(bank, squares.samples, CLASSES, OPTIONS)
    assert again.calibration.temperature == head.calibration.temperature
    assert again.image.shift == head.image.shift


def test_a_model_comes_back_from_its_folder(squares: Dataset, model: DenseModel, tmp_path: Path) -> None:
    save_dense(model.network, model.head, tmp_path / "model", extra={"dataset": "squares"})
    back = load_predictor(tmp_path, device="cpu")
    assert back.task == "dense"
    assert back.classes == CLASSES
    image = _red(squares).image()
    (first,), (second,) = model.predict([image]), back.predict([image])
    np.testing.assert_array_equal(first.heat, second.heat)
    assert first.probabilities == second.probabilities
    assert [each.bbox for each in first.detections] == [each.bbox for each in second.detections]


@pytest.mark.parametrize("shape", [(1, 1), (3, 90), (7, 7, 3), (61, 83), (130, 64, 3)])
def test_images_of_any_size(model: DenseModel, shape: tuple[int, ...]) -> None:
    (found,) = model.predict([np.full(shape, 140, np.uint8)])
    assert found.heat is not None
    assert found.heat.shape == shape[:2]
    assert np.isfinite(found.heat).all()


def test_several_images_each_of_its_own_size(model: DenseModel) -> None:
    images = [np.full((40, 50), 140, np.uint8), np.full((64, 64, 3), 90, np.uint8)]
    together = model.predict(images)
    alone = [model.predict([image])[0] for image in images]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.heat, other.heat, atol=1e-3)
    assert model.predict([]) == []


def test_averaged_views(squares: Dataset, model: DenseModel, bank: MapBank) -> None:
    sample = _red(squares)
    several = replace(model.head, views=8)
    (found,) = DenseModel(model.network, several, device="cpu").predict([sample.image()])
    mask = sample.mask()
    assert found.heat is not None
    assert found.heat[mask].mean() > 0.5 > found.heat[~mask].mean()
    # An image and its mirror image have the same maps in eight views, so the same answer.
    (mirrored,) = DenseModel(model.network, several, device="cpu").predict([sample.image()[:, ::-1]])
    np.testing.assert_allclose(mirrored.heat[:, ::-1], found.heat, atol=0.02)  # type: ignore[index]


def test_another_seed_takes_the_calibration_of_the_first(squares: Dataset, bank: MapBank, head: DenseHead) -> None:
    other = fit_dense(bank, squares.samples, CLASSES, OPTIONS.but(seed=1), like=head)
    assert other.calibration is head.calibration
    assert other.cells is not None
    assert head.cells is not None
    assert not np.array_equal(other.cells.heads[0].layers[0][0], head.cells.heads[0].layers[0][0])


def test_without_masks_images_are_classified_and_pixels_are_not(bank: MapBank, tmp_path: Path) -> None:
    plain = read(write_squares(tmp_path, masks=False))
    head = fit_dense(bank, plain.samples, CLASSES, OPTIONS)
    assert head.cells is None
    assert any("no training image has a mask" in note for note in head.notes)
    found = [DenseModel(bank.network, head, device="cpu").predict([sample.image()])[0] for sample in plain]
    assert np.mean([each.class_name == sample.class_name for each, sample in zip(found, plain, strict=True)]) > 0.8
    assert found[0].heat is None
    assert found[0].labels is None
    assert found[0].detections == ()
    save_dense(bank.network, head, tmp_path / "model")
    (back,) = load_predictor(tmp_path / "model", device="cpu").predict([plain.samples[0].image()])
    assert back.probabilities == found[0].probabilities


def test_a_defect_without_a_mask_is_named_and_trains_the_image(squares: Dataset, bank: MapBank) -> None:
    bare = [replace(sample, annotation=None) if sample is _red(squares) else sample for sample in squares]
    head = fit_dense(bank, bare, CLASSES, OPTIONS)
    assert any("1 defect image has no mask, or an empty one" in note for note in head.notes)


def test_one_image_of_each_class_and_no_good_image(squares: Dataset, bank: MapBank) -> None:
    few = [next(sample for sample in squares if sample.class_name == name) for name in ("dark", "red")]
    head = fit_dense(bank, few, CLASSES, OPTIONS.but(views=8))
    assert any("no good training images" in note for note in head.notes)
    assert any("red has one group" in note for note in head.notes)
    model = DenseModel(bank.network, head, device="cpu")
    found = [model.predict([sample.image()])[0].class_name for sample in squares if sample.class_name == "good"]
    assert found.count("good") >= 4


def test_a_single_image_is_enough_to_run(squares: Dataset, bank: MapBank) -> None:
    head = fit_dense(bank, [_red(squares)], ("good", "red"), OPTIONS)
    assert any("nothing could be held out" in note for note in head.notes)
    (found,) = DenseModel(bank.network, head, device="cpu").predict([_red(squares).image()])
    assert found.heat is not None


def test_a_class_without_an_image_is_never_predicted(squares: Dataset, bank: MapBank) -> None:
    head = fit_dense(bank, squares.samples, (*CLASSES, "unseen"), OPTIONS)
    assert "unseen has no training image: it will never be predicted" in head.notes
    model = DenseModel(bank.network, head, device="cpu")
    for sample in squares:
        (found,) = model.predict([sample.image()])
        assert found.class_name != "unseen"
        assert all(each.class_name != "unseen" for each in found.detections)


def test_what_cannot_be_fitted_is_refused(squares: Dataset, bank: MapBank) -> None:
    good = [sample for sample in squares if sample.class_name == "good"]
    with pytest.raises(DataError, match="no training image shows a defect"):
        fit_dense(bank, good, CLASSES, OPTIONS)
    with pytest.raises(UsageError, match="unknown class 'red'"):
        fit_dense(bank, squares.samples, ("good", "dark"), OPTIONS)
    with pytest.raises(UsageError):
        fit_dense(bank, squares.samples, CLASSES, OPTIONS.but(strides=(2, 64)))


def test_a_damaged_model_folder(model: DenseModel, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save_dense(model.network, model.head, folder)
    known = json.loads((folder / "model.json").read_text())
    for change in ({"dense": {}}, {"classes": ["good"]}, {"dense": {**known["dense"], "depths": [5]}}):
        (folder / "model.json").write_text(json.dumps({**known, **change}))
        with pytest.raises(WeightsError):
            load_predictor(folder, device="cpu")
    (folder / "model.json").write_text(json.dumps(known))
    tensors = load_file(folder / "weights.safetensors")
    tensors["dense.head0.layer0.weight"] = tensors["dense.head0.layer0.weight"] * np.nan
    save_file(tensors, folder / "weights.safetensors")
    with pytest.raises(WeightsError, match="the weights are damaged"):
        load_predictor(folder, device="cpu")
    # As a training that failed would have written it.
    (folder / "model.json").write_text(json.dumps({**known, "weights_sha256": sha256(folder / "weights.safetensors")}))
    with pytest.raises(WeightsError, match="not finite"):
        load_predictor(folder, device="cpu")
    (folder / "weights.safetensors").write_bytes(b"not weights")
    with pytest.raises(WeightsError):
        load_predictor(folder, device="cpu")
    (folder / "weights.safetensors").unlink()
    with pytest.raises(WeightsError, match="missing"):
        load_predictor(folder, device="cpu")


def test_the_head_belongs_to_its_network(model: DenseModel, tmp_path: Path) -> None:
    narrow = network("shufflenet_v2_x1_0")
    save_dense(narrow, model.head, tmp_path / "model")
    with pytest.raises(WeightsError, match="features"):
        load_predictor(tmp_path / "model", device="cpu")
