"""The plot of a score as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from carpet_data.errors import UsageError
from carpet_data.experiments.quality.texture_statistics import Crop
from carpet_data.store.files import write_bytes
from carpet_data.store.output import check_file

__all__ = ["check_plot", "write_plot"]


def check_plot(out: Path, root: Path, *, overwrite: bool) -> None:
    """Refuse a place for the plot before anything is measured.

    Raises:
        UsageError: It is no PNG, or lies where the data set keeps its images.
        OutputError: It exists, and is not to be overwritten.
    """
    if out.suffix.lower() != ".png":
        raise UsageError("the plot is a PNG", where=out, hint="name a file such as score.png")
    for part in ("images", "masks"):
        if (root / part).resolve() in out.resolve().parents:
            raise UsageError("plots do not belong among the images", where=out, hint="write it elsewhere")
    check_file(out, overwrite=overwrite)


def write_plot(
    name: str, real: Mapping[str, Sequence[Crop]], made: Mapping[str, Mapping[str, Sequence[Crop]]], out: Path
) -> Path:
    """Draw and write the plot; see `score_plot.draw`.

    Returns:
        The file.
    """
    # matplotlib takes a second to import, and most scores are asked for without a plot.
    from carpet_data.experiments.quality.score_plot import draw

    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(out, draw(name, real, made))
    return out
