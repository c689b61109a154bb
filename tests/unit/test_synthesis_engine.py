"""The engine: the same images whatever the workers and the interruptions, hosts used evenly, clear refusals."""

from __future__ import annotations

import shlex
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import synthesis
from helpers.sources import hashes, write_source

from carpet_data import store
from carpet_data.core import seeds
from carpet_data.core.images import probe, read
from carpet_data.dataset import GOOD
from carpet_data.errors import CarpetDataError, DataError, OutputError, UsageError
from carpet_data.preparation.drop import drop
from carpet_data.preparation.options import GroupOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.synthesis.engine import plan, sources
from carpet_data.synthesis.engine import render as rendering
from carpet_data.synthesis.engine.make import SynthesisRequest, make
from carpet_data.synthesis.engine.options import SynthesisOptions
from carpet_data.synthesis.engine.plan import Planner
from carpet_data.synthesis.engine.rebalance import rebalance
from carpet_data.synthesis.engine.synthesize import synthesize
from carpet_data.synthesis.recipe import files, registry

REDRAWING = synthesis.LENIENT + "parameters: {redraw_share: 0.6}\nattempts: 2\n"


@pytest.fixture(autouse=True)
def methods() -> Iterator[None]:
    before = dict(registry.METHODS.builtin)
    synthesis.register()
    yield
    registry.METHODS.builtin.clear()
    registry.METHODS.builtin.update(before)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesis.dataset(tmp_path_factory.mktemp("engine") / "set")


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "set"))


def test_the_same_tree_for_any_number_of_workers_and_any_order_of_asking(root: Path, tmp_path: Path) -> None:
    # Many draws fail, whole images too, so that what takes their places is tested as well.
    recipe = synthesis.recipe(tmp_path, more=REDRAWING + "null_share: 0.25\n")
    others = [Path(shutil.copytree(root, tmp_path / name)) for name in ("two", "parts", "apart")]
    report = synthesize(root, ["hole", "thread"], 20, recipe=recipe, workers=1).classes["hole"]
    assert report.given_up > 0
    assert (report.made, report.nulls) == (20, 5)
    assert report.draws == sum(report.refused.values()) + 25
    synthesize(others[0], ["hole", "thread"], 20, recipe=recipe, workers=2)
    for n in (3, 11, 20):
        synthesize(others[1], ["hole", "thread"], n, recipe=recipe, workers=1)
    synthesize(others[2], ["thread"], 20, recipe=recipe, workers=1)
    synthesize(others[2], ["hole"], 20, recipe=recipe, workers=1)
    whole = hashes(root)
    assert [hashes(other) == whole for other in others] == [True, True, True]
    assert list(store.verify(root)) == []


def test_asking_again_makes_nothing_new(root: Path, tmp_path: Path) -> None:
    recipe = synthesis.recipe(tmp_path)
    synthesize(root, ["hole"], 5, recipe=recipe, workers=1)
    before = hashes(root)
    again = synthesize(root, ["hole"], 5, recipe=recipe, workers=1).classes["hole"]
    fewer = synthesize(root, ["hole"], 2, recipe=recipe, workers=1).classes["hole"]
    assert (again.made, again.existed, fewer.made, fewer.existed) == (0, 5, 0, 5)
    assert hashes(root) == before


def test_a_request_is_not_changed_by_being_made(root: Path, tmp_path: Path) -> None:
    recipe = files.load(synthesis.recipe(tmp_path, more=REDRAWING + "null_share: 0.5\n"))
    options = SynthesisOptions(recipe=recipe, workers=1)
    wanted = {"hole": 4, "thread": 2}
    request = SynthesisRequest(store.read(root), wanted, recipe, options, "a test")
    planned = make(replace(request, options=options.but(dry_run=True)))
    first, again = make(request), make(request)
    assert wanted == {"hole": 4, "thread": 2}
    assert {name: len([plan for plan in plans if not plan.null]) for name, plans in planned.plans.items()} == wanted
    assert {name: (each.existed, each.made) for name, each in first.classes.items()} == {
        "hole": (0, 4),
        "thread": (0, 2),
    }
    assert {name: (each.existed, each.made) for name, each in again.classes.items()} == {
        "hole": (4, 0),
        "thread": (2, 0),
    }
    with pytest.raises(FrozenInstanceError):
        request.more = True  # type: ignore[misc]


