"""The batch: the images of one class that one recipe, its source images, split and seed make; ids and records."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from carpet_data.dataset import GOOD
from carpet_data.store import names
from carpet_data.version import __version__

if TYPE_CHECKING:
    from carpet_data.synthesis.engine.fitted_models import ModelOnDevice
    from carpet_data.synthesis.engine.render import RenderResult


@dataclass(frozen=True, slots=True)
class Batch:
    """What names the images of a batch.

    Attributes:
        class_name: The class they show (null samples: whose masks they have).
        recipe: Hex digest.
        pool: Hex digest of the source images, and of the weights where there is a model.
        split: Whose train side they join.
        model: Of a learned method; None for others.
    """

    class_name: str
    method: str
    recipe: str
    pool: str
    split: str
    seed: int
    model: ModelOnDevice | None = None

    @property
    def code(self) -> str:
        """Eight hex digits of recipe, pool and split: another donor makes other images, not others of the same id."""
        return hashlib.sha256(f"{self.recipe} {self.pool} {self.split}".encode()).hexdigest()[:8]

    def id_of(self, k: int, *, null: bool = False) -> str:
        """The id of image k, such as `hole_donor-paste_1f0c2a9b_s0_000012`."""
        start = f"{GOOD}_null-{self.class_name}" if null else self.class_name
        # As a file system takes it, whatever the class is called and however long.
        return names.component(f"{start}_{self.method}_{self.code}_s{self.seed}_{k:06d}")

    def holds(self, provenance: Mapping[str, Any] | None) -> bool:
        """Whether a sample with this provenance is in the batch, null or not."""
        return provenance is not None and all(
            provenance.get(key) == value
            for key, value in (
                ("recipe", self.recipe),
                ("pool", self.pool),
                ("split", self.split),
                ("seed", self.seed),
                ("class", self.class_name),
            )
        )

    def provenance(self, made: RenderResult) -> dict[str, Any]:
        """The record of one image: what is needed to trace every pixel to its source, and to make the image again."""
        plan = made.plan
        donors = [ref.sample.id for ref in plan.donors]
        record: dict[str, Any] = {
            "method": self.method,
            "recipe": self.recipe,
            "pool": self.pool,
            "split": self.split,
            "class": self.class_name,
            "seed": self.seed,
            "k": plan.k,
            "attempt": made.attempt,
            "host": plan.host.sample.id,
            "donors": list(dict.fromkeys(donors)),
        }
        if self.model is not None:
            record["fitted"] = self.model.record()
        if plan.host.plate:
            record["plate"] = True
        if lent := plan.lent:
            record["plate_from"] = list(lent)
        if plan.textures:
            record["textures"] = [ref.sample.id for ref in plan.textures]
        if plan.null_source is not None:
            record |= {"null": True, "null_source": plan.null_source.sample.id}
        variation = asdict(plan.variation)
        variation["shift_frac"] = list(plan.variation.shift_frac)
        return record | {
            "variation": variation,
            "parameters": dict(made.drawn),
            "gates": dict(made.scores),
            "refused": dict(sorted(made.refused.items())),
            "tool": __version__,
        }
