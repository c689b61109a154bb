"""What a running command has finished, so that it can be killed at any point and completed later.

A journal is a folder beside the manifest: `command.json` names the command, and each run of the command appends to a
shard of its own. A line is written only after the files it lists are in place.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from carpet_data.dataset import Sample
from carpet_data.errors import DataError, OutputError
from carpet_data.store import manifest
from carpet_data.store.json_files import read_json, to_line, write_json
from carpet_data.store.names import JOURNAL

_COMMAND = "command.json"


class Journal:
    """The journal of one command; the folder's lock must be held."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place: dict[str, tuple[int, int]] = {}
        self._shards = sorted(folder.glob("*.jsonl"))
        for number, shard in enumerate(self._shards):
            for offset, sample in _committed(shard):
                self._place[sample.id] = (number, offset)
        self._file: BinaryIO | None = None

    @classmethod
    def open(cls, root: Path, command: str, identity: str) -> Journal:
        """Start a journal, or resume that of the same command.

        `command` is for people; `identity` is equal for equal work, such as a hash of all that it depends on.

        Raises:
            OutputError: Another command's work is unfinished here.
            DataError: The journal is damaged.
        """
        folder = root / JOURNAL
        begun = unfinished(root)
        if begun is not None and begun[1] != identity:
            raise _interrupted(root, begun[0])
        if begun is None:
            # Shards without a command are what a removal left when it was killed.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            write_json(folder / _COMMAND, {"command": command, "identity": identity}, durable=True)
        return cls(folder)

    @property
    def ids(self) -> frozenset[str]:
        """The ids committed so far."""
        return frozenset(self._place)

    def __len__(self) -> int:
        return len(self._place)

    def __contains__(self, sample_id: str) -> bool:
        return sample_id in self._place

    def commit(self, samples: Sequence[Sample]) -> None:
        """Record samples whose files are in place; when this returns, the disk has the record."""
        if not samples:
            return
        if self._file is None:
            self._shards.append(self._folder / f"{len(self._shards):06d}.jsonl")
            self._file = self._shards[-1].open("xb")
        lines: list[bytes] = []
        offset = self._file.tell()
        for sample in samples:
            line = to_line(manifest.to_json(sample))
            self._place[sample.id] = (len(self._shards) - 1, offset)
            offset += len(line)
            lines.append(line)
        self._file.write(b"".join(lines))
        self._file.flush()
        os.fsync(self._file.fileno())

    def forget(self, sample_id: str) -> None:
        """Remove a sample whose files turned out to be missing; it will be committed again."""
        del self._place[sample_id]

    def entries(self) -> Iterator[Sample]:
        """The committed samples, sorted by id; ids alone are held in memory."""
        files = [shard.open("rb") for shard in self._shards]
        try:
            for sample_id in sorted(self._place):
                number, offset = self._place[sample_id]
                files[number].seek(offset)
                entry = manifest.parse(files[number].readline(), str(self._shards[number]))
                assert isinstance(entry, Sample)
                yield entry
        finally:
            for file in files:
                file.close()

    def close(self) -> None:
        """Close the files; the journal stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Remove the journal: the work is done."""
        self.close()
        # The command first: what remains if this is killed is then known to be incomplete.
        (self._folder / _COMMAND).unlink()
        shutil.rmtree(self._folder)


def unfinished(root: Path) -> tuple[str, str] | None:
    """The command and the identity of unfinished work in a folder; None where there is none.

    Raises:
        DataError: The record is damaged.
    """
    path = root / JOURNAL / _COMMAND
    if not path.exists():
        return None
    hint = f"remove {path.parent}"
    values = read_json(path, hint=hint, what="the journal of an unfinished command")
    try:
        return str(values["command"]), str(values["identity"])
    except KeyError as error:
        raise DataError("the journal of an unfinished command is damaged", where=path, hint=hint) from error


def refuse_unfinished(root: Path) -> None:
    """Refuse to change a folder in which another command was interrupted.

    Raises:
        OutputError: There is such a command.
    """
    begun = unfinished(root)
    if begun is not None:
        raise _interrupted(root, begun[0])


def _interrupted(root: Path, command: str) -> OutputError:
    return OutputError(
        f"another command was interrupted here: {command}",
        where=root,
        hint="run that command again to complete it (its source must be as it was), "
        f"or remove {root / JOURNAL} to discard what it has written",
    )


def _committed(shard: Path) -> Iterator[tuple[int, Sample]]:
    """(offset, sample) of each whole line; a last line that was cut short is skipped."""
    offset = 0
    with shard.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            entry = manifest.parse(line, f"{shard}, line {number}")
            assert isinstance(entry, Sample)
            yield offset, entry
            offset += len(line)
