"""Folders that grow: by states, never by seconds."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import painted_model
from pycocotools.coco import COCO

from carpet_data.core.images import encode_png
from carpet_data.errors import LockedError, OutputError, UsageError
from carpet_data.prediction import inbox, watch
from carpet_data.prediction.inbox import Inbox
from carpet_data.prediction.options import PredictOptions
from carpet_data.prediction.predict import predict
from carpet_data.prediction.results import PredictResult
from carpet_data.store import lock

HOLE = encode_png(painted_model.picture((10, 20, 30, 12, 250)))
GOOD = encode_png(painted_model.picture())


def images(out: Path) -> list[str]:
    lines = (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["name"] for line in lines]


class Looks:
    """What happens before each look after the first; then the watching ends."""

    def __init__(self, *events: Callable[[], Any]) -> None:
        self.events = list(events)

    def __call__(self) -> bool:
        if not self.events:
            return True
        self.events.pop(0)()
        return False


def nothing() -> None:
    pass


def watched(model: Path, folder: Path, out: Path, *events: Callable[[], Any], **options: Any) -> PredictResult:
    return predict(model, folder, out, watch=True, interval_s=1e-6, until=Looks(*events), **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def test_files_are_predicted_as_they_come_each_once(model: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (folder / "a.png").write_bytes(HOLE)
    seen: list[list[str]] = []

    def add() -> None:
        seen.append(images(out))
        (folder / "later").mkdir(exist_ok=True)
        (folder / "later" / "b.png").write_bytes(GOOD)

    done = watched(model, folder, out, nothing, add, nothing, nothing, overlays=True)
    assert seen == [["a.png"]]
    assert images(out) == ["a.png", "later/b.png"]
    assert dict(done.predicted) == {"good": 1, "hole": 1}
    assert len(list((out / "overlays").glob("*.png"))) == 2
    assert len(COCO(str(out / "coco_instances.json")).loadRes(str(out / "coco_results.json")).dataset["images"]) == 2


def test_a_restart_skips_what_is_done_and_takes_what_changed(model: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (folder / "a.png").write_bytes(HOLE)
    (folder / "bad.png").write_bytes(b"no picture")
    watched(model, folder, out, nothing, nothing)
    assert watched(model, folder, out, nothing, nothing).images == 0
    (folder / "a.png").write_bytes(GOOD)
    (folder / "b.png").write_bytes(GOOD)
    again = watched(model, folder, out, nothing, nothing)
    assert again.images == 2
    assert images(out) == ["a.png", "a.png (2)", "b.png"]
    ids = [json.loads(line)["id"] for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert ids == [1, 2, 3]


def test_a_partial_file_waits_until_it_is_whole(folder: Path) -> None:
    now = [0.0]
    box = Inbox([folder], {}, clock=lambda: now[0])
    file = folder / "a.png"
    for size in (0, 8, 100, len(HOLE) - 13):
        file.write_bytes(HOLE[:size])
        for _ in range(3):
            assert box.look() == ([], [])
            assert box.waiting == 1
    file.write_bytes(HOLE)
    assert box.look() == ([], [])
    ready, damaged = box.look()
    assert ([each.name for each, _ in ready], damaged, box.waiting) == (["a.png"], [], 0)
    assert box.look() == ([], [])


def test_a_file_that_stays_partial_is_damaged_until_it_changes(folder: Path) -> None:
    now = [0.0]
    box = Inbox([folder], {}, clock=lambda: now[0])
    (folder / "a.png").write_bytes(HOLE[:50])
    assert box.look() == box.look() == ([], [])
    now[0] += inbox.PATIENCE_S
    ready, damaged = box.look()
    assert (ready, [each[0].name for each in damaged]) == ([], ["a.png"])
    assert box.look() == ([], [])
    (folder / "a.png").write_bytes(HOLE)
    assert box.look() == ([], [])
    assert [each.name for each, _ in box.look()[0]] == ["a.png"]


def test_a_file_without_its_last_bytes_waits_as_it_may_be_growing(folder: Path) -> None:
    """No decoder needs the checksum of the last chunk, so such a file is no error in the end."""
    now = [0.0]
    box = Inbox([folder], {}, clock=lambda: now[0])
    (folder / "a.png").write_bytes(HOLE[:-2])
    (folder / "b.png").write_bytes(HOLE[:-2])
    assert box.look() == box.look() == ([], [])
    (folder / "a.png").write_bytes(HOLE)
    box.look()
    assert [each.name for each, _ in box.look()[0]] == ["a.png"]
    now[0] += inbox.PATIENCE_S
    ready, damaged = box.look()
    assert ([each.name for each, _ in ready], damaged) == (["b.png"], [])


def test_a_file_that_goes_again(folder: Path) -> None:
    box = Inbox([folder], {})
    (folder / "a.png").write_bytes(HOLE)
    box.look()
    (folder / "a.png").unlink()
    assert (box.look(), box.waiting) == (([], []), 0)


def test_damaged_files_are_listed_once(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "PATIENCE_S", 0.0)
    (folder / "bad.png").write_bytes(b"no picture")
    (folder / "a.png").write_bytes(HOLE)
    done = watched(model, folder, tmp_path / "out", nothing, nothing)
    assert (done.images, len(done.errors), done.exit_code) == (1, 1, 1)
    again = watched(model, folder, tmp_path / "out", nothing, nothing)
    assert (again.images, again.errors) == (0, ())


def test_ctrl_c_ends_it_and_a_torn_line_is_done_again(model: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (folder / "a.png").write_bytes(HOLE)

    def interrupt() -> None:
        raise KeyboardInterrupt

    done = watched(model, folder, out, nothing, interrupt)
    assert (done.images, done.exit_code) == (1, 0)
    assert (out / "coco_results.json").is_file()
    lines = (out / "predictions.jsonl").read_bytes()
    (out / "predictions.jsonl").write_bytes(lines[:-20])
    assert watched(model, folder, out, nothing, nothing).images == 1
    assert (out / "predictions.jsonl").read_bytes() == lines


def test_other_models_and_options_are_refused(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    (folder / "a.png").write_bytes(HOLE)
    watched(model, folder, out, nothing)
    with pytest.raises(OutputError, match="another options"):
        watched(model, folder, out, nothing, threshold=0.5)
    other = painted_model.write(tmp_path / "other", monkeypatch)
    (other / "more.txt").write_text("changed")
    with pytest.raises(OutputError, match="another model"):
        watched(other, folder, out, nothing)
    assert watched(other, folder, out, nothing, nothing, overwrite=True, batch_size=2).images == 1
    with lock.locked(out, "predict --watch"), pytest.raises(LockedError):
        watched(other, folder, out, nothing)


def test_what_cannot_be_watched(model: Path, folder: Path, tmp_path: Path, synthesized_carpet: Path) -> None:
    (tmp_path / "a.png").write_bytes(HOLE)
    with pytest.raises(UsageError, match="only folders"):
        watched(model, tmp_path / "a.png", tmp_path / "out")
    with pytest.raises(UsageError, match="prepared folder"):
        watched(model, synthesized_carpet, tmp_path / "out")
    with pytest.raises(UsageError, match="interval"):
        watch.watch(
            model, [folder], tmp_path / "out", PredictOptions(), overwrite=False, interval_s=0.0, until=lambda: True
        )
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(OutputError, match="not empty"):
        watched(model, folder, tmp_path / "full")


def test_a_writer_that_is_slow_loses_nothing(model: Path, folder: Path, tmp_path: Path) -> None:
    """Files that are written piece by piece while the folder is being looked at."""
    total = 12
    finished = threading.Event()

    def write() -> None:
        for number in range(total):
            with (folder / f"{number:02}.png").open("wb") as file:
                for at in range(0, len(HOLE), 37):
                    file.write(HOLE[at : at + 37])
                    file.flush()
                    os.fsync(file.fileno())
        finished.set()

    writer = threading.Thread(target=write)
    writer.start()
    out = tmp_path / "out"

    def all_done() -> bool:
        return finished.is_set() and len(images(out)) >= total

    done = predict(model, folder, out, watch=True, interval_s=1e-6, until=all_done)
    writer.join()
    assert (done.images, done.errors, dict(done.predicted)) == (total, (), {"hole": total})
    assert images(out) == sorted(images(out))
