"""The label files of a data set: what they hold, and what is wrong with them, one problem for each cause."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from carpet_data.core.images import ImageInfo
from carpet_data.core.text import counted
from carpet_data.dataset import Shape
from carpet_data.errors import DataError, ProblemsError
from carpet_data.formats.problems import Problems
from carpet_data.formats.yolo.alike import Trouble, say_all
from carpet_data.formats.yolo.config import Config
from carpet_data.formats.yolo.kinds import Kinds
from carpet_data.formats.yolo.lines import is_comment, numbers_of, shape_of
from carpet_data.formats.yolo.text import text_of

_LEAST_ALIKE = 3
"""This many wrong lines of one kind are one problem, where no line of the data set is right."""


@dataclass
class LabelFiles:
    """Reads label files, and in the end says what is wrong with them: one problem for each cause.

    Attributes:
        files: Number of label files that were read.
        lines: Number of lines in them that are labels.
        troubles: (kind, what is wrong) of each line that is not an outline.
        numbers: The class numbers that were seen.
        repeated: What to say of lines that repeat another.
    """

    config: Config
    problems: Problems
    files: int = 0
    lines: int = 0
    troubles: list[tuple[str, Trouble]] = field(default_factory=list)
    kinds: Kinds = field(init=False)
    numbers: set[float] = field(default_factory=set)
    repeated: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kinds = Kinds(self.config.key_points)

    def shapes(self, image: str, label: str, info: ImageInfo) -> Iterator[Shape]:
        """The instances of one label file."""
        path = self.config.root / label
        try:
            text = text_of(path)
        except DataError as error:
            self.problems.add(error, image=self.config.root / image)
            return
        self.files += 1
        seen: dict[Shape, int] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            words = line.split()
            if not words or is_comment(words):
                continue
            self.lines += 1
            values = numbers_of(words)
            if values is not None and all(map(math.isfinite, values)):
                self.kinds.see(values)
                self.numbers.add(values[0])
            shape = shape_of(words, values, self._names(), info, f"line {number} of {label}")
            if isinstance(shape, Shape):
                first = seen.setdefault(replace(shape, label=""), number)
                if first == number:
                    yield shape
                else:
                    self.repeated.append(f"line {number} of {label} repeats line {first}")
            else:
                where = f"{path} (line {number})"
                self.troubles.append((shape.kind, Trouble(self.config.root / image, where, shape.what, shape.hint)))

    def _names(self) -> Mapping[int, str] | None:
        if self.config.names is not None or self.config.classes is None:
            return self.config.names
        return {number: f"class_{number}" for number in range(self.config.classes)}

    def check(self) -> None:
        """Give what was found to the problems.

        Raises:
            ProblemsError: The labels are key points.
        """
        self._check_key_points()
        self._check_first_number()
        of_kind: defaultdict[str, list[Trouble]] = defaultdict(list)
        for kind, trouble in self.troubles:
            of_kind[kind].append(trouble)
        for troubles in of_kind.values():
            many = counted(len({each.image for each in troubles}), "image")
            more = f"; {len(troubles)} of the {self.lines} lines are like this, of {many}"
            alone = len(troubles) >= _LEAST_ALIKE and len(troubles) == self.lines
            say_all(self.problems, troubles, joined=alone, more=more)

    def _check_key_points(self) -> None:
        shape = self.kinds.key_points
        if shape is None:
            return
        stated = self.config.key_points is not None and self.config.path is not None
        what = f"the lines are boxes with {counted(shape[0], 'key point')} (pose), not outlines"
        if stated:
            what = f"`kpt_shape: {list(shape)}` says that {what}"
        error = DataError(
            what,
            where=self.config.path if stated else self.config.root,
            hint="export segments (polygons or masks); key points do not tell which pixels are defect",
        )
        raise ProblemsError([error])

    def _check_first_number(self) -> None:
        """Numbers from 1 up are not only wrong at the last class: all others would get the name of their neighbor."""
        count = len(self._names() or ())
        if count < 2 or not self.numbers or min(self.numbers) != 1 or max(self.numbers) != count:
            return
        error = DataError(
            f"the labels number the classes from 1 to {count}; YOLO begins with 0, and {count} classes are known",
            where=self.config.path or self.config.root,
            hint="subtract 1 from each class number, or add a name for class 0",
        )
        raise ProblemsError([error])

    def notes(self) -> Iterator[str]:
        """What one should know of labels that are read."""
        if self.files and not self.lines:
            yield f"all {self.files} label files are empty, so that every image is good"
        if self.repeated:
            more = f", and {len(self.repeated) - 1} more like it" if len(self.repeated) > 1 else ""
            yield f"{self.repeated[0]}, and is read once{more}"
        if self.kinds.perhaps_key_points:
            yield (
                "the lines could be boxes with key points (pose) rather than outlines: look at a few masks, "
                "and state `kpt_shape` in data.yaml if they are"
            )
        if self.kinds.four_corners:
            yield (
                "every label line has exactly four corners, as boxes and oriented boxes have: every pixel inside "
                "counts as defect"
            )
