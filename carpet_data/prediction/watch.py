"""Predict the images of folders that grow."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from carpet_data.core.progress import Progress, Step
from carpet_data.errors import DataError, OutputError, UsageError
from carpet_data.prediction.coco import write_coco
from carpet_data.prediction.inbox import Inbox
from carpet_data.prediction.names import ERRORS, FOLDERS, INSTANCES, PREDICTIONS, RESULTS, RUN
from carpet_data.prediction.options import PredictOptions
from carpet_data.prediction.records import read_run, records
from carpet_data.prediction.results import PredictResult
from carpet_data.prediction.session import Session, State
from carpet_data.prediction.writing import Writer
from carpet_data.store import lock
from carpet_data.store.description import is_prepared
from carpet_data.store.files import making
from carpet_data.store.json_files import read_lines
from carpet_data.store.output import MARKER, check_folder

__all__ = ["watch"]

_SAME = ("model_digest", "options")
"""What must not change between two starts."""


def watch(
    model: Path,
    folders: Sequence[Path],
    out: Path,
    options: PredictOptions,
    *,
    overwrite: bool,
    interval_s: float,
    until: Callable[[], bool] | None = None,
    progress: Progress | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> PredictResult:
    """See `predict`; it ends by Ctrl-C, or when `until` says so after a look. `wait` sleeps between two looks.

    Raises:
        UsageError: What is to be watched is not a folder, or is a prepared one.
        OutputError: `out` has predictions of another model or with other options, or cannot be written.
    """
    _check(folders, interval_s)
    # Whole paths, so that the command knows its files again when it starts in another folder.
    folders = [folder.absolute() for folder in folders]
    resumed = (out / RUN).is_file() and not overwrite
    if not resumed:
        check_folder(out, overwrite=overwrite)
    session = Session.open(model, options)
    with making(out):
        out.mkdir(parents=True, exist_ok=True)
    with lock.locked(out, "predict --watch"):
        if resumed:
            _refuse_other(out, session)
        else:
            _begin(out, session)
        done, writer = _resumed(out, session)
        inbox = Inbox(folders, done)
        try:
            while True:
                _look(inbox, session, writer, out, progress)
                if until is not None and until():
                    break
                wait(interval_s)
        except KeyboardInterrupt:
            # The way in which watching ends; a line that was being written is cut off.
            _repair(out / PREDICTIONS)
        write_coco(out, session.model.classes)
    return session.result(out, writer)


def _check(folders: Sequence[Path], interval_s: float) -> None:
    if not folders:
        raise UsageError("--watch needs a folder", hint="name the folder in which new images appear")
    if interval_s <= 0:
        raise UsageError(f"--interval must be above 0 (got {interval_s!r})")
    for folder in folders:
        if not folder.is_dir():
            raise UsageError("only folders can be watched", where=folder, hint="name the folder of the images")
        if is_prepared(folder):
            hint = "watch a plain folder of images, or leave --watch out"
            raise UsageError("a prepared folder does not grow by itself", where=folder, hint=hint)


def _begin(out: Path, session: Session) -> None:
    for name in (PREDICTIONS, ERRORS, INSTANCES, RESULTS, RUN):
        (out / name).unlink(missing_ok=True)
    for name in FOLDERS:
        if (out / name).is_dir():
            shutil.rmtree(out / name)
    (out / MARKER).write_text("Written by carpet-data, which may replace this folder with --overwrite.\n")
    session.begin(out)


def _refuse_other(out: Path, session: Session) -> None:
    before, now = read_run(out), session.described()
    changed = [key.removesuffix("_digest") for key in _SAME if before.get(key) != now[key]]
    if changed:
        raise OutputError(
            f"the folder has predictions with another {' and other '.join(changed)}",
            where=out,
            hint="choose another folder, or start over with --overwrite",
        )


def _resumed(out: Path, session: Session) -> tuple[dict[str, State], Writer]:
    """The files that are done, and a writer that continues after them."""
    _repair(out / PREDICTIONS)
    done: dict[str, State] = {}
    taken: set[str] = set()
    number = 0
    for record in records(out):
        taken.add(record.name)
        number = max(number, record.number)
        if record.state is not None:
            done[record.image] = record.state
    if (out / ERRORS).is_file():
        _repair(out / ERRORS)
        for where, values in read_lines(out / ERRORS, "start over with --overwrite"):
            state = values.get("state")
            if not isinstance(state, list) or len(state) != 2:
                raise DataError("the line is not an error of a watched file", where=where, hint="use --overwrite")
            done[str(values["image"])] = int(state[0]), int(state[1])
    return done, Writer(out, session.model.classes, session.options, number=number, taken=taken)


def _repair(path: Path) -> None:
    """Cut off a last line that a killed command left unfinished; its image is predicted again."""
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        whole = end
        while whole > 0:
            start = max(0, whole - (1 << 16))
            file.seek(start)
            newline = file.read(whole - start).rfind(b"\n")
            if newline >= 0:
                whole = start + newline + 1
                break
            whole = start
        if whole < end:
            file.truncate(whole)


def _look(inbox: Inbox, session: Session, writer: Writer, out: Path, progress: Progress | None) -> None:
    """Predict what has become ready; the COCO files follow once nothing else waits."""
    ready, damaged = inbox.look()
    for file, state, error in damaged:
        session.errors.append(error)
        writer.add_error(file, error, state)
    states = dict(ready)
    session.run(states, writer, total=None, states=states, progress=progress)
    if (ready or damaged) and not inbox.waiting:
        write_coco(out, session.model.classes)
    if progress is not None:
        progress(Step(session.images, None, "watching"))
