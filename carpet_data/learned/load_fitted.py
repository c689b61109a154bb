"""What all learned methods need to open a fitted model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from carpet_data.errors import DataError

__all__ = ["label_of", "opened", "reading"]

T = TypeVar("T")


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turns any problem with the files of a fitted model into a DataError with a hint."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise DataError(
            f"the fitted networks cannot be read ({error})", where=folder, hint="fit the recipe again with --overwrite"
        ) from error


def opened(found: T | None) -> T:
    """The model that `open` of a method loaded; a DataError if it was not called."""
    if found is None:
        raise DataError(
            "no fitted model was opened", hint="fit the recipe first: carpet-data fit DATASET --recipe NAME|FILE"
        )
    return found


def label_of(class_name: str, classes: Sequence[str]) -> int:
    """The index of a class among those of the model; a DataError if it is not one of them."""
    if class_name not in classes:
        raise DataError(
            f"the model was not fitted to the class {class_name!r}",
            hint=f"fit the recipe again with enough donors of the class; this model makes {', '.join(classes)}",
        )
    return classes.index(class_name)
