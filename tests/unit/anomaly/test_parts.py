"""Parts of anomaly models: thresholds, scales, coresets, the choice of good images, synthetic defects."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.textures import texture

from carpet_data.dataset import Sample
from carpet_data.errors import DataError
from carpet_data.training.anomaly.autoencoder import structural_similarity
from carpet_data.training.anomaly.cells import as_cells, smooth
from carpet_data.training.anomaly.defects import METHODS, SyntheticDefects
from carpet_data.training.anomaly.good_images import chosen_good
from carpet_data.training.anomaly.padim import Padim, alignment
from carpet_data.training.anomaly.patchcore import PatchCore, greedy_coreset
from carpet_data.training.anomaly.subspace import Subspace
from carpet_data.training.anomaly.threshold import Scale, best_separation, threshold_of


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.02])
def test_thresholds_keep_their_rate_of_false_alarms(rate: float) -> None:
    rng = np.random.default_rng(0)
    above = []
    for _ in range(400):
        threshold, extrapolated = threshold_of(rng.gamma(3, size=99).tolist(), rate)
        assert not extrapolated
        above.append(np.mean(rng.gamma(3, size=500) > threshold))
    assert np.mean(above) == pytest.approx(rate, abs=0.2 * rate + 0.002)


def test_too_few_scores_are_extrapolated_and_never_below_the_largest() -> None:
    threshold, extrapolated = threshold_of([1.0, 2.0, 1.5], 0.01)
    assert extrapolated
    assert threshold > 2
    assert threshold_of([3.0], 0.1)[0] > 3
    assert threshold_of([0.0, 0.0], 0.1)[0] >= 0


def test_the_scale_is_half_at_the_threshold_and_keeps_order() -> None:
    good = np.array([1.0, 1.1, 1.2, 0.9, 1.05])
    scale = Scale.of(1.5, good)
    scores = np.array([0.0, 0.5, 1.05, 1.5, 2.0, 1e30])
    values = scale(scores)
    assert values[3] == pytest.approx(0.5)
    assert values[2] == pytest.approx(0.1)
    assert values[4] == pytest.approx(1 - 1.5 / 4)
    assert (np.diff(values) > 0).all()
    many = np.linspace(0.3, 60, 2000)
    assert (np.diff(scale(many).astype(np.float32)) > 0).all()
    assert 0 <= values.min() <= values.max() <= 1
    assert Scale.of(0.0, np.zeros(3))(0.0) == 0


def test_the_best_separation_lies_between() -> None:
    assert 1 < best_separation([0.5, 1.0], [2.0, 3.0]) < 2
    assert 2 < best_separation([1, 2, 9], [3, 4, 5, 6]) <= 3


def test_a_coreset_covers_all_clusters() -> None:
    rng = np.random.default_rng(1)
    centers = rng.normal(size=(8, 5)) * 50
    labels = np.repeat(np.arange(8), [200, 100, 50, 20, 10, 5, 2, 1])
    points = torch.from_numpy((centers[labels] + rng.normal(size=(len(labels), 5))).astype(np.float32))
    chosen = greedy_coreset(points, 8)
    assert set(labels[chosen.numpy()]) == set(range(8))
    everything = greedy_coreset(points[:20], 20)
    assert sorted(everything.tolist()) == list(range(20))
    assert len(set(greedy_coreset(torch.zeros(6, 3), 6).tolist())) == 6


def _maps(count: int, *, rows: int = 6, columns: int = 7, channels: int = 12, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(channels, 4))
    hidden = rng.normal(size=(count, 4, rows, columns))
    noise = 0.02 * rng.normal(size=(count, channels, rows, columns))
    return list((np.einsum("ck,nkij->ncij", mix, hidden) + noise).astype(np.float16))


def test_the_subspace_is_that_of_the_cells() -> None:
    *learned, held = _maps(9)
    model = Subspace.fit(learned)
    assert model.axes.shape[1] <= 5
    odd = held.copy()
    odd[:, 2, 3] = np.random.default_rng(5).normal(size=12) * 2
    plain, changed = model.score(held), model.score(odd)
    assert changed[1] > 3 * plain[1]
    assert np.unravel_index(changed[0].argmax(), changed[0].shape) == (2, 3)


def test_patchcore_distances_are_those_of_brute_force() -> None:
    *learned, held = _maps(5, rows=5, columns=5)
    model = PatchCore.fit(learned, coreset=1.0)
    assert len(model.memory) == 100
    cells = as_cells(held) / model.deviation
    wanted = torch.cdist(cells, model.memory).min(1).values.reshape(5, 5).numpy()
    heat, score = model.score(held)
    assert np.allclose(heat, smooth(wanted), atol=1e-3)
    assert score == heat.max()
    assert model.score(learned[0])[0].max() < 0.01


def test_patchcore_without_a_map_is_one_that_never_saw_it_where_all_cells_are_kept() -> None:
    learned = _maps(5, rows=5, columns=5)
    model = PatchCore.fit(learned)
    left = model.without([1, 3])
    assert sorted(set(left.origin.tolist())) == [0, 2, 4]
    # Deviations are those of all maps, so the other model gets the same.
    other = PatchCore.fit([learned[0], learned[2], learned[4]])
    wanted = torch.cdist(as_cells(learned[1]) / model.deviation, other.memory * other.deviation / model.deviation)
    found = left.score(learned[1])[0]
    assert np.allclose(found, smooth(wanted.min(1).values.reshape(5, 5).numpy()), atol=1e-3)
    assert found.max() > 10 * model.score(learned[1])[0].max()


def test_padim_is_the_mahalanobis_distance_of_each_position() -> None:
    maps = _maps(30, rows=3, columns=2, channels=5)
    model = Padim.fit(maps, aligned=True)
    values = np.stack([each.reshape(5, -1)[:, 4].astype(np.float64) for each in maps])
    mean, deviation = model.mean.double().numpy(), model.deviation.double().numpy()
    cells = (values - mean) / deviation
    covariance = np.cov(cells.T) + 0.01 * np.eye(5)
    x = (maps[3].reshape(5, -1)[:, 4].astype(np.float64) - mean) / deviation - cells.mean(0)
    wanted = np.sqrt(x @ np.linalg.inv(covariance) @ x)
    factors = model.factors.flatten(0, 1)[4].double().numpy()
    assert np.linalg.norm(factors @ x) == pytest.approx(wanted, rel=1e-3)
    assert model.score(maps[0])[0].shape == (3, 2)
    assert model.score(_maps(1, rows=8, columns=9, channels=5)[0])[0].shape == (8, 9)


def test_alignment_is_nothing_by_chance_and_all_where_maps_are_equal() -> None:
    assert alignment(_maps(6)) < 0.1
    assert alignment([_maps(1)[0]] * 5) > 0.99
    assert alignment(_maps(1)) == 0
    assert alignment([*_maps(2), *_maps(2, rows=3)]) == 0


def test_similarity_is_one_of_equal_images_only() -> None:
    x = torch.rand(2, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(structural_similarity(x, x), torch.ones(2, 20, 24))
    assert structural_similarity(x, 1 - x).mean() < 0


def _sample(name: str, group: str | None, class_name: str = "good", origin: str = "real") -> Sample:
    return Sample(name, f"{name}.png", class_name, 8, 8, group=group, origin=origin)  # type: ignore[arg-type]


def test_few_good_images_are_of_different_groups() -> None:
    samples = [_sample(f"a{number}", "one") for number in range(50)]
    samples += [
        _sample("b", "two"),
        _sample("c", None),
        _sample("hole", "x", "hole"),
        _sample("s", "y", origin="synthetic"),
    ]
    for seed in range(5):
        chosen = chosen_good(samples, 3, seed=seed)
        assert len({each.group for each in chosen}) == 3
        assert chosen == chosen_good(samples[::-1], 3, seed=seed)
    assert len(chosen_good(samples, None, seed=0)) == 52
    assert len(chosen_good(samples, 100, seed=0)) == 52
    with pytest.raises(DataError, match="no good training images"):
        chosen_good([_sample("hole", None, "hole")], None, seed=0)


@pytest.mark.parametrize("name", [*METHODS, "mixed"])
def test_synthetic_defects_are_drawn_alike_each_time(name: str) -> None:
    images = [texture(number) for number in range(3)]
    first, second = (SyntheticDefects(images, name, 7) for _ in range(2))
    for number in range(4):
        (image, mask), (again, _) = first.draw(number % 3, number), second.draw(number % 3, number)
        assert np.array_equal(image, again)
        assert mask.any()
        changed = (image != images[number % 3]).any(2)
        assert changed[mask].mean() > 0.5
