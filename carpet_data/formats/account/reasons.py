"""What speaks against using a data set as it was read, and the data set without the images concerned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from carpet_data.core.text import counted
from carpet_data.dataset import Dataset, MaskFile, MaskStack, Sample
from carpet_data.errors import DataError
from carpet_data.formats.account import ways
from carpet_data.formats.account.roles import Account
from carpet_data.formats.account.unread import Finding, ReadImage, findings
from carpet_data.formats.registry import Format, ReadOptions
from carpet_data.formats.skipped import about_image

__all__ = ["reasons_against", "seen_of", "without"]

_FEW_LISTED = 0.5


def seen_of(dataset: Dataset) -> list[ReadImage]:
    """The images as they were read."""
    return [
        ReadImage(each.image_path, each.class_name, each.annotation is not None, _binary_masks(each))
        for each in dataset.samples
    ]


def _binary_masks(sample: Sample) -> tuple[str, ...]:
    match sample.annotation:
        case MaskFile(path=path):
            return (path,)
        case MaskStack(files=files):
            return tuple(path for path, _ in files)
        case _:
            return ()


def reasons_against(
    found: Format,
    account: Account,
    root: Path,
    images: Sequence[ReadImage],
    orphans: Sequence[str],
    options: ReadOptions,
) -> tuple[Finding, ...]:
    """What speaks against a data set that was taken for this; nothing where a document lists the images."""
    if found.lists_images:
        return tuple(_hardly_listed(account, root, options))
    reasons = tuple(findings(account, root, images, orphans, lambda: ways.hint(root, account, options)))
    if any(reason.code == "not-read" for reason in reasons):
        return reasons  # what is taken for something else need not be looked at
    if options.format == "auto" and found.name == "folder" and images and all(seen.by_lack for seen in images):
        return reasons or tuple(_all_good(root, len(images)))
    from carpet_data.formats.account import looks, missing

    by_lack = found.name == "folder" and options.class_by is None and not options.class_from_mask
    return (*reasons, *(missing.findings(root, images) if by_lack else ()), *looks.findings(root, images))


def _hardly_listed(account: Account, root: Path, options: ReadOptions) -> Iterator[Finding]:
    """A document that lists few of the images beside a layout that explains all of them: which one is meant?"""
    commands = ""
    if options.format == "auto" and account.explained < _FEW_LISTED:
        commands = ways.better(root, account, options)
    if commands:
        error = DataError(
            f"read as {account.format}, {counted(len(account.unread.images), 'image')} that no document lists would be "
            f"left out, such as {account.unread.images[0]}",
            where=root,
            hint=f"{commands}; if the document is meant: --from {account.format}",
        )
        yield Finding("not-read", error)


def _all_good(root: Path, count: int) -> Iterator[Finding]:
    """A set that was recognized by its folders, without any mask: the masks may have been left behind."""
    error = DataError(
        f"no mask was found and no folder says a class: all {counted(count, 'image')} would count as good",
        where=root,
        hint="put the masks into masks/ beside images/; if all images are good: --from folder",
    )
    yield Finding("labels-not-read", error)


def without(dataset: Dataset, reasons: Sequence[Finding]) -> tuple[Dataset, tuple[Finding, ...]]:
    """The data set without the images that could be wrong, and the reasons that remain."""
    left_out: dict[str, DataError] = {}
    for reason in reasons:
        if reason.images is not None:
            left_out.update((image, reason.error) for image in reason.images)
    samples = tuple(sample for sample in dataset.samples if sample.image_path not in left_out)
    remaining = tuple(reason for reason in reasons if reason.images is None)
    if not samples:
        return dataset, tuple(reasons)
    skipped = [about_image(error, dataset.path(image)) for image, error in sorted(left_out.items())]
    ids = {sample.id for sample in samples}
    splits = {
        name: replace(split, sides={key: side for key, side in split.sides.items() if key in ids})
        for name, split in dataset.splits.items()
    }
    return replace(dataset, samples=samples, splits=splits, skipped=(*dataset.skipped, *skipped)), remaining
