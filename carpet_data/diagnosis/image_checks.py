"""Problems of one image and its masks: one function per code, which says what is wrong, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

from carpet_data.core.images import ImageInfo
from carpet_data.core.problems import Problem
from carpet_data.dataset import GOOD
from carpet_data.diagnosis.codes import problem
from carpet_data.diagnosis.inspect import MaskValues, Report

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
_TRANSPOSED = (5, 6, 7, 8)
_LOSSY = ("jpeg",)
_INVERTED_FROM = 0.5

Found: TypeAlias = "str | tuple[str, str | None] | None"
"""What is wrong; with a hint where the one of the table does not fit this case."""


@dataclass(frozen=True, slots=True)
class _Mask:
    report: Report
    info: ImageInfo
    values: MaskValues

    @property
    def size(self) -> tuple[int, int]:
        return self.info.width, self.info.height


def check(report: Report) -> Iterator[Problem]:
    """All problems of one image and its masks."""
    image = report.image
    for seen in (image, *report.masks):
        if seen.problem is not None:
            yield seen.problem
        if seen.decoder_warning:
            yield problem("suspect-pixels", seen.where, f"the decoder reports: {seen.decoder_warning}")
        if seen.info is not None:
            for code, of_file in _FILE_CHECKS.items():
                yield from _made(code, seen.where, of_file(seen.where, seen.info))
    if image.info is not None:
        for code, of_image in _IMAGE_CHECKS.items():
            yield from _made(code, image.where, of_image(image.info))
    if report.descriptor is not None and report.descriptor.featureless:
        yield problem("blank-image", image.where, "all of its pixels are alike")
    for seen in report.masks:
        if seen.values is not None and seen.info is not None:
            mask = _Mask(report, seen.info, seen.values)
            for code, of_mask in _MASK_CHECKS.items():
                files = (image.where,) if code in _NAME_THE_IMAGE else ()
                yield from _made(code, seen.where, of_mask(mask), files)
    yield from _of_annotation(report)


def _made(code: str, where: str, found: Found, files: tuple[str, ...] = ()) -> Iterator[Problem]:
    if found is not None:
        what, hint = (found, None) if isinstance(found, str) else found
        yield problem(code, where, what, hint=hint, files=files)


def _of_annotation(report: Report) -> Iterator[Problem]:
    where = report.image.where
    if report.overlap_px:
        files = tuple(seen.where for seen in report.masks)
        yield problem(
            "mask-overlap", where, f"masks of different classes share {report.overlap_px} pixels", files=files
        )
    if report.load_problem is not None:
        yield report.load_problem
    if report.loaded is not None and report.loaded[1] == 0 and _should_mark(report):
        yield problem("mask-empty", where, "its annotation marks no pixel")


def _should_mark(report: Report) -> bool:
    return not (report.job.class_name == GOOD or report.job.empty_is_good)


def _wrong_suffix(where: str, info: ImageInfo) -> Found:
    known = _SUFFIXES.get(info.format, ())
    if PurePosixPath(where).suffix.lower() in known:
        return None
    hint = f"rename it to {PurePosixPath(where).stem}{known[0]}" if known else "save it as PNG"
    return f"its content is {info.format}", hint


def _rotated(where: str, info: ImageInfo) -> Found:  # noqa: ARG001
    if info.orientation == 1:
        return None
    return f"EXIF orientation {info.orientation}: to be displayed {_TURNS[info.orientation]}"


def _several_frames(where: str, info: ImageInfo) -> Found:  # noqa: ARG001
    return f"it contains {info.frames} frames" if info.frames > 1 else None


def _size(mask: _Mask) -> Found:
    sizes = _sizes(mask)
    return None if sizes is None or _is_turned(mask) else sizes


def _turned(mask: _Mask) -> Found:
    sizes = _sizes(mask)
    return f"{sizes} as displayed; its pixels are stored turned" if sizes is not None and _is_turned(mask) else None


def _sizes(mask: _Mask) -> str | None:
    image = mask.report.image
    if image.info is None or mask.size == (image.info.width, image.info.height):
        return None
    width, height = mask.size
    return f"the mask is {width}x{height}, its image {image.where} is {image.info.width}x{image.info.height}"


def _is_turned(mask: _Mask) -> bool:
    image = mask.report.image.info
    return image is not None and image.orientation in _TRANSPOSED and mask.size == (image.height, image.width)


def _turn_unclear(mask: _Mask) -> Found:
    image = mask.report.image
    if image.info is None or image.info.orientation == 1 or mask.info.orientation != 1:
        return None
    same = mask.size == (image.info.width, image.info.height)
    unclear = image.info.orientation not in _TRANSPOSED or image.info.width == image.info.height
    if not (same and unclear):
        return None
    return f"EXIF turns its image {image.where} and not the mask; their sizes do not show whether they fit"


def _lost(mask: _Mask) -> Found:
    values = mask.values
    if values.defect == 0 and values.below > 0:
        return f"its largest value is {values.largest}: {values.below} pixels would be lost", _lower_threshold(mask)
    if values.largest == 0 and values.shape_in_alpha:
        what = "all of its colors are 0, the shape is in its alpha channel"
        return what, "save the alpha channel as a grayscale PNG, 0 and 255"
    return None


def _lower_threshold(mask: _Mask) -> str | None:
    if mask.info.bits > 8:
        return "save the mask as 8-bit PNG, 0 and 255"  # even threshold 1 means 257 there
    if mask.values.levels <= 2:
        return None
    return f"give --threshold {max(1, mask.values.largest // 2)}, or save the mask as 0 and 255"


def _empty(mask: _Mask) -> Found:
    empty = mask.values.largest == 0 and not mask.values.shape_in_alpha
    return "it marks no pixel" if empty and _should_mark(mask.report) else None


def _grey(mask: _Mask) -> Found:
    values = mask.values
    if not (values.between and values.defect):
        return None
    share = 100 * values.between / (values.defect + values.below)
    return (
        f"{values.between} pixels ({share:.0f} % of those marked) are neither 0 nor {values.largest}; "
        f"{values.below} are below the threshold"
    )


def _color(mask: _Mask) -> Found:
    if mask.info.mode not in ("rgb", "rgb+alpha"):
        return None
    return f"it is saved in color, its channels {'differ' if mask.values.colored else 'are equal'}"


def _palette(mask: _Mask) -> Found:
    return f"it has a palette, {mask.values.levels} levels are in use" if mask.info.mode == "palette" else None


def _alpha(mask: _Mask) -> Found:
    if "alpha" not in mask.info.mode:
        return None
    return f"it has an alpha channel, {'with a shape in it' if mask.values.shape_in_alpha else 'the same everywhere'}"


def _deep(mask: _Mask) -> Found:
    return f"{mask.info.bits} bits, largest value {mask.values.largest}" if mask.info.bits > 8 else None


def _lossy(mask: _Mask) -> Found:
    return f"it is stored as {mask.info.format}" if mask.info.format in _LOSSY else None


def _inverted(mask: _Mask) -> Found:
    values = mask.values
    if not values.border or values.defect <= _INVERTED_FROM * values.pixels:
        return None
    return f"{100 * values.defect / values.pixels:.0f} % of the image and its whole border are marked"


def _on_good(mask: _Mask) -> Found:
    defect = mask.values.defect
    return f"it marks {defect} pixels" if defect and mask.report.job.class_name == GOOD else None


_FILE_CHECKS: Mapping[str, Callable[[str, ImageInfo], Found]] = {
    "wrong-suffix": _wrong_suffix,
    "rotated": _rotated,
    "several-frames": _several_frames,
}
_IMAGE_CHECKS: Mapping[str, Callable[[ImageInfo], Found]] = {
    "deep-image": lambda info: f"{info.bits} bits per channel" if info.bits > 8 else None,
    "transparent": lambda info: "it has an alpha channel" if "alpha" in info.mode else None,
}
_MASK_CHECKS: Mapping[str, Callable[[_Mask], Found]] = {
    "mask-size": _size,
    "mask-turned": _turned,
    "mask-turn-unclear": _turn_unclear,
    "mask-lost": _lost,
    "mask-empty": _empty,
    "mask-grey": _grey,
    "mask-color": _color,
    "mask-palette": _palette,
    "mask-alpha": _alpha,
    "mask-deep": _deep,
    "mask-lossy": _lossy,
    "mask-inverted": _inverted,
    "mask-on-good": _on_good,
}
_NAME_THE_IMAGE = ("mask-size", "mask-turned", "mask-turn-unclear", "mask-empty", "mask-on-good")
