"""Curation: what is dropped, relabelled and restored, and that everything that reads the data set agrees."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import synthesis
from helpers.appending import append
from helpers.examples import examples
from helpers.sources import hashes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carpet_data import store
from carpet_data.core.images import encode_png
from carpet_data.dataset import GOOD, Dataset, IndexFile, Sample
from carpet_data.errors import DataError, LockedError, ProblemsError, UsageError
from carpet_data.fiftyone.curate import curate, undo_curation
from carpet_data.formats.coco.check import check
from carpet_data.formats.exports import to_coco
from carpet_data.preparation.options import GroupOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.statistics.stats import stats
from carpet_data.store import Addition
from carpet_data.store.choices import Choices, load, save
from carpet_data.store.curation import relabelled
from carpet_data.store.lock import locked
from carpet_data.synthesis.engine.synthesize import synthesize


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared data set with six synthetic holes, and one sample whose mask is an index file of two classes."""
    synthesis.register()
    folder = tmp_path_factory.mktemp("made")
    root = synthesis.dataset(folder / "set")
    synthesize(root, ["hole"], 6, recipe=synthesis.recipe(folder / "recipes"), workers=1)
    index = np.zeros((40, 40), np.uint8)
    index[2:6, 2:6], index[20:25, 20:25] = 1, 2
    mixed = Addition("mixed", "hole", encode_png(np.full((40, 40, 3), 7, np.uint8)), encode_png(index), _TABLE)
    append(root, mixed)
    return root


_TABLE = ((1, "hole"), (2, "thread"))


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "set"))


def _ids(dataset: Dataset, origin: str = "synthetic", class_name: str = "hole") -> list[str]:
    return [s.id for s in dataset if s.origin == origin and s.class_name == class_name and s.id != "mixed"]


def _choices(dataset: Dataset, **more: object) -> Choices:
    return Choices(fingerprint=dataset.fingerprint("main"), split="main", **more)  # type: ignore[arg-type]


def _files(root: Path) -> set[str]:
    return {path for path in hashes(root) if path.startswith(("images/", "masks/"))}


def _kept(root: Path) -> dict[str, str]:
    """Everything but images, masks, manifest and what curation itself keeps."""
    own = ("images/", "masks/", "undo/", "manifest.jsonl", "curations.jsonl")
    return {path: digest for path, digest in hashes(root).items() if not path.startswith(own)}


def test_rejected_samples_go_with_their_files_and_come_back(root: Path) -> None:
    whole, before = hashes(root), store.read(root)
    made, real = _ids(before)[:2], _ids(before, "real")[0]
    result = curate(root, _choices(before, reject=(*made, real)))
    assert (result.curation, set(result.dropped)) == (1, {*made, real})
    after = store.read(root)
    assert {s.id for s in before} - {s.id for s in after} == {*made, real}
    assert _files(root) == {path for s in after for path in (s.image_path, s.mask_path) if path is not None}
    for sample in (before.by_id()[each] for each in (*made, real)):
        assert sample.mask_path is not None
        assert all(hashes(root / "undo" / "001")[path] == whole[path] for path in (sample.image_path, sample.mask_path))
    assert list(store.verify(root)) == []
    # Splits, recipes and groups stay as they are, and the ids are not given away again.
    assert _kept(root) == {path: whole[path] for path in _kept(root)}
    with pytest.raises(DataError, match="exists already"):
        append(root, Addition(made[0], "hole", b""))
    back = undo_curation(root)
    assert (back.undone, dict(back.dropped)) == (True, dict(result.dropped))
    assert hashes(root) == whole
    assert not (root / "undo").exists()


def test_the_source_is_never_touched(tmp_path: Path) -> None:
    root = synthesis.dataset(tmp_path / "set")
    source = hashes(tmp_path / "source")
    dataset = store.read(root)
    curate(root, Choices(reject=(_ids(dataset, "real")[0],), relabel={_ids(dataset, "real")[1]: "thread"}))
    assert hashes(tmp_path / "source") == source
    undo_curation(root)
    assert hashes(tmp_path / "source") == source


