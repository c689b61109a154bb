"""Where the pixels of a table gather: in memory, or in files that are mapped where memory would not do."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from carpet_data.errors import OutputError

__all__ = ["Store", "open_store"]

U8 = NDArray[np.uint8]


class Store:
    """Rows of pixels and masks, put one by one.

    A file that is kept takes its name when it is whole, so that a killed run leaves none that looks whole.

    Attributes:
        filled: Whether an earlier run has left all rows.
        notes: What the user should know.
    """

    def __init__(
        self, arrays: list[U8], *, filled: bool, kept: list[tuple[Path, Path]], notes: tuple[str, ...]
    ) -> None:
        self._arrays = arrays
        self._kept = kept
        self.filled = filled
        self.notes = notes

    def put(self, row: int, pixels: U8, mask: U8 | None) -> None:
        """Set one row."""
        self._arrays[0][row] = pixels
        if mask is not None:
            self._arrays[1][row] = mask

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Removes what has gathered on disk where the block fails."""
        try:
            yield
        except BaseException:
            for partial, _ in self._kept:
                partial.unlink(missing_ok=True)
            raise

    def close(self, rows: int) -> tuple[U8, U8 | None]:
        """The first rows, which are all that were put, and their masks (None without masks)."""
        for number, (partial, final) in enumerate(self._kept):
            array = self._arrays[number]
            assert isinstance(array, np.memmap)
            array.flush()
            if rows == len(array):
                partial.replace(final)
            else:
                # Short of the images that could not be read: not what its name would say. The mapping stays.
                partial.unlink()
        found = [array[:rows] for array in self._arrays]
        for array in found:
            array.flags.writeable = False
        return found[0], found[1] if len(found) > 1 else None


def open_store(count: int, size: int, *, masks: bool, memory_bytes: int, folder: Path | None, key: str) -> Store:
    """Make room for images.

    Images are of `size` pixels across and down. What takes more than `memory_bytes` goes to disk: into the folder,
    where the next run finds it, or, with None, into files that are gone when this process ends. Everything that the
    bytes of such a file depend on must be in its name, `key`.

    Raises:
        OutputError: The files cannot be written.
    """
    shapes: list[tuple[int, ...]] = [(count, size, size, 3)]
    if masks:
        shapes.append((count, size, size))
    needed = sum(int(np.prod(shape, dtype=np.int64)) for shape in shapes)
    if needed <= memory_bytes:
        return Store([np.empty(shape, np.uint8) for shape in shapes], filled=False, kept=[], notes=())
    where = "in a temporary file" if folder is None else f"in {folder}"
    notes = (
        f"{count} images of {size}x{size} pixels take {_gib(needed)}, more than the {_gib(memory_bytes)} allowed:"
        f" they are kept {where}",
    )
    try:
        if folder is None:
            return Store(_temporary(shapes), filled=False, kept=[], notes=notes)
        folder.mkdir(parents=True, exist_ok=True)
        finals = [folder / f"{key}-{part}.npy" for part in ("pixels", "masks")[: len(shapes)]]
        with suppress(OSError, ValueError):
            arrays: list[U8] = [np.load(path, mmap_mode="r") for path in finals]
            if [array.shape for array in arrays] == shapes:
                return Store(arrays, filled=True, kept=[], notes=notes)
        partials = [path.with_name(f".{path.name}.partial") for path in finals]
        arrays = [open_memmap(path, "w+", np.uint8, shape) for path, shape in zip(partials, shapes, strict=True)]
        return Store(arrays, filled=False, kept=list(zip(partials, finals, strict=True)), notes=notes)
    except OSError as error:
        raise OutputError(
            f"not enough disk space for {_gib(needed)} of pixels ({error.strerror})",
            where=folder or tempfile.gettempdir(),
            hint="use a smaller --resize, or free some disk space",
        ) from error


def _temporary(shapes: list[tuple[int, ...]]) -> list[U8]:
    arrays: list[U8] = []
    for shape in shapes:
        with tempfile.NamedTemporaryFile(prefix="carpet-data-", suffix=".npy", delete=False) as file:
            path = Path(file.name)
        try:
            arrays.append(open_memmap(path, "w+", np.uint8, shape))
        finally:
            # Without a name the system frees the file when the mapping goes, however this process ends.
            path.unlink()
    return arrays


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
