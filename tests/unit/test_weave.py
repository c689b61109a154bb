from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from carpet_data.core.images import read, read_values
from carpet_data.weave import DEFECTS, make_cloth, render
from carpet_data.weave.image import Rendered, generator
from carpet_data.weave.sample import WeaveJob, sample, write_image
from carpet_data.weave.strands import Strand, curve, lay
from carpet_data.weave.surface import Box, Surface, grid

COUNTS = {"good": 1, "test-good": 1, "color": 1, "cut": 1, "hole": 1, "metal_contamination": 1, "thread": 1}


def drawn(class_name: str, k: int = 0, size: int = 256, seed: int = 0) -> Rendered:
    return render(class_name, generator(seed, "test", class_name, k, size), size)


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("[!.]*"))
        if path.is_file()
    }


@pytest.mark.parametrize("class_name", DEFECTS)
@pytest.mark.parametrize("size", [64, 256])
def test_outside_the_mask_nothing_changed_and_inside_nearly_everything(class_name: str, size: int) -> None:
    for k in range(3):
        rendered = drawn(class_name, k, size)
        changed = (rendered.image != rendered.clean).any(axis=2)
        assert rendered.mask.any()
        assert not (changed & ~rendered.mask).any()
        assert changed[rendered.mask].mean() > 0.85
        # The model promises a defect of at most 0.6 of the image, and shadows.
        assert rendered.mask.mean() < 0.5


def test_good_has_no_mask() -> None:
    rendered = drawn("good")
    assert not rendered.mask.any()
    assert np.array_equal(rendered.image, rendered.clean)


def test_each_class_changes_the_cloth_in_its_own_way() -> None:
    def tone(class_name: str) -> float:
        rendered = [drawn(class_name, k) for k in range(4)]
        change = [(r.image.astype(int) - r.clean)[r.mask].mean() for r in rendered]
        return float(np.mean(change))

    assert tone("color") < -15
    assert abs(tone("cut")) < 12


def test_the_stain_keeps_the_weave() -> None:
    rendered = drawn("color", 1)
    core = cv2.erode(rendered.mask.astype(np.uint8), np.ones((15, 15), np.uint8)).astype(bool)
    assert core.sum() > 200
    before, after = rendered.clean[core].mean(axis=1), rendered.image[core].mean(axis=1)
    assert np.corrcoef(before, after)[0, 1] > 0.75


def test_the_weave_goes_over_and_under_by_turns() -> None:
    cloth = make_cloth(np.random.default_rng(0), 512)
    x, y = grid(Box(0, 0, 512, 512))
    whole = cloth.surface(x, y)
    everywhere = np.ones(x.shape, dtype=bool)
    warp_only = cloth.surface(x, y, no_weft=everywhere)
    weft_only = cloth.surface(x, y, no_warp=everywhere)
    assert np.array_equal(whole.height, np.maximum(warp_only.height, weft_only.height))
    ground = whole.height.min()
    both = (warp_only.height > ground) & (weft_only.height > ground)
    over = float((warp_only.height > weft_only.height)[both].mean())
    assert 0.45 < over < 0.55
    assert 0.03 < float((whole.height == ground).mean()) < 0.2


def test_the_yarns_have_the_pitch_of_the_model() -> None:
    rng = np.random.default_rng(3)
    cloth = make_cloth(rng, 1024)
    assert np.diff(cloth.warp.centers).mean() == pytest.approx(21.1, rel=0.06)
    assert np.diff(cloth.weft.centers).mean() == pytest.approx(25.9, rel=0.06)


def test_images_are_about_as_bright_and_as_rough_as_photographed_carpet() -> None:
    images = [drawn("good", k, 512).image for k in range(4)]
    means = np.array([image.mean(axis=(0, 1)) for image in images])
    deviations = np.array([image.std(axis=(0, 1)) for image in images])
    assert np.abs(means.mean(axis=0) - (97, 91, 91)).max() < 8
    assert np.abs(deviations.mean(axis=0) - (37.5, 35, 31)).max() < 5
    assert len({tuple(mean) for mean in means.tolist()}) == 4


