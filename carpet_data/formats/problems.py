"""Problems of a data set, collected so that one run shows them all."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Hashable

from carpet_data.core.text import counted
from carpet_data.errors import CarpetDataError, DataError, ProblemsError
from carpet_data.formats.skipped import about_image

__all__ = ["FIX_EXPORT", "MOST_PROBLEMS", "Problems"]

MOST_PROBLEMS = 100
"""This many problems end a run."""

FIX_EXPORT = "correct or remove the entry, or export the file again"

Place = str | os.PathLike[str]


class Problems:
    """Collects errors up to a bound: those of the whole data set, and those of single images.

    With `skip_faulty`, problems of an image do not end the run: the image is left out, and `settle` gives one error
    for each of them. Problems of the whole data set end it in any case.

    Examples:
        >>> problems = Problems(skip_faulty=True)
        >>> problems.say("a polygon has 4 numbers", "set.json (annotation 7)", image="images/a.png")
        >>> problems.say("it has no segmentation", "set.json (annotation 8)", image="images/a.png")
        >>> problems.faulty("images/a.png"), problems.faulty("images/b.png")
        (True, False)
        >>> print(problems.settle()[0].what)
        set.json (annotation 7): a polygon has 4 numbers (and 1 more problem of this image)
    """

    def __init__(self, *, skip_faulty: bool = False) -> None:
        self.skip_faulty = skip_faulty
        self._found: list[CarpetDataError] = []
        self._causes: dict[Hashable, int] = {}
        self._alike: Counter[int] = Counter()
        self._first: dict[str, DataError] = {}
        self._of_image: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._found) + len(self._first)

    def add(self, *errors: CarpetDataError, image: Place | None = None, cause: Hashable = None) -> None:
        """Keep errors.

        Args:
            errors: What was found.
            image: The one image that is at fault; None where the whole data set is.
            cause: What all errors of one cause share; only the first of them is kept, the others are counted.

        Raises:
            ProblemsError: The bound is reached.
        """
        for error in errors:
            if image is not None:
                place = os.fspath(image)
                self._of_image[place] += 1
                if self.skip_faulty:
                    if place not in self._first:
                        self._first[place] = about_image(error, place)
                    continue
            if cause is not None and cause in self._causes:
                self._alike[self._causes[cause]] += 1
                continue
            if cause is not None:
                self._causes[cause] = len(self._found)
            self._found.append(error)
            if len(self._found) >= MOST_PROBLEMS:
                raise ProblemsError(self._counted())

    def say(
        self,
        what: str,
        where: Place,
        hint: str = FIX_EXPORT,
        *,
        image: Place | None = None,
        cause: Hashable = None,
    ) -> None:
        """Keep a DataError of these words; `image` and `cause` as in `add`."""
        self.add(DataError(what, where=where, hint=hint), image=image, cause=cause)

    def faulty(self, image: Place) -> bool:
        """Whether a problem of this image was found."""
        return os.fspath(image) in self._of_image

    def check(self) -> None:
        """Raise what was found, but for images that are left out.

        Raises:
            ProblemsError: Something was.
        """
        if self._found:
            raise ProblemsError(self._counted())

    def settle(self) -> tuple[DataError, ...]:
        """One error for each image that is left out: its first problem, and how many more it has.

        Raises:
            ProblemsError: Something else was found.
        """
        self.check()
        return tuple(self._summary(image) for image in self._first)

    def _summary(self, image: str) -> DataError:
        first, more = self._first[image], self._of_image[image] - 1
        if not more:
            return first
        what = f"{first.what} (and {counted(more, 'more problem')} of this image)"
        return type(first)(what, where=first.where, hint=first.hint)

    def _counted(self) -> list[CarpetDataError]:
        return [
            type(error)(f"{error.what} ({self._alike[number]} more alike)", where=error.where, hint=error.hint)
            if self._alike[number]
            else error
            for number, error in enumerate(self._found)
        ]
