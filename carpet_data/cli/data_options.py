"""Options of the commands that read a data set, and of those that export one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from carpet_data.formats import READERS, ReadOptions
from carpet_data.samples import Connectivity

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("auto", *READERS)


def read_options(command: F) -> F:
    """How to read ROOT: passed to the command as `format`, `threshold`, `connectivity`, and the others."""
    for option in reversed(
        (
            click.option(
                "--from",
                "format",
                type=click.Choice(FORMATS),
                default="auto",
                show_default=True,
                help="Reader of ROOT.",
            ),
            click.option(
                "--threshold",
                type=click.IntRange(1, 255),
                default=128,
                show_default=True,
                help="Mask values of at least this are a defect.",
            ),
            click.option(
                "--connectivity",
                type=click.Choice(["4", "8"]),
                default=None,
                help="Neighbours that belong to one instance.  [default: the data set's own, else 8]",
            ),
            click.option("--images-dir", default=None, help="With --from folder: the images' folder."),
            click.option("--masks-dir", default=None, help="With --from folder: the masks' folder."),
            click.option(
                "--mask-suffix", default=None, help="With --from folder: what mask names end in, such as _mask."
            ),
            click.option(
                "--pair-by",
                default=None,
                help="With --from folder: regex; image and mask with equal captures belong together.",
            ),
        )
    ):
        command = option(command)
    return command


READ_OPTION_NAMES = ("format", "threshold", "connectivity", "images_dir", "masks_dir", "mask_suffix", "pair_by")


_CONNECTIVITIES: dict[str | None, Connectivity | None] = {None: None, "4": 4, "8": 8}


def take_read_options(values: dict[str, Any]) -> ReadOptions:
    """The ReadOptions among a command's parameters; they are removed from `values`."""
    taken = {name: values.pop(name) for name in READ_OPTION_NAMES}
    return ReadOptions(
        format=taken["format"],
        threshold=taken["threshold"],
        connectivity=_CONNECTIVITIES[taken["connectivity"]],
        images=taken["images_dir"],
        masks=taken["masks_dir"],
        mask_suffix=taken["mask_suffix"],
        pair_by=taken["pair_by"],
    )


split_option = click.option("--split", default=None, help="Which named split.  [default: main, else the source's own]")
images_option = click.option(
    "--images",
    type=click.Choice(["link", "copy", "none"]),
    default="link",
    show_default=True,
    help="Hard-link the images into the output, copy them, or leave them where they are.",
)
export_out_option = click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Where to write.  [default: beside ROOT]"
)
