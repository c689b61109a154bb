"""Faults of single files, image or mask: one function a code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from carpet_data.diagnosis.codes import fault
from carpet_data.diagnosis.inspect import Report, Seen
from carpet_data.findings import Finding

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


def unreadable(seen: Seen) -> Iterator[Finding]:
    """missing-file, broken-link, no-permission, empty-file, truncated, not-an-image, too-large, damaged."""
    if seen.fault is not None:
        yield seen.fault


def suspect_pixels(seen: Seen) -> Iterator[Finding]:
    """suspect-pixels."""
    if seen.complaint:
        yield fault("suspect-pixels", seen.where, f"the decoder says: {seen.complaint}")


def wrong_suffix(seen: Seen) -> Iterator[Finding]:
    """wrong-suffix."""
    if seen.info is None:
        return
    suffix = PurePosixPath(seen.where).suffix
    known = _SUFFIXES.get(seen.info.format, ())
    if suffix.lower() not in known:
        mend = f"rename it to {PurePosixPath(seen.where).stem}{known[0]}" if known else "save it as PNG"
        yield fault("wrong-suffix", seen.where, f"its content is {seen.info.format}", mend=mend)


def rotated(seen: Seen) -> Iterator[Finding]:
    """rotated."""
    if seen.info is not None and seen.info.orientation != 1:
        how = _TURNS[seen.info.orientation]
        yield fault("rotated", seen.where, f"EXIF orientation {seen.info.orientation}: to be shown {how}")


def several_frames(seen: Seen) -> Iterator[Finding]:
    """several-frames."""
    if seen.info is not None and seen.info.frames > 1:
        yield fault("several-frames", seen.where, f"it holds {seen.info.frames} frames")


def deep_image(report: Report) -> Iterator[Finding]:
    """deep-image."""
    info = report.image.info
    if info is not None and info.bits > 8:
        yield fault("deep-image", report.image.where, f"{info.bits} bits a channel")


def transparent(report: Report) -> Iterator[Finding]:
    """transparent."""
    info = report.image.info
    if info is not None and "alpha" in info.mode:
        yield fault("transparent", report.image.where, "it has an alpha channel")


def blank_image(report: Report) -> Iterator[Finding]:
    """blank-image."""
    if report.descriptor is not None and report.descriptor.featureless:
        yield fault("blank-image", report.image.where, "its pixels are all alike")


FILE_CHECKS: tuple[Callable[[Seen], Iterator[Finding]], ...] = (
    unreadable,
    suspect_pixels,
    wrong_suffix,
    rotated,
    several_frames,
)
"""For every image and mask file."""

IMAGE_CHECKS: tuple[Callable[[Report], Iterator[Finding]], ...] = (deep_image, transparent, blank_image)
"""For every image file."""
