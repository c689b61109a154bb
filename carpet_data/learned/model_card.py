"""What people see of a fit: the model card, the curve of the losses, and sheets of real crops beside samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core import sheets
from carpet_data.core.images import encode_png
from carpet_data.learned.crops import CropDataset, GeneratedCrop
from carpet_data.learned.fit_plan import FitPlan
from carpet_data.store.files import write_bytes
from carpet_data.synthesis.contract import Image
from carpet_data.synthesis.engine.model_store import Fitted
from carpet_data.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LOSSES", "NAME", "draw_sheet", "text", "versions", "write", "write_sheet"]

NAME, LOSSES = "README.md", "loss.png"
_PACKAGES = ("numpy", "torch", "diffusers", "accelerate", "transformers", "peft")
_REAL = 3
"""Real crops of each class, so that samples are seen beside what they were learned from."""
_TILE = 144
"""Maximum width of a crop on a sheet; small ones are enlarged by whole factors, so that each pixel stays a square."""
_FAINT = 0.05
"""Masks that are nowhere stronger have no outline."""

_TEXT = """\
# {method}, trained on {name}

Makes defects of the classes {classes} on good images of the same kind.

| | |
|---|---|
{rows}

## Use

In the data set that holds this folder:

```text
carpet-data synthesize DATASET --recipe {recipe} --split {split} --class CLASS --n N
```

`--recipe` takes the path of your own recipe file.

## Limits

- The network has seen the donors counted above and no others. It varies them; its images are not evidence of how such
  defects look in general.
- It was trained on the training images of one split. With another split, its images may show what that split holds
  out; `carpet-data` refuses this.
- Its images derive from the data, and so does the license that applies to them.
- Whether they help a classifier is for `carpet-data validate` to say.

## Copies

{copies}

## Values of the fit

{values}
"""


def versions() -> dict[str, str]:
    """The versions of this program and of the packages that decide the result of a fit."""
    return {"carpet-data": __version__, **{name: found for name in _PACKAGES if (found := _version(name)) is not None}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def write(fitted: Fitted, copies: str, history: Sequence[Mapping[str, float]]) -> None:
    """Write the card of a model into its folder, with the curve of its losses.

    `history` holds rows of step, seconds and mean losses; it is empty if nothing was trained.
    """
    pictures = sorted(path.name for path in fitted.folder.glob("samples-*.png"))[-1:]
    if history:
        # matplotlib takes half a second, and is needed at the end of a fit only.
        from carpet_data.core import plots

        figure = plots.styled(_losses)(history, f"{fitted.method} trained on {fitted.dataset['name']}")
        write_bytes(fitted.folder / LOSSES, plots.to_png(figure))
        pictures = [LOSSES, *pictures]
    write_bytes(fitted.folder / NAME, text(fitted, copies, pictures).encode(errors="backslashreplace"))


def text(fitted: Fitted, copies: str, pictures: Sequence[str] = ()) -> str:
    """The card as Markdown; `pictures` are files beside it."""
    processes = "1 process" if fitted.processes == 1 else f"{fitted.processes} processes"
    rows = {
        "method": f"{fitted.method}, version {fitted.version} (recipe {_cell(fitted.recipe)})",
        "data": f"{_cell(str(fitted.dataset.get('name', '')))}, training images of the split {fitted.split}",
        "license of the data": _cell(str(fitted.dataset.get("license", ""))) or "unknown; ask the owner of the data",
        "training images": f"{len(fitted.samples)} real ones, of which {len(fitted.read)} were used",
        "donors": ", ".join(f"{_cell(key)} {count}" for key, count in fitted.donors.items()),
        "steps": f"{fitted.steps} of {fitted.batch_size} crops, seed {fitted.seed}",
        "final losses": ", ".join(f"{_cell(key)} {value:.4g}" for key, value in fitted.losses.items()),
        "time": f"{fitted.seconds:.0f} s on {fitted.device}, {fitted.precision} precision, {processes}",
        "created": fitted.created,
        "versions": ", ".join(f"{key} {value}" for key, value in fitted.versions.items()),
        "SHA-256 of the weights": f"`{fitted.weights_sha256}`",
        "SHA-256 of the data": f"`{fitted.data}`",
        "SHA-256 of the fit": f"`{fitted.fit}`",
    }
    first, *rest = copies.splitlines() or ["Not measured."]
    card = _TEXT.format(
        method=fitted.method,
        name=_cell(str(fitted.dataset.get("name", ""))),
        classes=", ".join(map(_cell, fitted.classes)),
        rows="\n".join(f"| {key} | {value} |" for key, value in rows.items() if value),
        recipe=fitted.recipe,
        split=fitted.split,
        copies="\n".join([_cell(first), *([""] if rest else []), *(f"- {_cell(line)}" for line in rest)]),
        values="\n".join(f"- {_cell(key)}: {_cell(str(value))}" for key, value in fitted.parameters.items()),
    )
    notes = "".join(f"- {note}\n" for note in fitted.notes)
    shown = "".join(f"\n![{name.partition('.')[0]}]({name})\n" for name in pictures)
    return card + (f"\n## Notes\n\n{notes}" if notes else "") + shown


def _cell(value: str) -> str:
    """Text that cannot end a cell of a table or become markup."""
    flat = " ".join(value.split())
    return "".join(f"\\{letter}" if letter in "\\|`*<>[]" else letter for letter in flat)


def write_sheet(plan: FitPlan, samples: Sequence[GeneratedCrop], step: int, steps: int) -> Path:
    """Write a sheet of samples into the model's folder, see `draw_sheet`; returns its path."""
    path = plan.folder / f"samples-{step:06d}.png"
    title = f"{plan.recipe.method} trained on {plan.dataset.name}: step {step} of {steps}"
    write_bytes(path, encode_png(draw_sheet(plan.data, samples, title)))
    return path