def test_layout_and_files(tmp_path: Path) -> None:
    out = tmp_path / "carpet"
    result = sample(out, size=64, counts={**COUNTS, "hole": 2})
    names = set(digests(out))
    classes = [name for name in COUNTS if name in DEFECTS]
    expected = {"license.txt", "train/good/000.png", "test/good/000.png", "test/hole/001.png"}
    expected |= {f"test/{name}/000.png" for name in classes}
    expected |= {f"ground_truth/{name}/000_mask.png" for name in classes} | {"ground_truth/hole/001_mask.png"}
    assert names == expected
    assert result.images == 8
    assert result.to_json()["counts"] == {"train/good": 1, "test/good": 1, **{f"test/{c}": 1 for c in classes}} | {
        "test/hole": 2
    }
    image = read(out / "test" / "hole" / "000.png")
    mask = read_values(out / "ground_truth" / "hole" / "000_mask.png")
    assert image.shape == (64, 64, 3)
    assert mask.shape == (64, 64)
    assert set(np.unique(mask)) == {0, 255}


def test_bytes_do_not_depend_on_the_workers_and_more_images_add_to_the_same(tmp_path: Path) -> None:
    sample(tmp_path / "one", size=64, counts=COUNTS, workers=1)
    sample(tmp_path / "two", size=64, counts=COUNTS, workers=2)
    sample(tmp_path / "more", size=64, counts={**COUNTS, "good": 3, "cut": 2}, workers=1)
    one, more = digests(tmp_path / "one"), digests(tmp_path / "more")
    assert digests(tmp_path / "two") == one
    assert {name: more[name] for name in one} == one
    assert len(set(more.values())) == len(more)
    sample(tmp_path / "other", size=64, counts=COUNTS, seed=1)
    other = digests(tmp_path / "other")
    assert all(other[name] != one[name] for name in one if name != "license.txt")


def test_a_failure_leaves_no_output(tmp_path: Path) -> None:
    def stop(step: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample(tmp_path / "carpet", size=64, counts=COUNTS, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_up(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    sample(tmp_path / "carpet", size=64, counts=COUNTS, progress=lambda step: seen.append((step.done, step.total)))
    assert seen == [(k, 7) for k in range(1, 8)]


def test_a_job_travels_and_names_its_files(tmp_path: Path) -> None:
    job = pickle.loads(pickle.dumps(WeaveJob(tmp_path, "test", "cut", 12, 0, 64)))
    write_image(job)
    assert (tmp_path / "test" / "cut" / "012.png").is_file()
    assert (tmp_path / "ground_truth" / "cut" / "012_mask.png").is_file()
    assert WeaveJob(tmp_path, "train", "good", 0, 0, 64).mask_path is None


def flat(size: int, height: float = 0.0) -> Surface:
    shape = (size, size)
    return Surface(
        np.full((*shape, 3), 100, np.float32),
        np.full(shape, height, np.float32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.uint8),
    )


def test_a_strand_covers_its_width_without_gaps_and_goes_under_what_is_higher() -> None:
    surface = flat(80)
    surface.height[:, 60:] = 50
    strand = Strand(np.array([[-10.0, 40.0], [90.0, 40.0]]), 5.0, (200, 200, 200), (180, 180, 180), lift=3, taper=0.0)
    lay(surface, Box(0, 0, 80, 80), strand, np.random.default_rng(0))
    touched = (surface.albedo != 100).any(axis=2)
    assert touched[38:43, :60].all()
    assert not touched[:, 60:].any()
    assert not touched[:30].any()
    assert not touched[50:].any()


def test_a_curve_meets_its_knots() -> None:
    knots = np.array([[0.0, 0.0], [10.0, 5.0], [20.0, -5.0], [30.0, 0.0]])
    path = curve(knots, 61)
    assert np.allclose(path[::20], knots)
    assert np.hypot(*np.diff(path, axis=0).T).max() < 1.0