def test_stats_coco_and_manifest_agree_after_it(root: Path, tmp_path: Path) -> None:
    before = store.read(root)
    holes, threads = _ids(before), _ids(before, "real", "thread")
    relabel = {holes[3]: "thread", threads[0]: "hole", threads[1]: GOOD}
    result = curate(root, _choices(before, reject=tuple(holes[:2]), relabel=relabel))
    assert dict(result.relabelled) == {
        holes[3]: ("hole", "thread"),
        threads[0]: ("thread", "hole"),
        threads[1]: ("thread", GOOD),
    }
    after = store.read(root)
    counts = {each["name"]: each["images"] for each in stats(root, workers=1).to_json()["classes"]}
    assert counts == {name: len(after.of_class(name)) for name in ("good", "hole", "thread")}
    assert counts == {"good": 9, "hole": 5 + 6 - 2 - 1 + 1 + 1, "thread": 4 + 1 - 2}
    exported = to_coco(root, tmp_path / "coco", workers=1)
    assert exported.images == len(after)
    checked = check(tmp_path / "coco", root, workers=1)
    assert (checked.problems, checked.compared) == ((), len(after))
    assert list(store.verify(root)) == []


def test_a_relabelled_sample_keeps_its_pixels_group_side_and_what_made_it(root: Path) -> None:
    whole, before = hashes(root), store.read(root)
    made, real = _ids(before)[0], _ids(before, "real")[0]
    curate(root, _choices(before, relabel={made: "thread", real: "thread"}))
    after = store.read(root)
    for sample_id in (made, real):
        old, new = before.by_id()[sample_id], after.by_id()[sample_id]
        assert (new.image_path, new.mask_path) == (
            old.image_path.replace("/hole/", "/thread/"),
            old.mask_path.replace("/hole/", "/thread/"),
        )
        assert (new.image_sha256, new.mask_sha256) == (old.image_sha256, old.mask_sha256)
        assert (hashes(root)[new.image_path], hashes(root)[new.mask_path]) == (
            whole[old.image_path],
            whole[old.mask_path],
        )
        assert (new.group, new.source, new.side, new.origin) == (old.group, old.source, old.side, old.origin)
    assert before.splits["main"] == after.splits["main"]
    provenance = dict(after.by_id()[made].provenance or {})
    assert provenance.pop("relabelled") == [["hole", "thread"]]
    assert provenance == before.by_id()[made].provenance
    assert after.by_id()[real].provenance is None
    log = [json.loads(line) for line in (root / "curations.jsonl").read_text().splitlines()]
    assert log == [{"curation": 1, "dropped": {}, "relabelled": {made: ["hole", "thread"], real: ["hole", "thread"]}}]
    assert list(store.verify(root)) == []


def test_an_index_mask_renames_the_instances_of_the_old_class_only() -> None:
    table = ((1, "hole"), (2, "cut"), (5, "hole"))
    sample = Sample("a", "images/hole/a.bmp", "hole", 4, 4, IndexFile("masks/hole/a.png", table), mask_sha256="0" * 64)
    new = relabelled(sample, "thread")
    assert new.annotation == IndexFile("masks/thread/a.png", ((1, "thread"), (2, "cut"), (5, "thread")))
    assert (new.image_path, new.mask_sha256) == ("images/thread/a.bmp", "0" * 64)
    assert relabelled(sample, GOOD).annotation is None


def test_a_defect_that_is_good_loses_its_mask_until_undo(root: Path) -> None:
    whole, before = hashes(root), store.read(root)
    curate(root, _choices(before, relabel={"mixed": GOOD}))
    sample = store.read(root).by_id()["mixed"]
    assert (sample.class_name, sample.annotation, sample.mask_sha256) == (GOOD, None, None)
    assert hashes(root / "undo" / "001")["masks/hole/mixed.png"] == whole["masks/hole/mixed.png"]
    assert list(store.verify(root)) == []
    undo_curation(root)
    assert hashes(root) == whole


def test_good_may_become_a_defect_without_a_mask_and_is_told(root: Path) -> None:
    before = store.read(root)
    good = before.of_class(GOOD)[0].id
    result = curate(root, _choices(before, relabel={good: "hole"}))
    assert result.unmasked == (good,)
    assert "--skip-unmasked" in result.text()
    assert store.read(root).by_id()[good].annotation is None
    assert list(store.verify(root)) == []


def test_keep_drops_other_synthetic_train_samples_and_real_ones_only_when_asked(root: Path) -> None:
    before = store.read(root)
    synthetic = {s.id for s in before if s.origin == "synthetic"}
    kept = _ids(before)[:2]
    choices = _choices(before, keep=tuple(kept))
    assert set(curate(root, choices, dry_run=True).dropped) == synthetic - set(kept)
    train = set(before.splits["main"].ids("train"))
    assert set(curate(root, choices, real=True, dry_run=True).dropped) == train - set(kept)
    result = curate(root, choices)
    assert {s.id for s in store.read(root)} == {s.id for s in before} - set(result.dropped)
    assert set(result.dropped) == synthetic - set(kept)


