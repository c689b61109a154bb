"""A data set in which a held-out image could teach is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import synthesis

from carpet_data import layout
from carpet_data.errors import LeakError
from carpet_data.synthesis import registry
from carpet_data.training.leaks import refuse_leaks
from carpet_data.verbs.synthesize import synthesize

Row = dict[str, Any]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(registry, "METHODS", dict(registry.METHODS))
    synthesis.register()
    made = synthesis.dataset(tmp_path / "set")
    synthesize(made, ["hole"], 2, recipe=synthesis.recipe(tmp_path), workers=1)
    return made


def rewrite(path: Path, change: Callable[[Row], None]) -> None:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        change(row)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_a_sound_data_set_passes(root: Path) -> None:
    refuse_leaks(layout.read(root), "main")


def test_a_donor_held_out_is_refused(root: Path) -> None:
    held_out = layout.read(root).splits["main"].ids("test")[0]

    def steal(row: Row) -> None:
        if row.get("provenance"):
            row["provenance"]["donors"] = [held_out]

    rewrite(root / "manifest.jsonl", steal)
    with pytest.raises(LeakError, match=r"the donor .* is on the test side of main") as refused:
        refuse_leaks(layout.read(root), "main")
    assert "(and 1 more)" in str(refused.value)
    assert refused.value.where == str(root / "manifest.jsonl")


def test_a_synthetic_image_held_out_is_refused(root: Path) -> None:
    made = next(sample.id for sample in layout.read(root) if sample.origin == "synthetic")
    rewrite(root / "splits" / "main.jsonl", lambda row: row.update(side="test") if row.get("id") == made else None)
    with pytest.raises(LeakError, match=r"synthetic sample .* is on the test side"):
        refuse_leaks(layout.read(root), "main")


def test_a_group_on_two_sides_is_refused(root: Path) -> None:
    split = layout.read(root).splits["main"]
    pair = (split.ids("train")[0], split.ids("test")[0])
    rewrite(root / "manifest.jsonl", lambda row: row.update(group="g") if row.get("id") in pair else None)
    with pytest.raises(LeakError, match="the group 'g' is on two sides"):
        refuse_leaks(layout.read(root), "main")


def test_equal_bytes_on_two_sides_are_refused(root: Path) -> None:
    dataset = layout.read(root)
    taught, held_out = (dataset.splits["main"].ids(side)[0] for side in ("train", "test"))
    digest = dataset.by_id()[taught].image_sha256
    rewrite(root / "manifest.jsonl", lambda row: row.update(image_sha256=digest) if row.get("id") == held_out else None)
    with pytest.raises(LeakError, match="byte for byte"):
        refuse_leaks(layout.read(root), "main")
