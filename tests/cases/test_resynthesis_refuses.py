"""resynthesis refuses what it cannot make, and says what works instead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.leather import dent, flat
from helpers.meshes import bent, cut_of, mesh
from helpers.scenes import carpet, carpet_scene, donor, facts

import carpet_data as cd
from carpet_data.core.images import encode_png
from carpet_data.errors import DataError
from carpet_data.synthesis.contract import Scene, Unsuited
from carpet_data.synthesis.methods.resynthesis import Resynthesis, ResynthesisParameters
from carpet_data.synthesis.ops.likeness import contrast_of, unlike
from carpet_data.synthesis.ops.period import structure_of

PLAIN = ResynthesisParameters()


def test_a_lattice_is_refused_with_what_keeps_it() -> None:
    host = mesh().image
    shown = cut_of(*bent())
    scene = Scene(host, None, (shown,) * 3, (), facts(shown.mask), structure=structure_of(host))
    with pytest.raises(Unsuited, match="donor-paste"):
        Resynthesis().render(scene, PLAIN, np.random.default_rng(0))


def test_a_lit_relief_is_refused_with_what_keeps_its_light() -> None:
    shown = donor(*dent(seed=3))
    scene = Scene(flat(), None, (shown,) * 3, (), facts(shown.mask))
    with pytest.raises(Unsuited, match=r"lit from one side.*donor-paste"):
        Resynthesis().render(scene, PLAIN, np.random.default_rng(0))


@pytest.mark.parametrize("kind", ["hole", "color", "thread"])
def test_carpet_is_made_as_before(kind: str) -> None:
    made = Resynthesis().render(carpet_scene(kind), PLAIN, np.random.default_rng(1))
    assert made.mask.any()


def test_streaks_and_blocks_are_not_like_real_defects() -> None:
    shown = carpet("hole")
    real = contrast_of(shown.image, shown.mask)
    host = carpet("good").image
    assert unlike(real, [real, real]) is None
    # The clean texture shines through, smoothed as blending does.
    faint = cv2.GaussianBlur(host, (0, 0), 4)
    faint[~shown.mask] = host[~shown.mask]
    assert "translucent" in str(unlike(contrast_of(faint, shown.mask), [real]))
    tiles = np.random.default_rng(0).choice([0, 255], (64, 64, 1)).astype(np.uint8)
    hard = np.repeat(np.repeat(tiles, 6, axis=0), 6, axis=1)[: host.shape[0], : host.shape[1]]
    block = np.where(shown.mask[..., None], hard, host)
    assert "too strong" in str(unlike(contrast_of(block, shown.mask), [real]))
    assert unlike(None, [real]) is None
    assert contrast_of(host, np.zeros(shown.mask.shape, np.bool_)) is None


def test_null_samples_are_made_all_the_same() -> None:
    host = mesh().image
    shown = cut_of(*bent())
    scene = Scene(host, None, (shown,) * 3, (), facts(shown.mask), structure=structure_of(host), null=True)
    made = Resynthesis().render(replace(scene, structure=None), PLAIN, np.random.default_rng(0))
    assert not made.mask.any()
    assert not Resynthesis().render(scene, PLAIN, np.random.default_rng(0)).mask.any()


def test_synthesize_says_so_at_once(tmp_path: Path) -> None:
    for number in range(5):
        images = {"train/good": flat(seed=10 + number)}
        if number < 3:
            images["test/dent"], mask = dent(seed=number)
            path = tmp_path / f"leather/ground_truth/dent/{number}_mask.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(mask))
        for folder, image in images.items():
            path = tmp_path / "leather" / folder / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(image))
    cd.prepare(tmp_path / "leather", tmp_path / "prepared", workers=1)
    with pytest.raises(DataError, match=r"resynthesis cannot make such defects.*lit from one side.*donor-paste"):
        cd.synthesize(
            tmp_path / "prepared", ["dent"], n=2, options=cd.SynthesisOptions(recipe="resynthesis", workers=1)
        )
