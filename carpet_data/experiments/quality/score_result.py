"""The scores of synthetic defects, as values and as tables."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from carpet_data.core.results import Result
from carpet_data.core.text import counted
from carpet_data.errors import CarpetDataError
from carpet_data.experiments.quality.distances import Acceptance, Distances
from carpet_data.experiments.quality.texture_statistics import Crop

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["ScoreResult", "ScoredGroup"]

_LEGEND = (
    "Texture: 18 statistics of each defect, in standard deviations of the real ones. "
    "In parentheses: the same among real ones.\n"
    "Nearest real far below the parentheses: copies. Diversity far below: all look alike. "
    "Gauss: Fréchet distance of diagonal Gaussians."
)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredGroup(Result):
    """The synthetic images of one class that one recipe made.

    Attributes:
        class_name: The class.
        recipe: Method and the first eight digits of the recipe's hash.
        images: Number of images.
        acceptance: The draws they took.
        distances: From the real images of the class.
        feature_distance: By the network: unbiased squared MMD with the cubic kernel of KID; None without one.
        crops: Their defects, for plots; not part of the JSON.
    """

    class_name: str
    recipe: str
    images: int
    acceptance: Acceptance
    distances: Distances
    feature_distance: float | None
    crops: tuple[Crop, ...] = field(repr=False, default=())

    def to_json(self) -> dict[str, Any]:
        """The scores as plain values, the distances among them."""
        return {
            "class": self.class_name,
            "recipe": self.recipe,
            "images": self.images,
            "acceptance": self.acceptance.to_json(),
            **self.distances.to_json(),
            "feature_distance": self.feature_distance,
        }


@dataclass(frozen=True, slots=True, eq=False)
class ScoreResult(Result):
    """The scores of a data set.

    Attributes:
        root: The folder.
        name: The data set's name.
        split: The split whose sides were used; None for a data set without splits.
        against: The real images that were compared with: of the train side, or all.
        backbone: The network's name; None without one.
        groups: Sorted by class, then recipe.
        nulls: Number of synthetic images without a defect, which have nothing to compare.
        real: class -> its real crops, for plots; not part of the JSON.
        skipped: What could not be measured.
    """

    root: Path
    name: str
    split: str | None
    against: Literal["train", "all"]
    backbone: str | None
    groups: tuple[ScoredGroup, ...]
    nulls: int
    real: Mapping[str, tuple[Crop, ...]]
    skipped: tuple[CarpetDataError, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The scores as plain values."""
        values = Result.to_json(replace(self, real={}))
        del values["real"]
        return values

    def text(self, width: int = 150) -> str:
        """The result for people, as tables that fit into this number of columns."""
        from rich.console import Console  # the command line's, which Python callers rarely need

        stream = io.StringIO()
        console = Console(file=stream, color_system=None, force_terminal=False, width=width, highlight=False)
        side = "the train side" if self.against == "train" else "all real images"
        split = "" if self.split is None else f" of split {self.split}"
        nulls = f"; skipped {counted(self.nulls, 'null image')} without a defect" if self.nulls else ""
        console.print(f"{self.name}: synthetic defects against {side}{split}{nulls}", markup=False)
        console.print(_table("Draws", ("images", "draws", "accepted", "rejected by"), map(_draws, self.groups)))
        heads = ("defects", "diversity", "nearest real", "smallest", "gauss", "color L a b", "area, decades")
        network = self.backbone is not None
        rows = (_distances(group, network=network) for group in self.groups)
        console.print(_table("Defects, synthetic (real)", (*heads, *(["network"] if network else [])), rows))
        console.print(_LEGEND, markup=False)
        if network:
            console.print(f"Network: unbiased squared MMD, cubic kernel, features of {self.backbone}.", markup=False)
        return "\n".join(line.rstrip() for line in stream.getvalue().rstrip().splitlines())


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("class")
    table.add_column("recipe", no_wrap=True)
    for head in heads:
        table.add_column(head, justify="left" if head == "rejected by" else "right")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _draws(group: ScoredGroup) -> list[str]:
    taken = group.acceptance
    refused = ", ".join(f"{gate} {times}" for gate, times in taken.refused.items()) or "-"
    return [group.class_name, group.recipe, str(group.images), str(taken.draws), f"{taken.share:.0%}", refused]


def _distances(group: ScoredGroup, *, network: bool) -> list[str]:
    d = group.distances
    return [
        group.class_name,
        group.recipe,
        f"{d.crops} ({d.real_crops})",
        f"{_number(d.diversity)} ({_number(d.real_diversity)})",
        f"{_number(d.nearest_real)} ({_number(d.real_nearest_real)})",
        _number(d.nearest_real_min),
        f"{_number(d.frechet_texture)} ({_number(d.real_frechet_texture)})",
        "-" if d.color_emd is None else " ".join(f"{value:.1f}" for value in d.color_emd),
        _number(d.area_emd),
        *([_number(group.feature_distance, 4)] if network else []),
    ]


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
