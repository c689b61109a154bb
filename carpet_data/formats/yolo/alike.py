"""Problems of one kind: each by itself where they are few, one for all where they have one cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carpet_data.core.text import counted
from carpet_data.formats.problems import Problems

__all__ = ["MOST_ALIKE", "Trouble", "say_all"]

MOST_ALIKE = 10
"""More of one kind than this are one problem."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with one image.

    Attributes:
        image: Absolute, or from where the root is seen.
        where: The place in its labels, or the image itself.
    """

    image: Path
    where: str | Path
    what: str
    hint: str


def say_all(problems: Problems, troubles: Sequence[Trouble], *, joined: bool = False, more: str = "") -> None:
    """Say what is wrong; with `skip_faulty` of each image, else once where there are many.

    Args:
        problems: Collects them.
        troubles: All of one kind.
        joined: Say it once also where they are few.
        more: What to add where it is said once; by default how many images are like this.
    """
    if (joined or len(troubles) > MOST_ALIKE) and not problems.skip_faulty:
        first = troubles[0]
        many = more or f"; {counted(len({each.image for each in troubles}), 'image')} in all"
        problems.say(f"{first.what}{many}", first.where, first.hint, image=first.image)
        return
    for each in troubles:
        problems.say(each.what, each.where, each.hint, image=each.image)