def draw_sheet(data: CropDataset, samples: Sequence[GeneratedCrop], title: str) -> Image:
    """Draw samples of a network beside real crops, uint8 HxWx3 RGB.

    Each class has a panel of real crops and one of samples; below each crop is the same with the outline of its mask.
    """
    tile = data.crop_px * (_TILE // data.crop_px) or _TILE
    panels = []
    for name in data.classes:
        examples = [example for example in data.examples if example.class_name == name]
        real = [data.crop(example) for example in sheets.evenly(examples, _REAL)]
        made = [(one.image, one.mask) for one in samples if one.class_name == name]
        for what, crops in (("real", real), ("samples", made)):
            blank = np.full((1, tile, 3), sheets.BACKGROUND, np.uint8)
            panels.append(sheets.panel([f"{name}: {what}"], [_pair(*crop, tile) for crop in crops] or [blank]))
    return sheets.sheet(panels, across=2, title=title)


def _pair(image: NDArray[np.uint8], mask: NDArray[np.float32], tile: int) -> Image:
    """A crop, and below it the same with the outline of its mask."""
    shown = sheets.fitted(image, tile)
    large = cv2.resize(mask, (tile, tile), interpolation=cv2.INTER_LINEAR)
    # A scratch thinner than a pixel covers less than half of it, and has an outline all the same.
    level = max(_FAINT, 0.5 * float(large.max()))
    return np.concatenate((shown, sheets.outlined(shown, large >= level)))


def _losses(history: Sequence[Mapping[str, float]], title: str) -> Figure:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    from carpet_data.core import plots

    names = sorted({name for row in history for name in row} - {"step", "seconds"})
    figure = plots.figure(8.5, 4.2)
    axes = figure.add_subplot()
    for number, name in enumerate(names):
        rows = [row for row in history if name in row]
        x, y = [row["step"] for row in rows], [row[name] for row in rows]
        axes.plot(x, y, ".-" if len(x) < 20 else "-", color=plots.color_of(number), label=name, linewidth=1.2)
    if all(row[name] > 0 for row in history for name in names if name in row):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="step", ylabel="loss", title=title)
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
    return figure
