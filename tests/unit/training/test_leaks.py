"""A data set in which a held-out image could teach is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import synthesis

from carpet_data import store
from carpet_data.errors import LeakError
from carpet_data.store.leaks import refuse_leaks
from carpet_data.synthesis.engine.synthesize import synthesize
from carpet_data.synthesis.recipe import files, registry

Row = dict[str, Any]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(registry.METHODS, "builtin", dict(registry.METHODS.builtin))
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
    dataset = store.read(root)
    assert any(sample.origin == "synthetic" for sample in dataset)
    refuse_leaks(dataset, "main")


def test_a_donor_held_out_is_refused(root: Path) -> None:
    held_out = store.read(root).splits["main"].ids("test")[0]

    def steal(row: Row) -> None:
        if row.get("provenance"):
            row["provenance"]["donors"] = [held_out]

    rewrite(root / "manifest.jsonl", steal)
    with pytest.raises(LeakError, match=r"the donor .* is on the test side of main") as refused:
        refuse_leaks(store.read(root), "main")
    assert "(and 1 more)" in str(refused.value)
    assert refused.value.where == str(root / "manifest.jsonl")


def test_a_synthetic_image_held_out_is_refused(root: Path) -> None:
    made = next(sample.id for sample in store.read(root) if sample.origin == "synthetic")
    rewrite(root / "splits" / "main.jsonl", lambda row: row.update(side="test") if row.get("id") == made else None)
    with pytest.raises(LeakError, match=r"synthetic sample .* is on the test side"):
        refuse_leaks(store.read(root), "main")


def test_a_group_on_two_sides_is_refused(root: Path) -> None:
    split = store.read(root).splits["main"]
    pair = (split.ids("train")[0], split.ids("test")[0])
    rewrite(root / "manifest.jsonl", lambda row: row.update(group="g") if row.get("id") in pair else None)
    with pytest.raises(LeakError, match="the group 'g' is on two sides"):
        refuse_leaks(store.read(root), "main")


def test_equal_bytes_on_two_sides_are_refused(root: Path) -> None:
    dataset = store.read(root)
    taught, held_out = (dataset.splits["main"].ids(side)[0] for side in ("train", "test"))
    digest = dataset.by_id()[taught].image_sha256
    rewrite(root / "manifest.jsonl", lambda row: row.update(image_sha256=digest) if row.get("id") == held_out else None)
    with pytest.raises(LeakError, match="byte for byte"):
        refuse_leaks(store.read(root), "main")


@pytest.fixture(scope="module")
def sampled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with two images of a model that was fitted to its train side."""
    folder = tmp_path_factory.mktemp("sampled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry.METHODS, "builtin", dict(registry.METHODS.builtin))
        synthesis.register()
        made = synthesis.dataset(folder / "set")
        recipe = files.load(synthesis.recipe(folder, "mean"))
        synthesis.fitted(made, recipe)
        synthesize(made, ["hole"], 2, recipe=recipe, workers=1, device="cpu")
    return made


@pytest.fixture
def sampled(sampled_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sampled_once, tmp_path / "sampled"))


def card(root: Path) -> Path:
    (found,) = root.glob("models/*/card.json")
    return found


def pupil(root: Path) -> str:
    """A real train image."""
    return next(s.id for s in store.read(root).on_side("train", "main") if s.origin == "real")


def leave(root: Path, sample_id: str) -> None:
    """Take a sample out of the split."""
    path = root / "splits" / "main.jsonl"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if json.loads(line).get("id") != sample_id]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def taught_by(root: Path, sample_id: str) -> None:
    values = json.loads(card(root).read_text(encoding="utf-8"))
    values["samples"][sample_id] = "0" * 16
    card(root).write_text(json.dumps(values), encoding="utf-8")


def test_what_a_model_of_the_train_side_made_passes(sampled: Path) -> None:
    refuse_leaks(store.read(sampled), "main")
    assert list(store.verify(sampled)) == []


def test_a_model_that_learned_from_a_held_out_image_is_refused(sampled: Path) -> None:
    held_out = store.read(sampled).splits["main"].ids("test")[0]
    taught_by(sampled, held_out)
    with pytest.raises(LeakError, match=rf"the model mean-.* trained on '{held_out}', which is on the test") as refused:
        refuse_leaks(store.read(sampled), "main")
    model = card(sampled).parent.name
    assert f"carpet-data drop {sampled} --where model={model}" in str(refused.value.hint)
    assert refused.value.where == str(card(sampled))
    assert [problem.code for problem in store.verify(sampled)] == ["ancestor-held-out"]


def test_a_model_that_learned_from_the_group_of_a_held_out_image_is_refused(sampled: Path) -> None:
    held_out = store.read(sampled).splits["main"].ids("test")[0]
    # The brother takes no part in the split, so that the group itself lies on one side.
    brother = pupil(sampled)
    rewrite(
        sampled / "manifest.jsonl", lambda row: row.update(group="g") if row.get("id") in (held_out, brother) else None
    )
    leave(sampled, brother)
    with pytest.raises(LeakError, match=rf"trained on '{brother}', whose group 'g' is on the test side"):
        refuse_leaks(store.read(sampled), "main")


def test_a_model_that_learned_from_the_bytes_of_a_held_out_image_is_refused(sampled: Path) -> None:
    dataset = store.read(sampled)
    # The twin takes no part in the split, where equal bytes on two sides would be found anyway.
    held_out, taught = dataset.splits["main"].ids("test")[0], pupil(sampled)
    digest = dataset.by_id()[held_out].image_sha256
    leave(sampled, taught)
    rewrite(
        sampled / "manifest.jsonl", lambda row: row.update(image_sha256=digest) if row.get("id") == taught else None
    )
    with pytest.raises(LeakError, match=rf"trained on '{taught}', which is byte for byte an image on the test side"):
        refuse_leaks(store.read(sampled), "main")


def test_a_model_that_learned_from_strangers_is_refused(sampled: Path) -> None:
    taught_by(sampled, "nobody-knows-it")
    with pytest.raises(LeakError, match="'nobody-knows-it', which is not in the manifest"):
        refuse_leaks(store.read(sampled), "main")


@pytest.mark.parametrize("text", [None, "{", "[]", '{"samples": [], "read": []}', '{"samples": {}}'])
def test_a_model_that_does_not_say_what_taught_it_is_refused(sampled: Path, text: str | None) -> None:
    if text is None:
        card(sampled).unlink()
    else:
        card(sampled).write_text(text, encoding="utf-8")
    with pytest.raises(LeakError, match="the model 'mean-" if text is None else "the card of the model") as refused:
        refuse_leaks(store.read(sampled), "main")
    assert "restore the model" in str(refused.value.hint)
    assert [problem.code for problem in store.verify(sampled)] == ["model-unknown"]


@pytest.mark.parametrize("name", ["../../elsewhere", "/elsewhere"])
def test_a_model_whose_name_leads_out_of_the_data_set_is_refused(sampled: Path, name: str) -> None:
    def lead_out(row: Row) -> None:
        if row.get("provenance"):
            row["provenance"]["fitted"]["model"] = name

    rewrite(sampled / "manifest.jsonl", lead_out)
    with pytest.raises(LeakError, match="has no card"):
        refuse_leaks(store.read(sampled), "main")
