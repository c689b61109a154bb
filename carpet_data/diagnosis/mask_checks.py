"""Faults of the masks of one image: one function a code."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from carpet_data.core.problems import Problem
from carpet_data.dataset import GOOD
from carpet_data.diagnosis.codes import problem
from carpet_data.diagnosis.inspect import MaskValues, Report, Seen

_LOSSY = ("jpeg",)
_INVERTED_FROM = 0.5
_TRANSPOSED = (5, 6, 7, 8)


def _masks(report: Report) -> Iterator[tuple[Seen, MaskValues]]:
    """The masks that could be read."""
    for seen in report.masks:
        if seen.values is not None:
            yield seen, seen.values


def mask_size(report: Report) -> Iterator[Problem]:
    """mask-size and mask-turned."""
    image = report.image.info
    if image is None:
        return
    for seen, _ in _masks(report):
        assert seen.info is not None
        mask = (seen.info.width, seen.info.height)
        displayed = (image.width, image.height)
        if mask == displayed:
            continue
        sizes = f"the mask is {mask[0]}x{mask[1]}, its image {report.image.where} is {displayed[0]}x{displayed[1]}"
        if image.orientation in _TRANSPOSED and mask == displayed[::-1]:
            yield problem(
                "mask-turned", seen.where, f"{sizes} as displayed; its pixels are stored turned", files=_of(report)
            )
        else:
            yield problem("mask-size", seen.where, sizes, files=_of(report))


def mask_turn_unclear(report: Report) -> Iterator[Problem]:
    """mask-turn-unclear."""
    image = report.image.info
    if image is None or image.orientation == 1:
        return
    for seen, _ in _masks(report):
        assert seen.info is not None
        same = (seen.info.width, seen.info.height) == (image.width, image.height)
        unclear = image.orientation not in _TRANSPOSED or image.width == image.height
        if same and unclear and seen.info.orientation == 1:
            what = f"EXIF turns its image {report.image.where} and not the mask; their sizes do not tell if it fits"
            yield problem("mask-turn-unclear", seen.where, what, files=_of(report))


def mask_lost(report: Report) -> Iterator[Problem]:
    """mask-lost."""
    for seen, values in _masks(report):
        if values.defect == 0 and values.below > 0:
            what = f"its largest value is {values.largest}: {values.below} pixels would be lost"
            yield problem("mask-lost", seen.where, what, hint=_lower_threshold(seen, values))
        elif values.largest == 0 and values.shape_in_alpha:
            what = "all of its colours are 0, the shape is in its alpha channel"
            yield problem("mask-lost", seen.where, what, hint="save the alpha channel as a grey PNG, 0 and 255")


def _lower_threshold(seen: Seen, values: MaskValues) -> str | None:
    assert seen.info is not None
    if seen.info.bits > 8:
        return "save the mask as 8-bit PNG, 0 and 255"  # even threshold 1 means 257 there
    return (
        f"give --threshold {max(1, values.largest // 2)}, or save the mask as 0 and 255" if values.levels > 2 else None
    )


def mask_empty(report: Report) -> Iterator[Problem]:
    """mask-empty."""
    if report.job.class_name == GOOD or report.job.empty_is_good:
        return
    for seen, values in _masks(report):
        if values.largest == 0 and not values.shape_in_alpha:
            yield problem("mask-empty", seen.where, "it marks no pixel", files=_of(report))
    if report.loaded is not None and report.loaded[1] == 0:
        yield problem("mask-empty", report.image.where, "its annotation marks no pixel")


def mask_grey(report: Report) -> Iterator[Problem]:
    """mask-grey."""
    for seen, values in _masks(report):
        if values.between and values.defect:
            share = 100 * values.between / (values.defect + values.below)
            what = (
                f"{values.between} pixels ({share:.0f} % of those marked) are neither 0 nor {values.largest}; "
                f"{values.below} are below the threshold"
            )
            yield problem("mask-grey", seen.where, what)


def mask_colour(report: Report) -> Iterator[Problem]:
    """mask-colour."""
    for seen, values in _masks(report):
        assert seen.info is not None
        if seen.info.mode in ("rgb", "rgb+alpha"):
            differ = "its channels differ" if values.coloured else "its channels are equal"
            yield problem("mask-colour", seen.where, f"it is saved in colour, {differ}")


def mask_palette(report: Report) -> Iterator[Problem]:
    """mask-palette."""
    for seen, values in _masks(report):
        if seen.info is not None and seen.info.mode == "palette":
            yield problem("mask-palette", seen.where, f"it has a palette, {values.levels} levels are in use")


def mask_alpha(report: Report) -> Iterator[Problem]:
    """mask-alpha."""
    for seen, values in _masks(report):
        if seen.info is not None and "alpha" in seen.info.mode:
            shape = "with a shape in it" if values.shape_in_alpha else "the same everywhere"
            yield problem("mask-alpha", seen.where, f"it has an alpha channel, {shape}")


def mask_deep(report: Report) -> Iterator[Problem]:
    """mask-deep."""
    for seen, values in _masks(report):
        if seen.info is not None and seen.info.bits > 8:
            yield problem("mask-deep", seen.where, f"{seen.info.bits} bits, largest value {values.largest}")


def mask_lossy(report: Report) -> Iterator[Problem]:
    """mask-lossy."""
    for seen, _ in _masks(report):
        if seen.info is not None and seen.info.format in _LOSSY:
            yield problem("mask-lossy", seen.where, f"it is stored as {seen.info.format}")


def mask_inverted(report: Report) -> Iterator[Problem]:
    """mask-inverted."""
    for seen, values in _masks(report):
        if values.border and values.defect > _INVERTED_FROM * values.pixels:
            share = 100 * values.defect / values.pixels
            yield problem("mask-inverted", seen.where, f"{share:.0f} % of the image and its whole border are marked")


def mask_on_good(report: Report) -> Iterator[Problem]:
    """mask-on-good."""
    if report.job.class_name != GOOD:
        return
    for seen, values in _masks(report):
        if values.defect:
            yield problem("mask-on-good", seen.where, f"it marks {values.defect} pixels", files=_of(report))


def mask_overlap(report: Report) -> Iterator[Problem]:
    """mask-overlap."""
    if report.overlap_px:
        files = tuple(seen.where for seen in report.masks)
        yield problem("mask-overlap", report.image.where, f"{report.overlap_px} pixels are marked twice", files=files)


def annotation(report: Report) -> Iterator[Problem]:
    """annotation."""
    if report.load_problem is not None:
        yield report.load_problem


def _of(report: Report) -> tuple[str, ...]:
    return (report.image.where,)


MASK_CHECKS: tuple[Callable[[Report], Iterator[Problem]], ...] = (
    mask_size,
    mask_turn_unclear,
    mask_lost,
    mask_empty,
    mask_grey,
    mask_colour,
    mask_palette,
    mask_alpha,
    mask_deep,
    mask_lossy,
    mask_inverted,
    mask_on_good,
    mask_overlap,
    annotation,
)
