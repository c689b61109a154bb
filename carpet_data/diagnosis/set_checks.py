"""Problems of the set as a whole: one function per code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from carpet_data.core.problems import Problem
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD
from carpet_data.diagnosis.codes import problem
from carpet_data.formats.classes.rules import unnamed
from carpet_data.formats.folders import is_background

_NEARLY_ALL = 0.9
_SMALL = 5
_DEEP_USED = 0.3


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the checks of the set need to know of one image.

    Attributes:
        annotated: Whether it has a mask or another annotation.
        size: Width and height as displayed; None where it cannot be read.
        grey: Whether it has one channel; None where it cannot be read.
        numbers: (mask, its values) of the masks that may hold class numbers.
        largest: The largest value of a 16-bit image, as stored; None for others.
        types: The defect types that its annotation names.
    """

    image: str
    class_name: str
    annotated: bool
    size: tuple[int, int] | None = None
    grey: bool | None = None
    numbers: tuple[tuple[str, tuple[int, ...]], ...] = ()
    largest: int | None = None
    types: tuple[str, ...] = ()


def no_images(facts: Sequence[ImageFacts]) -> Iterator[Problem]:
    """no-images."""
    if not facts:
        yield problem("no-images", ".", "no image was found")


def no_good(facts: Sequence[ImageFacts]) -> Iterator[Problem]:
    """no-good."""
    if facts and not any(fact.class_name == GOOD for fact in facts):
        yield problem("no-good", ".", "all images belong to defect classes")


def class_small(facts: Sequence[ImageFacts]) -> Iterator[Problem]:
    """class-small."""
    for name, count in sorted(_classes(facts).items()):
        if 1 < count < _SMALL:
            enough = "one to train on, one to test on" if count == 2 else "enough for 1-shot rotations only"
            yield problem("class-small", name, f"the class has {count} images: {enough}")


def class_single(facts: Sequence[ImageFacts]) -> Iterator[Problem]:
    """class-single."""
    for name, count in sorted(_classes(facts).items()):
        if count == 1:
            yield problem("class-single", name, "the class has a single image")


def class_background(facts: Sequence[ImageFacts]) -> Iterator[Problem]:
    """class-background."""
    counts = Counter(name for fact in facts for name in {fact.class_name, *fact.types} if is_background(name))
    for name, count in sorted(counts.items()):
        yield problem("class-background", name, f"{counted(count, 'image')} with this class as a defect")


def _classes(facts: Sequence[ImageFacts]) -> Counter[str]:
    return Counter(fact.class_name for fact in facts)


def mask_missing(facts: Sequence[ImageFacts], *, masked: bool) -> Iterator[Problem]:
    """mask-missing, or no-masks where the data set has no masks at all."""
    defects = [fact for fact in facts if fact.class_name != GOOD]
    without = [fact for fact in defects if not fact.annotated]
    if defects and (not masked or len(without) == len(defects)):
        yield problem("no-masks", ".", f"{len(without)} images of defect classes have no mask")
        return
    masked_classes = {fact.class_name for fact in defects if fact.annotated}
    for fact in without:
        name = fact.class_name
        # A class without any mask may be the good one, called otherwise.
        hint = None if name in masked_classes else f"draw the masks; if {name} means good, rename its folders to {GOOD}"
        yield problem("mask-missing", fact.image, f"its class is {name}, and it has no mask", hint=hint)


def mask_classes(facts: Sequence[ImageFacts], root: Path) -> Iterator[Problem]:
    """mask-classes, once for all masks whose values are class numbers."""
    numbers = dict(pair for fact in facts for pair in fact.numbers)
    values = {value for found in numbers.values() for value in found}
    if len(values) > 1:
        error = unnamed(values, len(numbers), root)
        yield problem("mask-classes", ".", error.what, hint=error.hint, files=tuple(numbers))


def size_unlike_rest(facts: Sequence[ImageFacts]) -> Iterator[Problem]:
    """size-unlike-rest: where nearly all images have one size."""
    sizes = Counter(fact.size for fact in facts if fact.size is not None)
    if len(sizes) < 2:
        return
    (common, count), *_ = sizes.most_common(1)
    if count < _NEARLY_ALL * sizes.total():
        return
    for fact in facts:
        if fact.size is not None and fact.size != common:
            what = f"it is {_text(fact.size)}, {count} of {sizes.total()} images are {_text(common)}"
            yield problem("size-unlike-rest", fact.image, what)


def sizes_vary(facts: Sequence[ImageFacts]) -> Iterator[Problem]:
    """sizes-vary: where no size is that of nearly all images."""
    sizes = Counter(fact.size for fact in facts if fact.size is not None)
    if len(sizes) < 2 or sizes.most_common(1)[0][1] >= _NEARLY_ALL * sizes.total():
        return
    widths, heights = zip(*sizes, strict=True)
    what = f"{len(sizes)} sizes, widths {min(widths)} to {max(widths)} px, heights {min(heights)} to {max(heights)} px"
    yield problem("sizes-vary", ".", what)


def channels_mixed(facts: Sequence[ImageFacts]) -> Iterator[Problem]:
    """channels-mixed: the images of the rarer kind, each."""
    known = [fact for fact in facts if fact.grey is not None]
    grey = [fact for fact in known if fact.grey]
    color = [fact for fact in known if not fact.grey]
    if not grey or not color:
        return
    fewer, kind, other = (grey, "gray", "color") if len(grey) <= len(color) else (color, "color", "gray")
    for fact in fewer:
        what = f"it is {kind}, {len(known) - len(fewer)} of {len(known)} images are {other}"
        yield problem("channels-mixed", fact.image, what)


def deep_range(facts: Sequence[ImageFacts]) -> Iterator[Problem]:
    """deep-range: the images of more than 8 bits together, as one of them may be dark."""
    deep = [fact.largest for fact in facts if fact.largest is not None]
    if deep and max(deep) < _DEEP_USED * 65535:
        what = f"{len(deep)} images of 16 bits, largest value {max(deep)}: {max(deep) // 257} of 255 after scaling"
        yield problem("deep-range", ".", what)


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


IMAGE_SET_CHECKS = (size_unlike_rest, sizes_vary, channels_mixed, deep_range)
"""Those that need no classes."""

SET_CHECKS = (no_images, no_good, class_background, class_small, class_single, *IMAGE_SET_CHECKS)