def test_one_class_may_be_named_by_its_name_alone(root: Path, tmp_path: Path) -> None:
    options = SynthesisOptions(recipe=synthesis.recipe(tmp_path), workers=1, seed=3)
    made = synthesize(str(root), "hole", 2, options, seed=4)
    assert (made.seed, made.classes["hole"].made) == (4, 2)


def test_what_prepare_returns_names_its_folder(tmp_path: Path) -> None:
    source = write_source(tmp_path / "raw")
    ready = prepare(source, tmp_path / "ready", workers=1)
    made = synthesize(ready, "hole", 2, recipe=synthesis.recipe(tmp_path), workers=1)
    assert (made.root, made.classes["hole"].made) == (tmp_path / "ready", 2)
    assert rebalance(ready, 6, recipe=synthesis.recipe(tmp_path), workers=1).after["hole"] == 6


def test_what_was_dropped_is_made_up_for_by_others(root: Path, tmp_path: Path) -> None:
    recipe = synthesis.recipe(tmp_path)
    synthesize(root, ["hole"], 6, recipe=recipe, workers=1)
    assert len(drop(root, ["origin=synthetic", "k<2"]).ids) == 2
    assert synthesize(root, ["hole"], 6, recipe=recipe, workers=1).classes["hole"].made == 2
    numbers = sorted(s.provenance["k"] for s in store.read(root) if s.provenance is not None)
    assert numbers == [2, 3, 4, 5, 6, 7]


def test_another_seed_recipe_or_pool_makes_others_beside(root: Path, tmp_path: Path) -> None:
    plain = synthesis.recipe(tmp_path)
    brighter = synthesis.recipe(tmp_path / "other", more=synthesis.LENIENT + "parameters: {level: 9}\n")
    for recipe, seed in ((plain, 0), (plain, 1), (brighter, 0)):
        assert synthesize(root, ["hole"], 3, recipe=recipe, seed=seed, workers=1).classes["hole"].made == 3
    host = next(s for s in store.read(root).on_side("train", "main") if s.class_name == GOOD)
    store.drop(root, [host.id], "test")
    assert synthesize(root, ["hole"], 3, recipe=plain, workers=1).classes["hole"].made == 3
    assert sum(s.origin == "synthetic" for s in store.read(root)) == 12


def test_the_record_says_where_it_came_from(root: Path, tmp_path: Path) -> None:
    recipe = synthesis.recipe(tmp_path)
    synthesize(root, ["hole"], 4, recipe=recipe, seed=3, workers=1)
    dataset = store.read(root)
    train = {sample.id for sample in dataset.on_side("train", "main")}
    loaded = files.load(recipe)
    for k, sample in enumerate(s for s in dataset if s.origin == "synthetic"):
        record = sample.provenance
        assert record is not None
        assert (record["recipe"], record["method"], record["split"]) == (loaded.identity, "donor-disc", "main")
        assert (record["seed"], record["k"], record["class"]) == (3, k, "hole")
        assert {record["host"], *record["donors"]} <= train
        assert dataset.by_id()[record["host"]].class_name == GOOD
        assert set(record["gates"]) == {"inside-box", "visible", "outside", "area", "border", "near-copy"}
        assert set(record["parameters"]) == {"radius_px", "centre"}
        assert sample.id == f"hole_donor-disc_{sample.id.split('_')[2]}_s3_{k:06d}"
    assert (root / "recipes" / f"{loaded.identity}.json").is_file()


def test_mask_and_image_are_what_the_method_made(root: Path, tmp_path: Path) -> None:
    synthesize(root, ["hole"], 6, recipe=synthesis.recipe(tmp_path), workers=1)
    dataset = store.read(root)
    for sample in (s for s in dataset if s.origin == "synthetic"):
        assert sample.provenance is not None
        assert sample.mask_path is not None
        mask = read(root / sample.mask_path) > 0
        host = read(dataset.path(dataset.by_id()[sample.provenance["host"]].image_path))
        # Five hosts at most and six images: the last is on a varied host, the others on hosts as they are.
        if sample.provenance["variation"]["gain"] == 1.0:
            assert np.array_equal((read(root / sample.image_path) != host).any(axis=2) & ~mask, np.zeros_like(mask))


