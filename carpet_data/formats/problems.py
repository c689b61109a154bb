"""Problems of a data set, collected so that one run shows them all."""

from __future__ import annotations

import os

from carpet_data.errors import CarpetDataError, DataError, ProblemsError

__all__ = ["FIX_EXPORT", "MOST_PROBLEMS", "Problems"]

MOST_PROBLEMS = 100
"""This many problems end a run."""

FIX_EXPORT = "correct or remove the entry, or export the file again"


class Problems:
    """Collects errors up to a bound."""

    def __init__(self) -> None:
        self._found: list[CarpetDataError] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, *errors: CarpetDataError) -> None:
        """Keep errors.

        Raises:
            ProblemsError: The bound is reached.
        """
        for error in errors:
            self._found.append(error)
            if len(self._found) >= MOST_PROBLEMS:
                raise ProblemsError(self._found)

    def say(self, what: str, where: str | os.PathLike[str], hint: str = FIX_EXPORT) -> None:
        """Keep a DataError of these words."""
        self.add(DataError(what, where=where, hint=hint))

    def check(self) -> None:
        """Raise what was found.

        Raises:
            ProblemsError: Something was.
        """
        if self._found:
            raise ProblemsError(self._found)
