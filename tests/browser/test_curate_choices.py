"""What is tagged and edited in FiftyOne, on its real database, reaches the prepared folder."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import synthesis
from helpers.appending import append
from helpers.command import Called
from helpers.sources import hashes

from carpet_data import store
from carpet_data.core.images import encode_png
from carpet_data.dataset import GOOD, Dataset
from carpet_data.errors import DataError, ProblemsError, UsageError
from carpet_data.fiftyone.browse import browse
from carpet_data.fiftyone.curate import curate, undo_curation
from carpet_data.formats.coco.check import check
from carpet_data.formats.exports import to_coco
from carpet_data.statistics.stats import stats
from carpet_data.store import Addition
from carpet_data.synthesis.engine.synthesize import synthesize

pytestmark = [
    pytest.mark.xdist_group("fiftyone"),
    # Looked for, not imported: FiftyOne takes its database when it is imported.
    pytest.mark.skipif(importlib.util.find_spec("fiftyone") is None, reason="the extra browse is not installed"),
]

Run = Callable[..., Called]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared data set with four synthetic holes, and one sample whose mask is an index file of two classes."""
    synthesis.register()
    folder = tmp_path_factory.mktemp("made")
    root = synthesis.dataset(folder / "set")
    synthesize(root, ["hole"], 4, recipe=synthesis.recipe(folder / "recipes"), workers=1)
    index = np.zeros((40, 40), np.uint8)
    index[2:6, 2:6], index[20:25, 20:25] = 1, 2
    image = encode_png(np.full((40, 40, 3), 7, np.uint8))
    mixed = Addition("mixed", "hole", image, encode_png(index), ((1, "hole"), (2, "thread")))
    append(root, mixed)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "set"))


def _opened(fiftyone: Any, root: Path) -> Any:
    return fiftyone.load_dataset(browse(root, workers=1).dataset)


def _ids(dataset: Dataset, origin: str, class_name: str) -> list[str]:
    return [s.id for s in dataset if s.origin == origin and s.class_name == class_name and s.id != "mixed"]


def _tag(opened: Any, tag: str, *ids: str) -> None:
    opened.select_by("carpet_id", list(ids)).tag_samples(tag)


def _label(opened: Any, sample_id: str, class_name: str) -> None:
    sample = opened.one(_is(sample_id))
    sample["class"].label = class_name
    sample.save()


def _label_instances(opened: Any, sample_id: str, *names: str) -> None:
    sample = opened.one(_is(sample_id))
    for number, detection in enumerate(sample["ground_truth"].detections):
        detection.label = names[number % len(names)]
    sample.save()


def _is(sample_id: str) -> Any:
    from fiftyone import ViewField

    return ViewField("carpet_id") == sample_id


def test_tag_and_edit_then_curate_then_all_agree_then_undo(fiftyone: Any, root: Path, run: Run, tmp_path: Path) -> None:
    opened = _opened(fiftyone, root)
    whole, before = hashes(root), store.read(root)
    made, holes, threads = (
        _ids(before, *kind) for kind in (("synthetic", "hole"), ("real", "hole"), ("real", "thread"))
    )
    _tag(opened, "reject", made[0], holes[0])
    _tag(opened, "liked", made[1])
    _label(opened, threads[0], "hole")
    _label_instances(opened, holes[1], "thread")
    _label(opened, threads[1], GOOD)
    planned = run("curate", root, "--dry-run")
    assert planned.code == 0
    assert "2 images would be dropped (real hole 1, synthetic hole 1), 3 would be relabelled" in planned.out
    assert hashes(root) == whole
    result = curate(root)
    assert set(result.dropped) == {made[0], holes[0]}
    assert dict(result.relabelled) == {
        holes[1]: ("hole", "thread"),
        threads[0]: ("thread", "hole"),
        threads[1]: ("thread", GOOD),
    }
    after = store.read(root)
    assert len(after) == len(before) - 2
    counts = {each["name"]: each["images"] for each in stats(root, workers=1).to_json()["classes"]}
    assert counts == {name: len(after.of_class(name)) for name in ("good", "hole", "thread")}
    to_coco(root, tmp_path / "coco", workers=1)
    checked = check(tmp_path / "coco", root, workers=1)
    assert (checked.problems, checked.compared) == ((), len(after))
    assert list(store.verify(root)) == []
    # FiftyOne still shows what was before.
    with pytest.raises(DataError, match="changed since it was opened"):
        curate(root)
    again = browse(root, workers=1)
    assert (again.removed, again.samples) == (2, len(after))
    opened.reload()
    assert opened.one(_is(threads[1])).segmentation is None, "a good image has no mask"
    assert curate(root).curation is None
    assert _opened(fiftyone, root).match_tags("liked").values("carpet_id") == [made[1]]
    undo_curation(root)
    assert hashes(root) == whole
    browse(root, workers=1)
    assert curate(root).curation is None, "what was undone is not asked for again"
    assert hashes(root) == whole