def test_a_dry_run_tells_all_and_changes_nothing(root: Path) -> None:
    whole, before = hashes(root), store.read(root)
    first, second = _ids(before)[:2]
    result = curate(root, _choices(before, reject=(first,), relabel={second: "thread"}), dry_run=True)
    assert hashes(root) == whole
    assert (result.curation, result.dry_run) == (None, True)
    assert f"drop     {first}: rejected" in result.text()
    assert f"relabel  {second}: hole -> thread" in result.text()


def test_a_data_set_that_has_changed_since_is_refused(root: Path) -> None:
    before = store.read(root)
    choices = _choices(before, reject=(_ids(before)[0],))
    store.drop(root, [_ids(before)[1]], "other")
    whole = hashes(root)
    for dry_run in (True, False):
        with pytest.raises(DataError, match="has changed since"):
            curate(root, choices, dry_run=dry_run)
    other = Choices(fingerprint="0" * 64, split="gone", reject=choices.reject)
    with pytest.raises(DataError, match="has changed since"):
        curate(root, other)
    assert hashes(root) == whole


def test_choices_that_cannot_be_followed_are_all_told(root: Path) -> None:
    whole, before = hashes(root), store.read(root)
    hole = _ids(before)[0]
    with pytest.raises(ProblemsError) as caught:
        curate(root, _choices(before, reject=("nobody",), relabel={hole: "tear", "nothing": "hole"}))
    problems = str(caught.value)
    assert all(
        text in problems
        for text in ("unknown sample 'nobody'", "cannot become 'tear'", "use one of good, hole, thread")
    )
    with pytest.raises(UsageError, match="no sample has the keep tag"):
        curate(root, _choices(before, keep=()))
    with pytest.raises(DataError, match="both to be kept and rejected"):
        curate(root, _choices(before, keep=(hole,), reject=(hole,)))
    with pytest.raises(UsageError, match="none can come from FiftyOne"):
        curate(root, _choices(before), tag="bad")
    (root / "images/thread").mkdir(exist_ok=True)
    (root / f"images/thread/{hole}.png").write_bytes(b"mine")
    with pytest.raises(DataError, match="in the way"):
        curate(root, _choices(before, relabel={hole: "thread"}))
    (root / f"images/thread/{hole}.png").unlink()
    assert hashes(root) == whole


def test_an_image_that_is_gone_can_be_rejected_but_not_relabelled(root: Path) -> None:
    before = store.read(root)
    hole = before.by_id()[_ids(before)[0]]
    (root / hole.image_path).unlink()
    whole = hashes(root)
    with pytest.raises(DataError, match="the file is missing"):
        curate(root, _choices(before, relabel={hole.id: "thread"}))
    curate(root, _choices(before, reject=(hole.id,)))
    assert list(store.verify(root)) == []
    undo_curation(root)
    assert hashes(root) == whole


def test_a_dropped_host_leaves_its_children_and_tells_of_them(root: Path) -> None:
    before = store.read(root)
    sample = before.by_id()[_ids(before)[0]]
    host = dict(sample.provenance or {})["host"]
    result = curate(root, _choices(before, reject=(host,)))
    assert result.children >= 1
    assert "made from dropped ones" in result.text()
    assert list(store.verify(root)) == []


def test_nothing_to_change_writes_nothing(root: Path) -> None:
    whole, before = hashes(root), store.read(root)
    hole = _ids(before)[0]
    result = curate(root, _choices(before, relabel={hole: "hole"}))
    assert (result.curation, hashes(root)) == (None, whole)
    assert "nothing to change" in result.text()


def test_curations_are_undone_one_after_another(root: Path) -> None:
    states = [hashes(root)]
    for number in range(3):
        dataset = store.read(root)
        hole = _ids(dataset)[0]
        relabel = {hole: "thread"} if number == 1 else {}
        curate(root, _choices(dataset, reject=() if relabel else (hole,), relabel=relabel))
        states.append(hashes(root))
    for state in reversed(states[:-1]):
        undo_curation(root)
        assert hashes(root) == state
    with pytest.raises(DataError, match="no curation to undo"):
        undo_curation(root)