def test_hosts_and_donors_are_used_evenly(root: Path, tmp_path: Path) -> None:
    recipe = files.load(synthesis.recipe(tmp_path))
    method = registry.load(recipe.target)
    found = sources.build(store.read(root), "main", "hole", recipe)
    planner = Planner(found, recipe, method, 0)
    count = 6 * len(found.hosts) * len(found.donors)
    jobs = [planner.plan(k) for k in range(count)]
    hosts = Counter(job.host.sample.id for job in jobs)
    donors = Counter(job.donors[0].sample.id for job in jobs)
    assert set(hosts.values()) == {count // len(found.hosts)}
    assert set(donors.values()) == {count // len(found.donors)}
    # Nobody meets only one partner, and nothing of the order is the ids' own.
    assert len({(job.host.sample.id, job.donors[0].sample.id) for job in jobs}) > 2 * len(found.hosts)
    first = [job.variation for job in jobs[: len(found.hosts)]]
    assert first == [plan.Variation()] * len(found.hosts)
    assert len({(v.flip_x, v.flip_y) for v in (job.variation for job in jobs)}) == 4
    assert any(job.variation.angle_deg for job in jobs)
    assert Planner(found, recipe, method, 0).plan(17) == jobs[17]
    assert Planner(found, recipe, method, 1).plan(17) != jobs[17]


def test_dry_run_prints_the_plan_and_writes_nothing(root: Path, tmp_path: Path) -> None:
    before = hashes(root)
    result = synthesize(root, ["hole"], 7, recipe=synthesis.recipe(tmp_path), dry_run=True)
    assert [job.k for job in result.plans["hole"]] == list(range(7))
    assert "7 would be made" in result.text()
    assert result.to_json()["plans"]["hole"][0]["donors"]
    assert hashes(root) == before


def test_null_samples_are_good_pasted_on_good(root: Path, tmp_path: Path) -> None:
    recipe = synthesis.recipe(tmp_path, more=synthesis.LENIENT + "null_share: 0.5\n")
    assert synthesize(root, ["hole"], 8, recipe=recipe, workers=1).classes["hole"].nulls == 4
    dataset = store.read(root)
    nulls = [s for s in dataset if s.provenance is not None and s.provenance.get("null")]
    assert len(nulls) == 4
    for sample in nulls:
        assert (sample.class_name, sample.mask_path) == (GOOD, None)
        assert sample.provenance is not None
        source = dataset.by_id()[sample.provenance["null_source"]]
        assert (source.class_name, source.origin) == (GOOD, "real")
    assert list(store.verify(root)) == []


def test_null_samples_of_objects_take_from_themselves(root: Path, tmp_path: Path) -> None:
    # A piece of another object would be a defect, and these are labelled good.
    more = synthesis.LENIENT + "null_share: 1\nsubject: object\n"
    synthesize(root, ["hole"], 9, recipe=synthesis.recipe(tmp_path, more=more), workers=1)
    records = [s.provenance for s in store.read(root) if s.provenance is not None]
    assert sum(record["null_source"] == record["host"] for record in records if record.get("null")) == 9
    assert not any(record["variation"]["flip_x"] or record["variation"]["angle_deg"] for record in records)
    assert any(record["variation"]["gain"] != 1 for record in records)


def test_null_samples_need_a_method_that_pastes(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot create null samples"):
        synthesize(root, ["hole"], 8, recipe=synthesis.recipe(tmp_path, "disc", "null_share: 0.5\n"))
    # One image wants none yet, but a second one would.
    with pytest.raises(DataError, match="cannot create null samples"):
        synthesize(root, ["hole"], 1, recipe=synthesis.recipe(tmp_path, "disc", "null_share: 0.5\n"))


@pytest.mark.parametrize("name", ["perlin", "nsa", "procedural"])
def test_shipped_methods_without_donors_make_nulls_too(root: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "nulls.yaml"
    path.write_text(f"schema: 1\nmethod: {name}\nversion: 1\nnull_share: 1\n", encoding="utf-8")
    assert synthesize(root, ["hole"], 2, recipe=path, workers=1).classes["hole"].nulls == 2
    nulls = [s for s in store.read(root) if s.provenance is not None and s.provenance.get("null")]
    assert [(s.class_name, s.mask_path) for s in nulls] == [(GOOD, None)] * 2


def test_methods_that_vary_whole_images_get_them(root: Path, tmp_path: Path) -> None:
    synthesize(root, ["thread"], 5, recipe=synthesis.recipe(tmp_path, "whole-disc"), workers=1)
    for sample in (s for s in store.read(root) if s.origin == "synthetic"):
        assert sample.provenance is not None
        assert sample.provenance["donors"] == [sample.provenance["host"]]


def test_methods_that_borrow_texture_get_other_images(root: Path, tmp_path: Path) -> None:
    synthesize(root, ["thread"], 5, recipe=synthesis.recipe(tmp_path, "texture-disc"), workers=1)
    for sample in (s for s in store.read(root) if s.origin == "synthetic"):
        assert sample.provenance is not None
        assert len(set(sample.provenance["textures"]) - {sample.provenance["host"]}) == 2


def test_a_class_without_train_images_can_be_drawn_but_not_pasted(tmp_path: Path) -> None:
    root = synthesis.dataset(tmp_path / "set", {"train/good": 6, "test/hole": 5, "test/thread": 1})
    (thread,) = store.read(root).of_class("thread")
    if store.read(root).splits["main"].sides[thread.id] == "train":
        store.drop(root, [thread.id], "test")
    with pytest.raises(DataError, match="no training image of 'thread'") as caught:
        synthesize(root, ["thread"], 3, recipe=synthesis.recipe(tmp_path))
    assert "procedural" in str(caught.value.hint)
    report = synthesize(root, ["thread"], 3, recipe=synthesis.recipe(tmp_path, "disc"), workers=1).classes["thread"]
    assert (report.made, report.donors) == (3, 0)


def test_too_few_good_images_are_joined_by_clean_plates(tmp_path: Path) -> None:
    root = synthesis.dataset(tmp_path / "set", {"train/good": 1, "test/hole": 4, "test/thread": 4}, size=96)
    report = synthesize(root, ["hole"], 9, recipe=synthesis.recipe(tmp_path), workers=1).classes["hole"]
    assert report.plates >= 6
    assert report.hosts == report.plates + 1
    assert len(list((root / "plates").glob("*.json"))) == report.plates_tried
    plates = [s for s in store.read(root) if s.provenance is not None and s.provenance.get("plate")]
    assert len(plates) >= 6
    assert not any(s.provenance is not None and s.provenance["host"] in s.provenance["donors"] for s in plates)
    assert list(store.verify(root)) == []


def test_no_hosts_at_all(tmp_path: Path) -> None:
    root = synthesis.dataset(tmp_path / "set", {"test/hole": 4})
    with pytest.raises(DataError, match="has no good image"):
        synthesize(
            root, ["hole"], 3, recipe=synthesis.recipe(tmp_path, more=synthesis.LENIENT + "hosts: {min_count: 0}\n")
        )


def test_donors_larger_than_every_host(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for folder, size in (("train/good", 20), ("test/hole", 90)):
        (source / folder).mkdir(parents=True)
        for number in range(5):
            pixels = np.random.default_rng([number, size]).integers(0, 256, (size, size), dtype=np.uint8)
            cv2.imwrite(str(source / folder / f"{number}.png"), pixels)
    (source / "ground_truth/hole").mkdir(parents=True)
    mask = np.zeros((90, 90), np.uint8)
    mask[5:85, 5:85] = 255
    for number in range(5):
        cv2.imwrite(str(source / f"ground_truth/hole/{number}_mask.png"), mask)
    prepare(source, tmp_path / "set", workers=1)
    with pytest.raises(DataError, match="larger than every good image"):
        synthesize(tmp_path / "set", ["hole"], 2, recipe=synthesis.recipe(tmp_path))
    before = hashes(tmp_path / "set")
    # A method without donors may still find that nothing fits; that ends too, and leaves nothing behind.
    huge = synthesis.recipe(tmp_path, "disc", synthesis.LENIENT + "parameters: {radius_px: [50, 60]}\n")
    with pytest.raises(DataError, match="redraw"):
        synthesize(tmp_path / "set", ["hole"], 2, recipe=huge, workers=1)
    assert hashes(tmp_path / "set") == before


def test_gates_that_refuse_everything_leave_nothing_behind(root: Path, tmp_path: Path) -> None:
    before = hashes(root)
    strict = synthesis.recipe(tmp_path, more="gates: {visible: 1000}\n")
    with pytest.raises(DataError, match=r"visible 192") as caught:
        synthesize(root, ["hole"], 500, recipe=strict, workers=1)
    assert "relax" in str(caught.value.hint)
    assert hashes(root) == before


def test_a_method_that_breaks_its_contract_is_a_bug_not_an_image(root: Path, tmp_path: Path) -> None:
    sneaky = synthesis.recipe(tmp_path, "disc", synthesis.LENIENT + "parameters: {outside: true}\n")
    with pytest.raises(DataError, match="inside-box"):
        synthesize(root, ["hole"], 4, recipe=sneaky, workers=1)


@pytest.mark.parametrize("verb", ["synthesize", "rebalance"])
def test_a_stopped_command_is_told_so_that_it_can_be_run_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    recipe = synthesis.recipe(tmp_path / "my recipes")
    # Each image is committed at once, so that there is something to go on with.
    monkeypatch.setattr(import_module("carpet_data.store.append"), "_CHUNK", 1)
    honest, count = rendering.render, iter(range(100))

    def stopping(work: Any) -> rendering.RenderResult:
        if next(count) == 5:
            raise KeyboardInterrupt
        return honest(work)

    def ask() -> object:
        if verb == "synthesize":
            return synthesize(root, ["hole"], 9, recipe=recipe, workers=1)
        return rebalance(root, 14, recipe=recipe, workers=1)

    with monkeypatch.context() as patch:
        patch.setattr(rendering, "render", stopping)
        with pytest.raises(KeyboardInterrupt):
            ask()
    with pytest.raises(OutputError) as refused:
        synthesize(root, ["thread"], 1, recipe=recipe, workers=1)
    asked = {"synthesize": "--class hole --n 9", "rebalance": "--to 14"}[verb]
    command = f"{verb} {shlex.quote(str(root))} {asked} --recipe {shlex.quote(str(recipe))} --split main --seed 0"
    assert refused.value.what.endswith(f": {command}")
    ask()
    synthesize(root, ["thread"], 1, recipe=recipe, workers=1)


@pytest.mark.parametrize(
    ("names", "n", "more", "words", "hint"),
    [
        (["holes"], 3, {}, "unknown class 'holes'", "'hole'"),
        (["good"], 3, {}, "good images are not synthesized", "null_share"),
        (["hole"], 0, {}, "--n must be at least 1 (got 0)", ""),
        (["hole"], -5, {}, "--n must be at least 1 (got -5)", ""),
        ([], 5, {}, "no class given", "--class"),
        (["hole"], 3, {"seed": -1}, "--seed must be at least 0 (got -1)", ""),
        (["hole"], 3, {"sede": 1}, "unknown option 'sede'", "'seed'"),
        (["hole"], 3, {"split": "mian"}, "unknown split 'mian'", ""),
        (["hole"], 3, {"recipe": "doner-paste"}, "unknown recipe", "'donor-paste'"),
    ],
)
def test_requests_that_make_no_sense(root: Path, tmp_path: Path, names, n, more, words, hint) -> None:  # type: ignore[no-untyped-def]
    before = hashes(root)
    with pytest.raises(UsageError) as caught:
        synthesize(root, names, n, **{"recipe": synthesis.recipe(tmp_path), **more})
    assert words in caught.value.what
    assert hint in str(caught.value.hint)
    assert hashes(root) == before


def test_a_raw_folder_is_prepared_first(root: Path, tmp_path: Path) -> None:
    source = write_source(tmp_path / "raw")
    before = hashes(source)
    result = synthesize(source, ["hole"], 2, recipe=synthesis.recipe(tmp_path), workers=1)
    assert result.root == tmp_path / "raw-prepared"
    assert "raw" in result.text()
    again = synthesize(source, ["hole"], 3, recipe=synthesis.recipe(tmp_path), workers=1)
    assert (again.root, again.classes["hole"].made) == (result.root, 1)
    assert hashes(source) == before


def test_grey_and_jpeg_hosts_give_grey_and_jpeg(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for folder in ("train/good", "test/hole"):
        (source / folder).mkdir(parents=True)
        for number in range(4):
            pixels = np.random.default_rng([number, len(folder)]).integers(90, 120, (40, 48), dtype=np.uint8)
            cv2.imwrite(
                str(source / folder / f"{number}.jpg"), cv2.blur(pixels, (5, 5)), [cv2.IMWRITE_JPEG_QUALITY, 71]
            )
    (source / "ground_truth/hole").mkdir(parents=True)
    mask = np.zeros((40, 48), np.uint8)
    mask[10:16, 20:28] = 255
    for number in range(4):
        cv2.imwrite(str(source / f"ground_truth/hole/{number}.png"), mask)
    root = tmp_path / "set"
    prepare(source, root, group_options=GroupOptions(near_duplicates=False), workers=1)
    synthesize(root, ["hole"], 2, recipe=synthesis.recipe(tmp_path, "disc"), workers=1)
    from PIL import Image

    dataset = store.read(root)
    for sample in (s for s in dataset if s.origin == "synthetic"):
        assert sample.provenance is not None
        path, host = root / sample.image_path, root / dataset.by_id()[sample.provenance["host"]].image_path
        info = probe(path)
        assert (path.suffix, info.format, info.mode) == (".jpg", "jpeg", "grey")
        with Image.open(path) as made, Image.open(host) as real:
            assert made.quantization == real.quantization  # type: ignore[attr-defined]
        rows = np.arange(40)
        far = (rows < 8) if read(root / str(sample.mask_path))[:16].max() == 0 else (rows > 32)
        difference = cv2.absdiff(read(path)[far], read(host)[far])
        assert float(difference.mean()) < 1.0


def test_rebalance_brings_each_class_to_the_target(root: Path, tmp_path: Path) -> None:
    recipe = synthesis.recipe(tmp_path)
    planned = rebalance(root, "max", recipe=recipe, dry_run=True)
    result = rebalance(root, "max", recipe=recipe, workers=1)
    assert planned.after == result.after == dict.fromkeys(result.before, result.before[GOOD])
    again = rebalance(root, "max", recipe=recipe, workers=1)
    assert again.synthesis is None
    more = rebalance(root, 11, recipe=recipe, workers=1)
    assert more.after == {GOOD: result.before[GOOD], "hole": 11, "thread": 11}
    assert rebalance(root, "50%", recipe=recipe, workers=1).after == more.after
    assert "before   after" in more.text()
    assert list(store.verify(root)) == []


@pytest.mark.parametrize("to", ["0", 0, -3, "1.5", 2.0, 0.0, "most", "-2", "", "150%", float("nan")])
def test_targets_that_make_no_sense(root: Path, to: str | float) -> None:
    with pytest.raises(UsageError):
        rebalance(root, to)


@pytest.mark.parametrize(
    ("where", "count"),
    [
        (["origin=synthetic"], 8),
        (["origin=synthetic", "class=hole"], 4),
        (["class!=good", "origin=real", "id=*hole*"], None),
        (["k>=3"], 2),
        (["k=0"], 2),
        (["gates.visible>=0"], 8),
        (["gates.visible<0"], 0),
        (["parameters.radius_px<=5", "class=thread"], 4),
        (["method=donor-disc", "seed=0", "split=main"], 8),
        (["null=false"], 8),
        (["null=true"], 0),
        (["donors=nobody"], 0),
    ],
)
def test_drop_by_what_the_manifest_says(root: Path, tmp_path: Path, where: list[str], count: int | None) -> None:
    synthesize(root, ["hole", "thread"], 4, recipe=synthesis.recipe(tmp_path), workers=1)
    before = store.read(root)
    if count is None:
        count = sum(s.class_name == "hole" and s.origin == "real" for s in before)
    assert len(drop(root, where, dry_run=True).ids) == count
    assert len(store.read(root)) == len(before)
    assert len(drop(root, where).ids) == count
    assert len(store.read(root)) == len(before) - count
    assert drop(root, where).ids == ()


@pytest.mark.parametrize("where", [[], ["class"], ["clas=hole"], ["k<many"], ["=x"], ["gates.=1"]])
def test_conditions_that_make_no_sense(root: Path, where: list[str]) -> None:
    with pytest.raises(UsageError):
        drop(root, where)


def test_the_tree_of_chance_keeps_its_places_apart() -> None:
    keys = [("a", 1), ("a", 2), ("b", 1), (1, "a"), ("a1",), ("a", 1, 0), ("a", "1")]
    first = {seeds.generator(0, *key).integers(1 << 62) for key in keys}
    assert len(first) == len(keys)
    assert seeds.generator(5, "a", 1).integers(1 << 62) == seeds.generator(5, "a", 1).integers(1 << 62)
    assert seeds.generator(5, "a", 1).integers(1 << 62) not in first


def test_errors_travel_between_processes(tmp_path: Path) -> None:
    root = synthesis.dataset(tmp_path / "set")
    train = next(s for s in store.read(root).on_side("train", "main") if s.class_name == GOOD)
    path = root / train.image_path
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:300])
    with pytest.raises(CarpetDataError) as caught:
        synthesize(
            root,
            ["hole"],
            30,
            recipe=synthesis.recipe(tmp_path, more="subject: texture\n" + synthesis.LENIENT),
            workers=2,
        )
    assert str(path) in str(caught.value)
