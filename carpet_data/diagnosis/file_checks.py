"""Faults of single files, image or mask: one function a code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from carpet_data.core.problems import Problem
from carpet_data.diagnosis.codes import problem
from carpet_data.diagnosis.inspect import Report, Seen

_SUFFIXES = {
    "png": (".png",),
    "jpeg": (".jpg", ".jpeg"),
    "bmp": (".bmp",),
    "tiff": (".tif", ".tiff"),
    "webp": (".webp",),
}
_TURNS = {
    2: "mirrored",
    3: "turned by 180°",
    4: "mirrored top to bottom",
    5: "transposed",
    6: "turned by 90° clockwise",
    7: "transposed over the other diagonal",
    8: "turned by 90° counterclockwise",
}


def unreadable(seen: Seen) -> Iterator[Problem]:
    """missing-file, broken-link, no-permission, empty-file, truncated, not-an-image, too-large, damaged."""
    if seen.problem is not None:
        yield seen.problem


def suspect_pixels(seen: Seen) -> Iterator[Problem]:
    """suspect-pixels."""
    if seen.complaint:
        yield problem("suspect-pixels", seen.where, f"the decoder says: {seen.complaint}")


def wrong_suffix(seen: Seen) -> Iterator[Problem]:
    """wrong-suffix."""
    if seen.info is None:
        return
    suffix = PurePosixPath(seen.where).suffix
    known = _SUFFIXES.get(seen.info.format, ())
    if suffix.lower() not in known:
        hint = f"rename it to {PurePosixPath(seen.where).stem}{known[0]}" if known else "save it as PNG"
        yield problem("wrong-suffix", seen.where, f"its content is {seen.info.format}", hint=hint)


def rotated(seen: Seen) -> Iterator[Problem]:
    """rotated."""
    if seen.info is not None and seen.info.orientation != 1:
        how = _TURNS[seen.info.orientation]
        yield problem("rotated", seen.where, f"EXIF orientation {seen.info.orientation}: to be shown {how}")


def several_frames(seen: Seen) -> Iterator[Problem]:
    """several-frames."""
    if seen.info is not None and seen.info.frames > 1:
        yield problem("several-frames", seen.where, f"it holds {seen.info.frames} frames")


def deep_image(report: Report) -> Iterator[Problem]:
    """deep-image."""
    info = report.image.info
    if info is not None and info.bits > 8:
        yield problem("deep-image", report.image.where, f"{info.bits} bits a channel")


def transparent(report: Report) -> Iterator[Problem]:
    """transparent."""
    info = report.image.info
    if info is not None and "alpha" in info.mode:
        yield problem("transparent", report.image.where, "it has an alpha channel")


def blank_image(report: Report) -> Iterator[Problem]:
    """blank-image."""
    if report.descriptor is not None and report.descriptor.featureless:
        yield problem("blank-image", report.image.where, "its pixels are all alike")


FILE_CHECKS: tuple[Callable[[Seen], Iterator[Problem]], ...] = (
    unreadable,
    suspect_pixels,
    wrong_suffix,
    rotated,
    several_frames,
)
"""For every image and mask file."""

IMAGE_CHECKS: tuple[Callable[[Report], Iterator[Problem]], ...] = (deep_image, transparent, blank_image)
"""For every image file."""
