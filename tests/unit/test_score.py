"""Scores: the distances against known values, and whole data sets with copies, leaks and nulls in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from carpet_data.cli.app import main
from carpet_data.core import images
from carpet_data.core.images import encode_png
from carpet_data.dataset import Dataset
from carpet_data.errors import DataError, OutputError, UsageError
from carpet_data.experiments.quality.distances import frechet_diagonal, kernel_distance
from carpet_data.experiments.quality.score import score
from carpet_data.experiments.quality.score_result import ScoreResult
from carpet_data.experiments.quality.texture_statistics import NAMES, describe
from carpet_data.preparation.options import SplitOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.store import Addition, appending, read
from carpet_data.synthesis.contract import Facts, Scene
from carpet_data.synthesis.methods.procedural import Procedural, ProceduralParameters
from carpet_data.weave.sample import sample

F64 = NDArray[np.float64]
numbers = st.lists(st.floats(-100, 100), min_size=1, max_size=30).map(lambda values: np.array(values))


def test_the_frechet_distance_of_known_gaussians() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 3))
    assert frechet_diagonal(rows, rows) == 0
    assert frechet_diagonal(rows, rows + np.array([3, 0, 4])) == pytest.approx(5)
    spread = rows.std(axis=0, ddof=1)
    assert frechet_diagonal(rows - rows.mean(axis=0), 3 * (rows - rows.mean(axis=0))) == pytest.approx(
        2 * np.hypot.reduce(spread)
    )


def test_the_kernel_distance_is_nothing_among_equals_and_something_else() -> None:
    rng = np.random.default_rng(0)
    equal = [kernel_distance(rng.normal(size=(60, 4)), rng.normal(size=(60, 4))) or 0.0 for _ in range(20)]
    other = kernel_distance(rng.normal(size=(60, 4)), rng.normal(1.5, 1, size=(60, 4)))
    assert abs(float(np.mean(equal))) < 0.15
    assert other is not None
    assert other > 2
    assert kernel_distance(np.zeros((1, 4)), np.zeros((9, 4))) is None


def crop(value: int = 120, size: int = 40) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    image = np.full((size, size, 3), 120, np.uint8)
    mask = np.zeros((size, size), np.bool_)
    mask[10:30, 10:30] = True
    image[mask] = value
    return image, mask


def statistic(image: NDArray[np.uint8], mask: NDArray[np.bool_], name: str) -> float:
    return float(describe(image, mask)[0][NAMES.index(name)])


def test_statistics_say_what_they_are_called() -> None:
    dark, mask = crop(40)
    assert statistic(dark, mask, "lightness") < statistic(*crop(200), "lightness")
    assert statistic(dark, mask, "lightness against rim") < -50
    assert statistic(*crop(120), "lightness against rim") == 0
    stripes, mask = crop()
    stripes[:, ::4] = 220
    assert statistic(stripes, mask, "direction") > 0.95
    noise = stripes.copy()
    noise[...] = np.random.default_rng(0).integers(0, 256, (40, 40, 1))
    assert statistic(noise, mask, "direction") < 0.4
    assert statistic(noise, mask, "band 1 px") > statistic(
        cv2.GaussianBlur(noise, (0, 0), 2).astype(np.uint8), mask, "band 1 px"
    )
    assert len(NAMES) == len(describe(dark, mask)[0])


def test_grey_and_rgb_of_one_picture_have_equal_statistics_and_colours_sum_to_one() -> None:
    rng = np.random.default_rng(2)
    grey = rng.integers(0, 256, (50, 60)).astype(np.uint8)
    mask = rng.random((50, 60)) < 0.3
    flat, colours = describe(grey, mask)
    again, _ = describe(np.repeat(grey[..., None], 3, axis=2), mask)
    assert np.array_equal(flat, again)
    assert colours.sum(axis=1) == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (700, 3), (900, 900)])
def test_any_mask_of_one_pixel_at_least_has_finite_statistics(shape: tuple[int, int]) -> None:
    mask = np.zeros(shape, np.bool_)
    mask[shape[0] // 2, shape[1] // 2] = True
    found, _ = describe(np.full(shape, 77, np.uint8), mask)
    assert np.isfinite(found).all()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("score")
    counts = {"good": 4, "test-good": 0, "hole": 6, "color": 6, "cut": 0, "metal_contamination": 0, "thread": 0}
    sample(folder / "raw", size=128, counts=counts, workers=1)
    prepare(folder / "raw", folder / "prepared", SplitOptions(fractions=(0.67, 0.33)), workers=1)
    return folder / "prepared"


Make = Callable[..., Dataset]


@pytest.fixture
def data(base: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(base, tmp_path / "data"))


def add(root: Path, image: NDArray[np.uint8], mask: NDArray[np.bool_] | None, number: int, class_name: str = "hole",
        **provenance: Any) -> None:  # fmt: skip
    record: Mapping[str, Any] = {"method": "procedural", "recipe": "abcdef0123456789", **provenance}
    with appending(root, command="test", identity=str(number), split="main") as appender:
        made = None if mask is None else encode_png(mask)
        appender.add(Addition(f"s{number:03d}", class_name, encode_png(image), made, provenance=record))


def drawn(root: Path, kind: str, count: int, **provenance: Any) -> None:
    dataset = read(root)
    host = images.read(root / dataset.of_class("good")[0].image_path)
    for k in range(count):
        scene = Scene(host, None, (), (), Facts(kind, (), (), (), 0.0, is_object=False))
        made = Procedural().render(scene, ProceduralParameters(), np.random.default_rng(k))
        add(root, made.image, made.mask, 500 + k, kind, **provenance)


def train_of(root: Path, class_name: str, side: str = "train") -> list[str]:
    dataset = read(root)
    return [
        s.id
        for s in dataset.samples
        if s.class_name == class_name and s.origin == "real" and dataset.splits["main"].sides[s.id] == side
    ]


def pixels(root: Path, sample_id: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    found = read(root).by_id()[sample_id]
    assert found.mask_path is not None
    return images.read(root / found.image_path), images.read_values(root / found.mask_path) > 0


def test_copies_are_seen_as_copies(data: Path) -> None:
    donors = train_of(data, "hole")
    for number, donor in enumerate(donors):
        add(data, *pixels(data, donor), number)
    (group,) = score(data, workers=1).groups
    d = group.distances
    assert d.crops == d.real_crops >= len(donors)
    assert d.nearest_real == pytest.approx(0, abs=1e-5)
    assert d.real_nearest_real is not None
    assert d.real_nearest_real > 0.1
    assert d.frechet_texture == pytest.approx(0, abs=1e-9)
    assert d.color_emd == (0, 0, 0)
    assert d.area_emd == 0
    assert d.diversity == pytest.approx(d.real_diversity)


def test_one_image_again_and_again_has_no_diversity_and_new_ones_are_no_copies(data: Path) -> None:
    image, mask = pixels(data, train_of(data, "hole")[0])
    for number in range(3):
        add(data, image, mask, number, recipe="0000000099")
    drawn(data, "hole", 4)
    same, new = score(data, workers=1).groups
    assert (same.recipe, new.recipe) == ("procedural 00000000", "procedural abcdef01")
    assert same.images == 3
    assert new.distances.diversity is not None
    assert new.distances.nearest_real_min is not None
    assert new.distances.nearest_real_min > 0.1
    if same.distances.crops == 3:
        assert same.distances.diversity == pytest.approx(0, abs=1e-5)
        assert new.distances.diversity > 0.1


def test_acceptance_counts_refused_draws_and_nulls_are_counted_apart(data: Path) -> None:
    image, mask = pixels(data, train_of(data, "hole")[0])
    add(data, image, mask, 0, refused={"visible": 2, "area": 1}, attempt=3)
    add(data, image, mask, 1, refused={})
    add(data, image, None, 2, "good", null=True)
    found = score(data, workers=1)
    (group,) = found.groups
    assert found.nulls == 1
    assert group.acceptance.draws == 5
    assert group.acceptance.share == pytest.approx(0.4)
    assert dict(group.acceptance.refused) == {"visible": 2, "area": 1}


def test_test_images_are_looked_at_only_when_asked(data: Path) -> None:
    drawn(data, "hole", 2)
    tests = train_of(data, "hole", "test")
    assert tests
    before, before_all = score(data, workers=1), score(data, against="all", workers=1)
    assert before_all.groups[0].distances.real_crops > before.groups[0].distances.real_crops
    for each in tests:
        image, _ = pixels(data, each)
        path = data / read(data).by_id()[each].image_path
        path.unlink()
        path.write_bytes(encode_png(255 - image))
    assert score(data, workers=1).to_json() == before.to_json()
    assert score(data, against="all", workers=1).to_json() != before_all.to_json()


def test_workers_change_nothing_and_the_result_is_json(data: Path) -> None:
    drawn(data, "hole", 3)
    drawn_more = score(data, workers=2)
    assert isinstance(drawn_more, ScoreResult)
    one = json.dumps(score(data, workers=1).to_json(), allow_nan=False)
    assert one == json.dumps(drawn_more.to_json(), allow_nan=False)


def test_a_class_without_real_images_still_has_its_own_numbers(data: Path) -> None:
    from carpet_data.store import drop

    for name in train_of(data, "color"):
        drop(data, [name], reason="test", command="test")
    drawn(data, "color", 2)
    (group,) = score(data, workers=1).groups
    assert group.distances.real_crops == 0
    assert group.distances.nearest_real is None
    assert group.distances.diversity is not None or group.distances.crops < 2


def test_nothing_synthetic_is_an_error_that_helps(base: Path) -> None:
    with pytest.raises(DataError, match="no synthetic") as caught:
        score(base)
    assert "synthesize" in str(caught.value.hint)
    with pytest.raises(UsageError, match="unknown split"):
        score(base, split="other")
    with pytest.raises(UsageError, match="unknown option 'backbon'") as caught:
        score(base, backbon="none")
    assert "backbone" in str(caught.value.hint)


def test_networks_are_named_and_never_downloaded(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn(data, "hole", 3)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert score(data, workers=1).backbone is None
    with pytest.raises(UsageError, match="unknown network"):
        score(data, backbone="vgg")
    with pytest.raises(UsageError, match="no weights"):
        score(data, backbone="resnet18")
    with pytest.raises(UsageError, match="without --backbone"):
        score(data, weights=tmp_path / "a.pth")
    torch, torchvision = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), cache / "resnet18-f37072fd.pth")
    found = score(data, workers=1)
    assert found.backbone == "resnet18, layer3, IMAGENET1K_V1"
    assert found.groups[0].feature_distance is not None
    assert score(data, workers=1, backbone="none").groups[0].feature_distance is None
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"no weights")
    with pytest.raises(DataError, match="cannot read weights"):
        score(data, backbone="resnet18", weights=broken)


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err


def test_the_command(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn(data, "hole", 3, refused={"area": 1})
    plot = tmp_path / "score.png"
    code, text, error = call(capsys, "score", str(data), "--backbone", "none", "--plot", str(plot), "--workers", "1")
    assert code == 0, error
    assert "procedural abcdef01" in text
    assert "area 3" in text
    assert images.read(plot).shape[1] > 800
    first = plot.read_bytes()
    code, _, error = call(capsys, "score", str(data), "--backbone", "none", "--plot", str(plot))
    assert code == 1
    assert "exists" in error
    code, text, _ = call(capsys, "score", str(data), "--backbone", "none", "--plot", str(plot), "--overwrite", "--json")
    assert code == 0
    assert json.loads(text)["groups"][0]["acceptance"]["draws"] == 6
    assert plot.read_bytes() == first
    assert call(capsys, "score", str(data), "--plot", str(tmp_path / "score.jpg"))[0] == 2
    assert call(capsys, "score", str(data), "--plot", str(data / "images" / "a.png"))[0] == 2


def test_a_plot_in_the_way_is_refused_before_anything_is_measured(data: Path, tmp_path: Path) -> None:
    from carpet_data.experiments.quality.score_plot import check_plot

    (tmp_path / "there.png").write_bytes(b"")
    with pytest.raises(OutputError, match="exists"):
        check_plot(tmp_path / "there.png", data, overwrite=False)
    check_plot(tmp_path / "there.png", data, overwrite=True)
