"""The options of `browse` and `curate`; nothing heavy is imported, so that the command line can be made from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from carpet_data.core.options import Options, option

__all__ = ["BrowseOptions", "CurateOptions"]


@dataclass(frozen=True, slots=True)
class BrowseOptions(Options):
    """What `browse` shows, and where.

    Example:
        >>> BrowseOptions(port=0)
        Traceback (most recent call last):
        carpet_data.errors.UsageError: --port must be at least 1 (got 0)
    """

    split: str | None = option(
        None, "Split whose sides are shown.", metavar="NAME", unset="main, else the source's own"
    )
    skip_faulty: bool = option(False, "Skip images with errors instead of failing; they are listed.")
    predictions: Path | None = option(
        None,
        "Folder that `predict` wrote, whose predictions are shown.",
        metavar="FOLDER",
        unset="those of the last run",
    )
    embeddings: bool = option(False, "Also map all images by a network's features (extra: train).")
    launch: bool = option(False, "Open the App, and wait until its window is closed.")
    port: int = option(5151, "Port of the App.", minimum=1, maximum=65535)
    address: str = option(
        "localhost", "Address that the App listens on; 0.0.0.0 lets everyone on your network in.", metavar="ADDRESS"
    )
    remote: bool = option(False, "Open no browser here, and serve until Ctrl-C.")
    database_uri: str | None = option(None, "Address of your own MongoDB.", metavar="URI", unset="FiftyOne's")
    workers: int | None = option(None, "Number of worker processes.", flag=None, minimum=1)


@dataclass(frozen=True, slots=True)
class CurateOptions(Options):
    """Which choices made in FiftyOne `curate` and `export_choices` take."""

    tag: str | None = option(
        None, "Drop the samples with this tag.", metavar="TAG", unset="reject, or no tag with --view"
    )
    view: str | None = option(None, "Drop the samples of this saved view.", metavar="NAME")
    keep: str | None = option(None, "Drop the synthetic training samples without this tag.", metavar="TAG")
    real: bool = option(False, "Let --view and --keep drop real samples too.")
    database_uri: str | None = option(None, "Address of FiftyOne's MongoDB.", metavar="URI", unset="its own")
    dry_run: bool = option(False, "Show what would change, and write nothing.")