def test_undo_leaves_later_work_alone_and_refuses_where_it_cannot(root: Path) -> None:
    before = store.read(root)
    first, second = _ids(before)[:2]
    curate(root, _choices(before, reject=(first,), relabel={second: "thread"}))
    added = Addition("later", "hole", encode_png(np.full((9, 9, 3), 7, np.uint8)), encode_png(np.eye(9) > 0))
    append(root, added)
    undo_curation(root)
    after = store.read(root)
    assert {s.id for s in after} == {s.id for s in before} | {"later"}
    curate(root, _choices(after, reject=(first,), relabel={second: "thread"}))
    manifest = (root / "manifest.jsonl").read_bytes()
    store.drop(root, [second], "other")
    whole = hashes(root)
    with pytest.raises(DataError, match=f"{second} has changed since curation 1"):
        undo_curation(root)
    assert hashes(root) == whole
    (root / "manifest.jsonl").write_bytes(manifest)
    shutil.rmtree(root / "undo")
    with pytest.raises(DataError, match="its undo folder is missing"):
        undo_curation(root)


def test_it_waits_for_other_writers(root: Path) -> None:
    choices = _choices(store.read(root), reject=(_ids(store.read(root))[0],))
    with locked(root, "weave"):
        for attempt in (lambda: curate(root, choices), lambda: undo_curation(root)):
            with pytest.raises(LockedError, match="weave"):
                attempt()


def test_choices_as_a_file(tmp_path: Path) -> None:
    choices = Choices(("b", "a"), {"c": "höle"}, ("k",), "0" * 64, "main", {"b": "view schön"})
    save(tmp_path / "c.json", choices)
    assert load(tmp_path / "c.json") == Choices(
        ("a", "b"), {"c": "höle"}, ("k",), "0" * 64, "main", {"b": "view schön"}
    )
    (tmp_path / "d.json").write_text('{"schema": 1, "reject": ["a", "a"]}')
    assert load(tmp_path / "d.json") == Choices(("a",))
    for text in (
        "[]",
        "{",
        "{}",
        '{"schema": 2}',
        '{"schema": 1, "rejects": []}',
        '{"schema": 1, "reject": "a"}',
        '{"schema": 1, "reject": [1]}',
        '{"schema": 1, "keep": {}}',
        '{"schema": 1, "relabel": {"a": ""}}',
        '{"schema": 1, "relabel": []}',
        '{"schema": 1, "split": 3}',
        '{"schema": 1, "reject": ["a"], "reasons": ["a"]}',
        '{"schema": 1, "reject": ["a"], "reasons": {"a": 1}}',
        '{"schema": 1, "reject": ["a"], "reasons": {"b": "blurred"}}',
        "\udcff",
        "[" * 100_000,
    ):
        (tmp_path / "d.json").write_text(text, errors="surrogateescape")
        with pytest.raises(DataError):
            load(tmp_path / "d.json")
    with pytest.raises(DataError, match="missing"):
        load(tmp_path / "none.json")


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_choices_and_their_undo(made: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    root = Path(shutil.copytree(made, tmp_path_factory.mktemp("any") / "set"))
    whole, before = hashes(root), store.read(root)
    ids = st.sampled_from([sample.id for sample in before])
    reject = data.draw(st.sets(ids, max_size=6))
    relabel = data.draw(st.dictionaries(ids, st.sampled_from(["good", "hole", "thread"]), max_size=6))
    result = curate(root, _choices(before, reject=tuple(reject), relabel=relabel))
    after = store.read(root)
    expected = {s.id: relabel.get(s.id, s.class_name) for s in before if s.id not in reject}
    assert {s.id: s.class_name for s in after} == expected
    assert _files(root) == {path for s in after for path in (s.image_path, s.mask_path) if path is not None}
    assert list(store.verify(root)) == []
    if result.curation is not None:
        undo_curation(root)
    assert hashes(root) == whole
    shutil.rmtree(root.parent)


@pytest.mark.real
def test_real_carpet_there_and_back(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    source = real_data("mvtec/carpet")
    raw = hashes(source)
    root = prepare(source, tmp_path / "carpet", group_options=GroupOptions(near_duplicates=False), workers=1).out
    whole, dataset = hashes(root), store.read(root)
    holes, cuts = _ids(dataset, "real", "hole"), _ids(dataset, "real", "cut")
    curate(root, _choices(dataset, reject=(holes[0],), relabel={cuts[0]: "hole"}))
    assert list(store.verify(root)) == []
    to_coco(root, tmp_path / "coco", workers=1)
    checked = check(tmp_path / "coco", root, workers=1)
    assert (checked.problems, checked.compared, checked.differing_pixels) == ((), len(dataset) - 1, 0)
    undo_curation(root)
    assert (hashes(root), hashes(source)) == (whole, raw)
