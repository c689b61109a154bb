"""Features are those of the plain images and their views, whatever the batch, and are kept on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import networks

from carpet_data.errors import UsageError
from carpet_data.networks.feature_cache import FeatureCache
from carpet_data.training import views
from carpet_data.training.features import FeatureTable, extract


def test_each_row_is_what_the_body_says_of_that_view() -> None:
    network, table = networks.network(pooling="mean+max"), networks.table()
    found = extract(network, table, views=3, strength="strong", seed=9, batch_size=4)
    assert found.values.shape == (3, 7, 2048)
    assert found.values.dtype == np.float32
    assert (found.ids, found.classes) == (table.ids, table.classes)
    assert np.array_equal(found.labels, table.labels)
    network.eval()
    for view in range(3):
        pixels, _ = views.augment(table.pixels, None, strength="strong", seed=9, ids=table.ids, view=view)
        with torch.inference_mode():
            alone = network.features(network.prepare(pixels[5:6])).numpy()[0]
        assert np.allclose(found.values[view, 5], alone, atol=1e-4)


def test_the_batch_size_changes_last_bits_only() -> None:
    network, table = networks.network("efficientnet_lite0"), networks.table()
    one = extract(network, table, batch_size=1).values
    all_at_once = extract(network, table, batch_size=64).values
    assert np.allclose(one, all_at_once, rtol=1e-4, atol=1e-5)


def test_the_mode_comes_back_and_the_network_does_not_move() -> None:
    network, table = networks.network("efficientnet_lite0"), networks.table(3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    extract(network, table)
    assert network.training
    assert network.body.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_what_is_kept_is_used_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, table = networks.network(), networks.table()
    first = extract(network, table, views=2, strength="light", cache=FeatureCache(tmp_path))
    (file,) = tmp_path.iterdir()
    calls: list[tuple[int, int | None]] = []
    with monkeypatch.context() as patch:
        patch.setattr(network, "features", None)  # nothing may be computed
        again = extract(
            network,
            table,
            views=2,
            strength="light",
            cache=FeatureCache(tmp_path),
            progress=lambda step: calls.append((step.done, step.total)),
        )
    assert np.array_equal(first.values, again.values)
    assert calls == [(14, 14)]
    # A head that learns changes no feature; a body, an image, a seed or a size does.
    with torch.no_grad():
        network.head.weight.add_(1)
    extract(network, table, views=2, strength="light", cache=FeatureCache(tmp_path))
    assert list(tmp_path.iterdir()) == [file]
    extract(network, table, views=2, strength="light", seed=1, cache=FeatureCache(tmp_path))
    extract(network, table, views=2, strength="strong", cache=FeatureCache(tmp_path))
    extract(network, table, cache=FeatureCache(tmp_path))
    extract(network, table.take([1, 0, 2]), cache=FeatureCache(tmp_path))
    extract(networks.network(pooling="mean+max"), table, cache=FeatureCache(tmp_path))
    assert len(list(tmp_path.iterdir())) == 6
    with torch.no_grad():
        network.body.get_parameter("conv1.0.weight")[0, 0, 0, 0] += 1
    changed = extract(network, table, views=2, strength="light", cache=FeatureCache(tmp_path))
    assert len(list(tmp_path.iterdir())) == 7
    assert not np.array_equal(changed.values, first.values)


def test_a_damaged_file_is_computed_again(tmp_path: Path) -> None:
    network, table = networks.network(), networks.table(3)
    first = extract(network, table, cache=FeatureCache(tmp_path))
    (file,) = tmp_path.iterdir()
    for damage in (b"", file.read_bytes()[:200], b"\x93NUMPY nonsense"):
        file.write_bytes(damage)
        assert np.array_equal(extract(network, table, cache=FeatureCache(tmp_path)).values, first.values)
    np.save(file, np.zeros((1, 2, 1024), np.float32))
    assert np.array_equal(extract(network, table, cache=FeatureCache(tmp_path)).values, first.values)


def test_one_view_does_not_depend_on_the_seed(tmp_path: Path) -> None:
    network, table = networks.network(), networks.table(2)
    extract(network, table, seed=1, cache=FeatureCache(tmp_path))
    extract(network, table, seed=2, strength="strong", cache=FeatureCache(tmp_path))
    assert len(list(tmp_path.iterdir())) == 1


def test_taking_rows() -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    whole = FeatureTable(values, np.array([0, 1, 0, 1]), ("a", "b", "c", "d"), ("x", "y"), ("real",) * 4)
    some = whole.take([3, 0])
    assert np.array_equal(some.values, values[:, [3, 0]])
    assert (some.ids, some.labels.tolist()) == (("d", "a"), [1, 0])
    assert len(whole.take(whole.labels == 1)) == 2


def test_progress_reaches_the_end() -> None:
    calls: list[tuple[int, int | None]] = []
    table = networks.table(5)
    extract(
        networks.network(),
        table,
        views=2,
        strength="light",
        batch_size=2,
        progress=lambda step: calls.append((step.done, step.total)),
    )
    assert calls == [(done, 10) for done in (2, 4, 5, 7, 9, 10)]


@pytest.mark.parametrize("options", [{"views": 0}, {"views": 2}, {"views": 2, "strength": "mild"}])
def test_wrong_use(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        extract(networks.network(), networks.table(2), **options)  # type: ignore[arg-type]


def test_images_that_are_too_small() -> None:
    with pytest.raises(UsageError, match="32x32"):
        extract(networks.network(), networks.table(2, size=16))


def test_the_digest_of_a_body() -> None:
    one, other = networks.network(seed=1), networks.network(seed=2)
    assert one.body_digest() == networks.network(seed=1).body_digest()
    assert one.body_digest() != other.body_digest()