def test_a_view_drops_real_samples_only_when_asked(fiftyone: Any, root: Path) -> None:
    opened = _opened(fiftyone, root)
    dataset = store.read(root)
    made, real = _ids(dataset, "synthetic", "hole")[:2], _ids(dataset, "real", "hole")[:1]
    opened.save_view("bad ones", opened.select_by("carpet_id", [*made, *real]))
    _tag(opened, "reject", _ids(dataset, "real", "thread")[0])
    assert set(curate(root, view="bad ones", dry_run=True).dropped) == set(made)
    assert set(curate(root, view="bad ones", real=True, dry_run=True).dropped) == {*made, *real}
    thread = _ids(dataset, "real", "thread")[0]
    _tag(opened, "reject", made[0])
    both = curate(root, view="bad ones", tag="reject", dry_run=True)
    reasons = {sample_id: reason for sample_id, (_, _, reason) in both.dropped.items()}
    assert reasons == {thread: "tag reject", made[0]: "tag reject", made[1]: "view bad ones"}
    # A view of patches or of groups stands for its samples.
    opened.save_view("patches", opened.select_by("carpet_id", made).to_patches("ground_truth"))
    opened.save_view("groups", opened.select_by("carpet_id", made).group_by("origin"))
    for name in ("patches", "groups"):
        assert set(curate(root, view=name, dry_run=True).dropped) == set(made)
    with pytest.raises(UsageError, match="unknown saved view 'none'") as caught:
        curate(root, view="none")
    assert "bad ones" in str(caught.value)


def test_keep(fiftyone: Any, root: Path) -> None:
    opened = _opened(fiftyone, root)
    dataset = store.read(root)
    synthetic = {sample.id for sample in dataset if sample.origin == "synthetic"}
    made = _ids(dataset, "synthetic", "hole")
    _tag(opened, "fine", *made[:2])
    assert set(curate(root, keep="fine", dry_run=True).dropped) == synthetic - set(made[:2])
    with pytest.raises(UsageError, match="no sample has the tag 'fin'") as caught:
        curate(root, keep="fin")
    assert "fine" in str(caught.value)
    _tag(opened, "reject", made[0])
    with pytest.raises(DataError, match="both to be kept and rejected"):
        curate(root, keep="fine")


def test_edits_that_cannot_be_brought_back_are_all_told(fiftyone: Any, root: Path) -> None:
    opened = _opened(fiftyone, root)
    whole, dataset = hashes(root), store.read(root)
    holes, threads = _ids(dataset, "real", "hole"), _ids(dataset, "real", "thread")
    _label_instances(opened, holes[0], "hole", "thread")
    _label_instances(opened, "mixed", "thread", "thread")
    _label_instances(opened, threads[0], "hole")
    _label(opened, threads[0], GOOD)
    with pytest.raises(ProblemsError) as caught:
        curate(root)
    assert len(caught.value.problems) == 3
    assert "its labels have several classes now" in str(caught.value)
    assert "its class was changed to 'good', but its labels to 'hole'" in str(caught.value)
    assert hashes(root) == whole
    # What is rejected need not make sense.
    _tag(opened, "reject", holes[0], "mixed", threads[0])
    assert set(curate(root).dropped) == {holes[0], "mixed", threads[0]}


def test_an_index_mask_whose_image_is_relabelled(fiftyone: Any, root: Path) -> None:
    opened = _opened(fiftyone, root)
    assert curate(root).curation is None, "two classes in one image are no edit"
    _label(opened, "mixed", "thread")
    curate(root)
    assert store.read(root).by_id()["mixed"].defect_classes == ("thread",)
    assert list(store.verify(root)) == []


def test_samples_of_the_users_own_and_removed_labels_are_left_alone(fiftyone: Any, root: Path) -> None:
    opened = _opened(fiftyone, root)
    hole = _ids(store.read(root), "real", "hole")[0]
    sample = opened.one(_is(hole))
    sample["ground_truth"].detections = sample["ground_truth"].detections[:1]
    sample["class"] = None
    sample.save()
    own = fiftyone.Sample(filepath=str(root / "own.png"), tags=["reject"], carpet_id="my own")
    opened.add_sample(own)
    assert curate(root, dry_run=True).to_json()["dropped"] == []
    assert curate(root).curation is None


def test_the_choices_as_a_file(fiftyone: Any, root: Path, run: Run, tmp_path: Path) -> None:
    opened = _opened(fiftyone, root)
    hole = _ids(store.read(root), "synthetic", "hole")[0]
    _tag(opened, "reject", hole)
    whole = hashes(root)
    exported = run("curate", root, "--export-choices", tmp_path / "choices.json")
    assert (exported.code, hashes(root)) == (0, whole)
    assert "1 to drop, 0 to relabel" in exported.out
    assert json.loads((tmp_path / "choices.json").read_text())["reject"] == [hole]
    assert list(curate(root, tmp_path / "choices.json").dropped) == [hole]


def test_a_data_set_that_fiftyone_does_not_know_or_that_has_changed(fiftyone: Any, root: Path, run: Run) -> None:
    unknown = run("curate", root)
    assert unknown.code == 1
    assert "was not opened in FiftyOne yet" in unknown.err
    opened = _opened(fiftyone, root)
    dataset = store.read(root)
    _tag(opened, "reject", _ids(dataset, "real", "hole")[0])
    store.drop(root, [_ids(dataset, "real", "hole")[1]], "other")
    whole = hashes(root)
    changed = run("curate", root)
    assert changed.code == 1
    assert "changed since it was opened in FiftyOne" in changed.err
    assert hashes(root) == whole
    # Opened again, the tag is still there.
    browse(root, workers=1)
    assert len(curate(root).dropped) == 1
